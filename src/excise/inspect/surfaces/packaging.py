"""What a build or an installation runs, and which registries and programs a tree gives to package managers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.commands import judge
from excise.inspect.surfaces.node import scalars
from excise.inspect.surfaces.readers import read
from excise.inspect.surfaces.surface import Surface, command_mark, host, named
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

_ON_INSTALL: Final = (
    "preinstall",
    "install",
    "postinstall",
    "prepare",
    "preprepare",
    "postprepare",
    "prepublish",
)
_KNOWN_INSTALL: Final = re.compile(
    r"^(?:(?:npx\s+)?(?:husky(?:\s+install)?|lefthook install|simple-git-hooks|patch-package|node-gyp(?:-build)?(?: rebuild)?|prebuild-install(?:.*)|tsc(?:\s.*)?|electron-builder install-app-deps|opencollective.*|is-ci.*|(?:npm|pnpm|yarn|bun) run [\w:.-]+))(?:\s*(?:\|\||&&)\s*(?:true|exit 0|:|husky(?: install)?|(?:npm|pnpm|yarn) run [\w:.-]+))*$"
)


def node_marks(source: Source) -> Iterator[Mark]:
    """Scripts of `package.json` that an installation runs."""
    scripts = read(source).at("scripts")
    for name in _ON_INSTALL:
        script = scripts.at(name)
        if script and not _KNOWN_INSTALL.match(script.string.strip()):
            yield command_mark(
                script.line, script.string, f"the {name} script, at installation,", Verdict.ON_TRUST
            )


def composer_marks(source: Source) -> Iterator[Mark]:
    """Scripts of `composer.json` that an installation runs."""
    for path, value in scalars(read(source).at("scripts")):
        if path[0].startswith(("pre-", "post-")):
            yield command_mark(value.line, value.string, f"the {path[0][:40]} script", Verdict.ON_TRUST)


NODE = Surface("node-scripts", named("package.json"), node_marks)
COMPOSER = Surface("composer-scripts", named("composer.json"), composer_marks)


# Python: a set-up script runs at installation, a project file may name a back end inside the tree

_RUNNING: Final = frozenset(
    "os.system os.popen os.execv os.execve os.execvp os.spawnl os.spawnv subprocess.run subprocess.call subprocess.Popen "
    "subprocess.check_call subprocess.check_output exec eval compile __import__ "
    "urllib.request.urlopen urlopen requests.get requests.post httpx.get httpx.post socket.socket "
    "socket.create_connection urllib.request.urlretrieve pickle.loads marshal.loads".split()
)
_NETWORK: Final = ("urlopen", "requests.", "httpx.", "socket.", "urlretrieve")
_CODE: Final = frozenset({"exec", "eval", "os.system", "os.popen", "pickle.loads", "marshal.loads"})


def python_marks(source: Source, where: str, verdict: Verdict, least: Severity) -> Iterator[Mark]:
    """What Python text that runs by itself calls: processes, code from text, the network."""
    calls = [
        (node, name)
        for node in ast.walk(source.syntax)
        if isinstance(node, ast.Call) and (name := dotted(node.func)) in _RUNNING
    ]
    whole = judge(source.text)
    names = {name for _, name in calls}
    fetched = any(name.startswith(_NETWORK) for name in names)
    for node, name in calls:
        judged = judge(ast.get_source_segment(source.text, node) or "")
        if not judged.ordinary:
            yield command_mark(node.lineno, source.line(node.lineno), where, verdict, judged.severity)
        elif fetched and name in _CODE:
            yield Mark(
                node.lineno,
                verdict,
                Severity.HIGH,
                f"{where} fetches and runs ({name})",
                source.line(node.lineno),
            )
        elif name not in {"compile", "__import__", "exec", "eval"} or least > Severity.LOW:
            yield Mark(
                node.lineno,
                verdict,
                least,
                f"{where} calls {name}",
                source.line(node.lineno),
                confidence="medium",
            )
    if whole.exfiltrates and fetched:
        first = next(node.lineno for node, name in calls if name.startswith(_NETWORK))
        yield Mark(
            first, Verdict.EXFILTRATES, Severity.CRITICAL, f"{where} {whole.what}", source.line(first),
            "secret-exfiltration",
        )  # fmt: skip


def dotted(node: ast.expr) -> str:
    """`a.b.c` of names and attributes; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def setup_marks(source: Source) -> Iterator[Mark]:
    """A set-up script."""
    yield from python_marks(source, "setup.py, at installation,", Verdict.ON_TRUST, Severity.LOW)


