"""Git: a configuration that any `git status` obeys, hooks, submodules, and what installs hooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.commands import judge
from excise.inspect.surfaces.readers import read
from excise.inspect.surfaces.surface import Surface, command_mark, named
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

_SECTION: Final = re.compile(r'^\s*\[\s*([\w.-]+)\s*(?:"((?:[^"\\]|\\.)*)")?\s*\]')
_SETTING: Final = re.compile(r"^\s*([A-Za-z][\w-]*)\s*=\s*(.*?)\s*$")
_RUNS: Final = re.compile(
    r"^(?:core\.(?:fsmonitor|sshcommand|pager|editor|askpass|gitproxy|alternaterefscommand)|(?:filter\..*)\.(?:clean|smudge|process)"
    r"|diff(?:\..*)?\.(?:command|textconv|external)|merge\..*\.driver|credential(?:\..*)?\.helper|gpg(?:\..*)?\.program|sequence\.editor"
    r"|pager\.\w+|interactive\.difffilter|uploadpack\.packobjectshook|remote\..*\.(?:uploadpack|receivepack|vcs)|(?:difftool|mergetool|browser|man)\..*\.cmd"
    r"|trailer\..*\.c(?:ommand|md)|submodule\..*\.update|sendemail\..*cmd|instaweb\..*|init\.templatedir)$"
)
_HARMLESS: Final = re.compile(
    r"^(?:true|false|yes|no|0|1|less(?:\s.*)?|cat|vim?|nano|code --wait|git-lfs .*|git lfs .*|store|cache(?:\s.*)?|osxkeychain|manager(?:-core)?|libsecret|wincred|checkout|merge|rebase|none|input|\"\"|)$"
)
_SAMPLE: Final = re.compile(r"\.sample$")
_HOOKS: Final = frozenset(
    "applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg "
    "post-commit pre-rebase post-checkout post-merge pre-push post-rewrite fsmonitor-watchman pre-auto-gc "
    "post-index-change reference-transaction push-to-checkout sendemail-validate".split()
)


def config_settings(source: Source) -> Iterator[tuple[int, str, str]]:
    """Line, dotted name in lower case (a subsection keeps its case) and value of each setting of a configuration."""
    section = ""
    for number, line in enumerate(source.lines, 1):
        head = _SECTION.match(line)
        if head:
            section = head[1].lower() + (f".{head[2]}" if head[2] is not None else "")
            line = line[head.end() :]  # noqa: PLW2901  a setting may follow on the same line
        found = _SETTING.match(line)
        if found and section:
            first, _, rest = section.partition(".")
            name = ".".join(part for part in (first, rest, found[1].lower()) if part)
            yield number, name, found[2].strip('"')


def config_marks(source: Source) -> Iterator[Mark]:
    """A repository's own configuration, which every git command in it obeys."""
    for line, name, value in config_settings(source):
        if _RUNS.match(name.lower()) and not _HARMLESS.match(value):
            yield command_mark(
                line,
                value,
                f"git's setting {name[:60]}, obeyed by git itself,",
                Verdict.BEFORE_TRUST,
                Severity.HIGH,
            )
        elif name.startswith("alias.") and value.startswith("!"):
            yield command_mark(line, value, f"the git alias {name[6:40]!r}", Verdict.ON_TRUST)
        elif name == "core.hookspath":
            yield Mark(
                line, Verdict.BEFORE_TRUST, Severity.MEDIUM, f"git takes its hooks from {value[:60]!r}", value
            )
        elif name.startswith(("include.", "includeif.")) and name.endswith(".path"):
            yield Mark(
                line,
                Verdict.BEFORE_TRUST,
                Severity.MEDIUM,
                f"git reads more settings from {value[:60]!r}",
                value,
            )
        elif name.startswith("protocol.") and name.endswith(".allow") and value == "always" and "ext" in name:
            yield Mark(line, Verdict.BEFORE_TRUST, Severity.HIGH, "git may run commands as addresses", value)
        elif name.startswith("remote.") and name.endswith("url"):
            yield from _address(line, value)


