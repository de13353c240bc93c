"""Checks that can be passed by what they should stop: found by their shape, in functions that are there to refuse.

Three shapes. A path check that compares text without resolving or decoding it (RFC 3986, 2.1: `%2e%2e` is `..`). A
check of a relative path that only looks at its beginning, so that `a/../../b` passes. A deny-list over the syntax tree
of code that overlooks imports, or attribute access (`().__class__.__base__`), by which a sandbox is left.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.analyser import Analyser, is_python, per_file
from excise.inspect.finding import Finding, Severity, Step
from excise.inspect.python.names import Function, dotted
from excise.inspect.tree import Source
from excise.inspect.weakness import BY_ID

PATH_WORDS: Final = re.compile(r"path|file|dir|folder|uri|source|loc|key", re.IGNORECASE)
REFUSES: Final = re.compile(
    r"valid|safe|check|verify|is_in|within|sanit|allow|subpath|relative|travers|contain", re.IGNORECASE
)
SETTLES: Final = re.compile(
    r"resolve|realpath|abspath|normpath|unquote|decode|is_relative_to|commonpath|secure_filename|safe_join"
)
CODE_WORDS: Final = re.compile(r"code|script|source|expr|tree|program|snippet", re.IGNORECASE)


def find(source: Source) -> Iterator[Finding]:
    """The weak checks of one Python file."""
    text = source.text
    if ".." not in text and "ast" not in text:
        return
    tree = source.syntax
    scope = _Scope(tree)
    for qual, node in scope.functions:
        yield from _dotdot(source, qual, node)
        yield from _deny_list(source, qual, node, scope)


class _Scope:
    """The functions of a file by qualified name, and the text of what each calls in the same file."""

    def __init__(self, tree: ast.Module) -> None:
        self.functions: list[tuple[str, Function]] = []
        self.by_name: dict[str, list[ast.AST]] = {}
        self._collect(tree, "")

    def _collect(self, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                name = f"{prefix}{child.name}"
                self.by_name.setdefault(child.name, []).append(child)
                if isinstance(child, _FUNCTIONS):
                    self.functions.append((name, child))
                self._collect(child, name + ".")
            elif not isinstance(child, ast.expr):
                self._collect(child, prefix)

    def reached(self, node: Function) -> list[ast.AST]:
        """A function and what of this file it calls or makes, two calls deep."""
        out: list[ast.AST] = [node]
        for _ in range(2):
            for inner in list(out):
                for call in ast.walk(inner):
                    if isinstance(call, ast.Call):
                        for target in self.by_name.get(dotted(call.func).rpartition(".")[2], []):
                            if target not in out and len(out) < 12:
                                out.append(target)
        return out


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _dotdot(source: Source, qual: str, node: Function) -> Iterator[Finding]:
    """`..` looked for as text in a function that is there to refuse paths."""
    names = [a.arg for a in node.args.args]
    if not (
        REFUSES.search(node.name)
        and (PATH_WORDS.search(node.name) or any(PATH_WORDS.search(n) for n in names))
    ):
        return
    settled = any(
        SETTLES.search(dotted(c.func).rpartition(".")[2]) for c in ast.walk(node) if isinstance(c, ast.Call)
    )
    for inner in ast.walk(node):
        if (
            isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Attribute)
            and inner.func.attr == "startswith"
        ):
            if inner.args and isinstance(inner.args[0], ast.Constant) and inner.args[0].value == "..":
                yield _finding(
                    source,
                    qual,
                    inner,
                    "only the beginning is compared with `..`, so that `a/../../b` passes",
                    (22, 184),
                )
                return
        elif (
            isinstance(inner, ast.Compare)
            and isinstance(inner.left, ast.Constant)
            and inner.left.value == ".."
            and not settled
        ):
            yield _finding(
                source,
                qual,
                inner,
                "`..` is looked for in text that was neither decoded nor resolved",
                (22, 184),
            )
            return


def _deny_list(source: Source, qual: str, node: Function, scope: _Scope) -> Iterator[Finding]:
    """A walk over parsed code that refuses some of it and overlooks the rest."""
    parse = next(
        (c for c in ast.walk(node) if isinstance(c, ast.Call) and dotted(c.func) == "ast.parse"), None
    )
    if parse is None or not parse.args or not CODE_WORDS.search(ast.unparse(parse.args[0])):
        return
    reached = scope.reached(node)
    text = "\n".join(ast.unparse(n) for n in reached)
    if not re.search(
        r"raise |return (True|False)|has_access|violation|illegal|forbidden|unsafe|continue", text
    ):
        return
    looks = {
        k
        for k in ("Import", "ImportFrom", "Call", "Attribute", "Name")
        if re.search(rf"ast\.{k}\b|visit_{k}\b", text)
    }
    if len(looks) < 2 or not _refuses(text):
        return
    missing = _overlooked(text, looks)
    if missing:
        yield _finding(
            source, qual, parse, f"a list of what code may not do that overlooks {missing}", (184, 94)
        )


def _refuses(text: str) -> bool:
    """Whether the walk is there to refuse, not to transform."""
    return bool(
        re.search(
            r"(not allowed|illegal|forbidden|disallow|malicious|denied|protected|private|unsafe|whitelist|blacklist|dangerous)",
            text,
            re.IGNORECASE,
        )
    )


def _overlooked(text: str, looks: set[str]) -> str:
    if not looks & {"Import", "ImportFrom"}:
        return "imports"
    loose = re.search(r"isinstance\((\w+), (?:ast\.Attribute\b|\([^)]*ast\.Attribute)|visit_Attribute", text)
    if not loose and not re.search(r"__\w+__'|startswith\('_", text):
        return "attribute access, by which every class can be reached"
    return ""


def _finding(source: Source, qual: str, node: ast.expr, fact: str, cwe: tuple[int, ...]) -> Finding:
    weakness = "weak-path-check" if cwe[0] == 22 else "deny-listed-code"
    about = BY_ID[weakness]
    text = source.line(node.lineno).strip()[:160]
    return Finding(
        weakness=weakness,
        severity=Severity.MEDIUM,
        confidence="medium",
        path=source.path,
        line=node.lineno,
        symbol=qual,
        title=f"{qual.rpartition('.')[2]}: {fact}",
        steps=(Step(source.path, node.lineno, fact, "present", text),),
        controls="what is checked",
        gets=about.gets,
        fix=about.fix,
    )


ANALYSER: Final[Analyser] = per_file("validators", ("weak-path-check", "deny-listed-code"), is_python, find)
