"""Secrets that everybody on the machine can read: files of the tree with such rights, and code that writes them so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.analyser import is_python, per_file
from excise.inspect.finding import Finding, Severity, Step
from excise.inspect.posture.shape import Function, calls, is_shipped, last, own_calls, text_of, touched
from excise.inspect.tree import Source
from excise.inspect.weakness import BY_ID

_FILE: Final = re.compile(
    r"(?:^|/)(?:id_(?:rsa|ed25519|ecdsa|dsa)|\.netrc|\.pgpass|\.git-credentials|[\w.-]+\.(?:pem|p12|pfx|key|keystore|jks)|\.htpasswd|service[_-]account[\w-]*\.json|credentials(?:\.json)?|secrets?\.(?:json|ya?ml|toml|env))$"
)
_PRIVATE: Final = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|\"private_key\"\s*:|aws_secret_access_key\s*=\s*\S|^machine\s+\S+\s+login",
    re.MULTILINE,
)
_SECRET: Final = re.compile(
    r"(?:^|[_\W])(?:secret|token|api_?key|password|passwd|credential|private_?key|refresh_token|access_token)s?(?:$|[_\W])",
    re.IGNORECASE,
)
_PATH: Final = re.compile(
    r"secret|token|credential|\.netrc|private_?key|api_?key|id_rsa|\.pem|auth\.json|keys?\.(?:json|txt|pem)",
    re.IGNORECASE,
)
_NOT: Final = re.compile(
    r"tokenizer|tokeniz|vocab|token_count|tokens_per|max_token|num_token|merges|special_token|added_token|tokens?\.(?:py|rst|md)|example|template|sample",
    re.IGNORECASE,
)
_WRITES: Final = ("chmod", "write_text", "write_bytes", "open(")
_READABLE: Final = 0o004
_MOST: Final = 20_000


def find(source: Source) -> Iterator[Finding]:
    """Keys in files of the tree; writes and rights in Python."""
    yield from _python(source) if is_python(source.path) else _key(source)


def _key(source: Source) -> Iterator[Finding]:
    held = _PRIVATE.search(source.data[:_MOST])
    if held and source.mode & _READABLE:
        line = source.data.count(b"\n", 0, held.start()) + 1
        yield _finding(
            source,
            line,
            Severity.MEDIUM,
            f"a secret that everybody on the machine can read (mode {source.mode:o})",
            "",
        )


def _python(source: Source) -> Iterator[Finding]:
    for named in touched(source, _WRITES, _PATH):
        closed = any(_closes(call, name) for call, name in calls(named.node))
        for call, name in own_calls(named.node):
            opened = _opens(call, name)
            if opened:
                yield _finding(source, call.lineno, Severity.MEDIUM, opened, named.symbol)
        if not closed:
            yield from _written(source, named.symbol, named.node)


def _mode(node: ast.expr) -> int | None:
    return (
        node.value
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool)
        else None
    )


def _opens(call: ast.Call, name: str) -> str:
    """`chmod` of a secret to something that others can read."""
    if not name.endswith("chmod") or not call.args:
        return ""
    mode = _mode(call.args[-1])
    words = ast.unparse(call)
    if mode is not None and mode & _READABLE and _PATH.search(words) and not _NOT.search(words):
        return f"a secret is made readable to everybody (mode {mode:o})"
    return ""


def _closes(call: ast.Call, name: str) -> bool:
    """Whether a call keeps a file from others: `chmod 600`, a mode of `os.open`, a mask, a temporary file."""
    if name.endswith(
        ("umask", "mkstemp", "NamedTemporaryFile", "fchmod", "set_private", "restrict_permissions")
    ):
        return True
    modes = [m for a in (*call.args, *(k.value for k in call.keywords)) if (m := _mode(a)) is not None]
    if name.endswith(("chmod", "os.open", "touch", "mkdir", "makedirs")):
        return (bool(modes) and not modes[-1] & 0o077) or "S_IRUSR" in ast.unparse(call)
    return last(call.func) == "open" and any(k.arg == "opener" for k in call.keywords)


def _written(source: Source, symbol: str, function: Function) -> Iterator[Finding]:
    """A file whose name says secret is written with the rights that files have by default."""
    for call, name in own_calls(function):
        target = _target(call, name)
        if target is None:
            continue
        words = ast.unparse(target)
        if _PATH.search(words) and not _NOT.search(words) and _SECRET.search(" ".join(_names(function))):
            yield _finding(
                source,
                call.lineno,
                Severity.LOW,
                "a secret is written with the rights that files have by default",
                symbol,
            )
            return


def _target(call: ast.Call, name: str) -> ast.expr | None:
    """The path that a call opens for writing."""
    if name == "open" and call.args:
        mode = (
            text_of(call.args[1])
            if len(call.args) > 1
            else next((text_of(k.value) for k in call.keywords if k.arg == "mode"), "")
        )
        return call.args[0] if set(mode) & set("wax") else None
    if name.endswith((".write_text", ".write_bytes")) and isinstance(call.func, ast.Attribute):
        return call.func.value
    return None


def _names(function: Function) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _finding(source: Source, line: int, severity: Severity, what: str, symbol: str) -> Finding:
    weakness = BY_ID["readable-secrets"]
    step = Step(source.path, line, what, "present", source.line(line).strip()[:160].strip())
    return Finding(
        weakness.id, severity, "medium", source.path, line, what, (step,),
        "another account or process on the machine, such as a tool that an agent runs", weakness.gets, weakness.fix, symbol=symbol,
    )  # fmt: skip


def _wants(path: str) -> bool:
    return is_shipped(path) or bool(_FILE.search(path))


SECRETS = per_file("secrets", ("readable-secrets",), _wants, find)