def modules_marks(source: Source) -> Iterator[Mark]:
    """Submodules: their addresses, paths and what updating does."""
    for line, name, value in config_settings(source):
        key = name.rpartition(".")[2]
        if key == "update" and value.startswith("!"):
            yield command_mark(line, value[1:], "a submodule's update", Verdict.ON_TRUST, Severity.HIGH)
        elif key == "url":
            yield from _address(line, value)
        elif key == "path" and (
            value.startswith(("/", "-")) or {"..", ".git"} & set(value.lower().split("/"))
        ):
            yield Mark(
                line, Verdict.ON_TRUST, Severity.HIGH, f"a submodule is placed at {value[:60]!r}", value
            )
    if b"\r" in source.data.replace(b"\r\n", b""):
        yield Mark(1, Verdict.ON_TRUST, Severity.HIGH, "a carriage return is part of a submodule's name")


def _address(line: int, value: str) -> Iterator[Mark]:
    if value.startswith("-") or value.lower().startswith(("ext::", "fd::")):
        yield Mark(
            line,
            Verdict.ON_TRUST,
            Severity.HIGH,
            f"an address that git takes for a command: {value[:60]!r}",
            value,
        )


def hook_marks(source: Source) -> Iterator[Mark]:
    """A hook script: the first command that shows something, else that it is there."""
    if _SAMPLE.search(source.name) or not source.text.strip():
        return
    in_git = "/.git/hooks/" in "/" + source.path
    verdict = Verdict.BEFORE_TRUST if in_git else Verdict.ON_TRUST
    first = next((n for n, w in enumerate(source.lines, 1) if w.strip() and not w.startswith("#")), 1)
    least = Severity.MEDIUM if in_git else Severity.LOW
    spoken = command_mark(first, source.text, f"the git hook {source.name[:30]}", verdict, least)
    yield pointed(source, spoken)


def pointed(source: Source, mark: Mark) -> Mark:
    """The same mark at the line that speaks, where one alone does."""
    for number, line in enumerate(source.lines, 1):
        if not judge(line).ordinary:
            return replace(mark, line=number, words=line)
    return replace(mark, words=source.line(mark.line))


def precommit_marks(source: Source) -> Iterator[Mark]:
    """Hooks that a manager installs: local commands, and repositories at a version that can move."""
    top = read(source)
    for repo in top.at("repos").each:
        if repo.at("repo").string == "local":
            for hook in repo.at("hooks").each:
                entry = hook.at("entry")
                if entry and hook.at("language").string in {"system", "script", "unsupported", ""}:
                    mark = command_mark(entry.line, entry.string, "a hook before a commit", Verdict.ON_TRUST)
                    if mark.severity > Severity.LOW:
                        yield mark
        elif repo.at("rev").string in {"main", "master", "HEAD", "develop", "stable", "latest"}:
            yield Mark(
                repo.at("rev").line, Verdict.ON_TRUST, Severity.MEDIUM,
                f"hooks of {repo.at('repo').string[:80]!r} at a version that moves", repo.at("rev").string,
                "unpinned-code",
            )  # fmt: skip


def _is_hook(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    place = folder.rpartition("/")[2]
    return (("/" + folder).endswith("/.git/hooks") or place in {".githooks", ".husky", "git-hooks"}) and (
        name in _HOOKS or ("/" + folder).endswith("/.git/hooks")
    )


def _is_config(path: str) -> bool:
    return ("/" + path).endswith(("/.git/config", "/.git/config.worktree", "/.gitconfig")) or (
        "/.git/modules/" in "/" + path and path.endswith("/config")
    )


GIT_SETTINGS = Surface("git-settings", _is_config, config_marks)
GIT_HOOKS = Surface("git-hooks", _is_hook, hook_marks)
GIT_MODULES = Surface("git-submodules", named(".gitmodules"), modules_marks)
COMMIT_HOOKS = Surface(
    "commit-hooks", named(".pre-commit-config.yaml", ".pre-commit-config.yml"), precommit_marks
)