def project_marks(source: Source) -> Iterator[Mark]:
    """A build back end that lies in the tree, or build requirements from an address."""
    system = read(source).at("build-system")
    for folder in system.at("backend-path").each:
        yield Mark(
            system.line_of("backend-path"), Verdict.ON_TRUST, Severity.LOW,
            f"the build runs a back end of this tree ({folder.string[:40]})", "backend-path", confidence="medium",
        )  # fmt: skip
    for need in system.at("requires").each:
        if "://" in need.string and not re.search(r"@[0-9a-f]{40}\b|#sha256=", need.string):
            yield Mark(
                system.line_of("requires"), Verdict.ON_TRUST, Severity.MEDIUM,
                f"the build installs from {host(need.string)} at a version that moves", "requires", "unpinned-code",
            )  # fmt: skip


SETUP = Surface("setup-script", named("setup.py"), setup_marks)
PROJECT = Surface("build-system", named("pyproject.toml"), project_marks)


# Settings of package managers

_MANAGER: Final = re.compile(
    r"^\s*(?P<key>script-shell|node-options|git|init-module|onload-script|npmrc-auth-file|yarnPath|rustc-wrapper|rustc-workspace-wrapper|linker|runner|rustc|rustdoc|preload|credential-provider|global-pnpmfile|pnpmfile)\s*[=:]\s*(?P<value>.+?)\s*$"
)
_REGISTRY: Final = re.compile(
    r"^\s*(?:(?:@[\w-]+:)?registry|index-url|extra-index-url|index_url|npmRegistryServer|trusted-host)\s*[=:]\s*[\"']?(?P<value>\S+)"
)
_USUAL: Final = re.compile(
    r"(?:^|\.)(?:npmjs\.(?:org|com)|yarnpkg\.com|pypi\.org|pkg\.github\.com|pkg\.dev|jsr\.io|pytorch\.org|nvidia\.com)$"
)
_SELF: Final = re.compile(
    r"^[\"']?\.yarn/releases/yarn-[\d.]+\.c?js[\"']?$|^[\"']?(?:clang|gcc|lld|mold|ld|sccache|ccache|rust-lld)\b"
)


def manager_marks(source: Source) -> Iterator[Mark]:
    """A package manager's settings: programs that it starts, registries that it asks."""
    for number, line in enumerate(source.lines, 1):
        program = _MANAGER.match(line[:2000])
        registry = _REGISTRY.match(line[:2000])
        if program and not _SELF.match(program["value"]):
            yield command_mark(
                number,
                program["value"],
                f"the package manager's setting {program['key']}",
                Verdict.ON_TRUST,
                Severity.MEDIUM,
            )
        elif registry:
            name = host(registry["value"].strip("\"'")) or registry["value"]
            plain = registry["value"].lower().strip("\"'").startswith("http://")
            if plain or not _USUAL.search(name.split(":")[0]):
                yield Mark(
                    number, Verdict.ON_TRUST, Severity.MEDIUM if plain else Severity.LOW,
                    f"packages come from {name[:80]}" + (" without encryption" if plain else ""), line,
                    "unpinned-code", "medium",
                )  # fmt: skip


MANAGERS = Surface(
    "package-managers",
    named(
        ".npmrc",
        "pip.conf",
        ".pip/pip.conf",
        ".yarnrc",
        ".yarnrc.yml",
        ".cargo/config.toml",
        ".cargo/config",
        "bunfig.toml",
    ),
    manager_marks,
)


# Build files

_BUILD: Final = re.compile(
    r"^[ \t]*(?:\w+\s*[:?]?=\s*)?\$\(shell\s+(?P<make>[^\n]{1,500})|^[ \t]*\w+\s*!=\s*(?P<bsd>[^\n]{1,500})",
    re.MULTILINE,
)
_WRAPPER: Final = re.compile(r"^\s*distributionUrl\s*=\s*(?P<url>\S+)", re.MULTILINE)


def make_marks(source: Source) -> Iterator[Mark]:
    """Commands that a makefile runs while it is read, before any target; ordinary ones are left."""
    for found in _BUILD.finditer(source.text):
        command = found["make"] or found["bsd"]
        if not judge(command).ordinary:
            line = source.text.count("\n", 0, found.end()) + 1
            yield command_mark(line, command, "the makefile, while it is read,", Verdict.ON_TRUST)


def wrapper_marks(source: Source) -> Iterator[Mark]:
    """A build wrapper that fetches its program from an unusual place."""
    for found in _WRAPPER.finditer(source.text):
        name = host(found["url"].replace("\\", ""))
        if not name.endswith(("gradle.org", "maven.org", "apache.org")):
            line = source.text.count("\n", 0, found.start("url")) + 1
            yield Mark(
                line,
                Verdict.ON_TRUST,
                Severity.MEDIUM,
                f"the build is fetched from {name}",
                found["url"],
                "unpinned-code",
            )


MAKE = Surface("make", named("makefile", "gnumakefile"), make_marks)
WRAPPERS = Surface(
    "build-wrappers", named("gradle-wrapper.properties", "maven-wrapper.properties"), wrapper_marks
)
