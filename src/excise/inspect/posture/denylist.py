"""Evaluation behind a list of what is forbidden.

A check that walks the syntax of code and refuses some of it has to close three ways: names of built-ins, imports, and
attributes that lead from any object to everything (`__class__`, `__subclasses__`). One that leaves a way open is named
with the way. A check that looks for words in the text of code is passed by writing the words otherwise.
Sources: CVE-2023-36258, CVE-2023-44467, CVE-2024-27444 (one list, three times grown).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from excise.inspect.analyser import Analyser, Tree
from excise.inspect.finding import Finding, Severity, Step
from excise.inspect.posture.shape import (
    Function,
    Named,
    calls,
    constants,
    dotted,
    is_shipped,
    last,
    own_calls,
    shape,
    text_of,
    texts,
    touched,
)
from excise.inspect.tree import Source
from excise.inspect.weakness import BY_ID

_RUNS: Final = frozenset({"exec", "eval", "builtins.exec", "builtins.eval"})
_NAMED: Final = (
    "ast.parse",
    "__import__",
    '"eval"',
    "'eval'",
    '"exec"',
    "'exec'",
    '"os"',
    "'os'",
    '"subprocess"',
    "'subprocess'",
)
"""What a check of code cannot do without: the syntax of it, or a word that it forbids."""
_INTERNALS: Final = frozenset(
    "__class__ __subclasses__ __globals__ __bases__ __mro__ __base__ __builtins__ __getattribute__ __dict__ __code__".split()
)
_BUILTINS: Final = frozenset("exec eval compile __import__ open getattr globals execfile".split())
_WORDS: Final = frozenset(
    "exec eval compile __import__ import os sys subprocess system popen open globals locals getattr shutil socket "
    "os.system subprocess. importlib rmtree __builtins__ __class__ __subclasses__ input rm sudo chmod".split()
)
_CHECKS: Final = re.compile(
    r"valid|verif|check|safe|sanit|contain|allow|forbid|restrict|secur|inspect|permit|block|dangerous|malicious",
    re.IGNORECASE,
)
_SPEAKS_OF_CODE: Final = re.compile(
    r"code|source|expr|script|python|snippet|program|statement", re.IGNORECASE
)


def read(source: Source) -> Any:
    """Checks of a file, and whether it runs code from text."""
    text = source.text
    runs = "exec(" in text or "eval(" in text
    named = any(word in text for word in _NAMED)
    if not runs and not named:
        return None
    tree = source.syntax
    sink = next(_sinks(source), 0) if runs else 0
    found = list(_checks(source, tree)) if named else []
    return {"sink": sink, "text": source.line(sink).strip(), "checks": found} if sink or found else None


def _sinks(source: Source) -> Iterator[int]:
    """The lines where functions run a text that is no literal."""
    for named in touched(source, ("exec(", "eval(")):
        for call, name in own_calls(named.node):
            if name in _RUNS and call.args and not _literal(call.args[0]):
                yield call.lineno


def _literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _checks(source: Source, tree: ast.Module) -> Iterator[dict[str, Any]]:
    candidates = [n for n in shape(source) if _refuses(n.node)]
    lists = constants(tree) if candidates else {}
    for named in candidates:
        gaps = (
            _open_ways(named, tree, lists)
            if any(n.endswith("ast.parse") for _, n in calls(named.node))
            else ()
        )
        words = () if gaps else _looks_for_words(named.node, lists)
        if gaps or words:
            line = named.node.lineno
            at, shown = words or (line, source.line(line).strip())
            yield {
                "line": line, "symbol": named.symbol, "head": source.line(line).strip(),
                "gaps": list(gaps), "at": at, "shown": shown if not words else source.line(at).strip(),
            }  # fmt: skip


def _refuses(function: Function) -> bool:
    """Whether a function that is named as a check, or is about code, raises or answers yes or no."""
    args = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
    about = _CHECKS.search(function.name) and any(_SPEAKS_OF_CODE.search(w) for w in (*args, function.name))
    return bool(about) and any(isinstance(n, ast.Raise | ast.Return) for n in ast.walk(function))


def _open_ways(
    named: Named, tree: ast.Module, lists: Mapping[str, tuple[int, frozenset[str]]]
) -> tuple[str, ...]:
    """The ways that a check of the syntax leaves open; none for one that refuses nothing by name."""
    parts: list[ast.AST] = [named.node]
    used = {n.id for n in ast.walk(named.node) if isinstance(n, ast.Name)}
    parts += [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name in used]
    seen = _Tests(lists)
    for part in parts:
        seen.visit(part)
    if not seen.any:
        return ()
    ways = (
        (seen.attributes, "attributes that lead to internals, such as __class__"),
        (seen.names, "names of built-ins that run code"),
        (seen.imports, "imports"),
    )
    return tuple(way for closed, way in ways if not closed)


class _Tests(ast.NodeVisitor):
    """What the conditions of a check look at."""

    def __init__(self, lists: Mapping[str, tuple[int, frozenset[str]]]) -> None:
        self.lists = lists
        self.attributes = self.names = self.imports = self.any = False

    def visit_Compare(self, node: ast.Compare) -> None:
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn | ast.Eq):
                self._compared(last(node.left), isinstance(op, ast.NotIn), self._texts(right))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if last(node.func) == "startswith" and node.args and text_of(node.args[0]).startswith("_"):
            owner = dotted(node.func).split(".")
            self.any = True
            self.attributes |= "attr" in owner or "id" not in owner
        if last(node.func) == "isinstance" and len(node.args) == 2:
            kinds = {last(n) for n in ast.walk(node.args[1]) if isinstance(n, ast.Attribute | ast.Name)}
            self.imports |= bool(kinds & {"Import", "ImportFrom"})
            self.any |= bool(kinds & {"Import", "ImportFrom"})
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.imports |= node.name in {"visit_Import", "visit_ImportFrom"}
        self.generic_visit(node)

    def _texts(self, node: ast.expr) -> frozenset[str]:
        name = last(node)
        return self.lists[name][1] if name in self.lists else texts(node)

    def _compared(self, what: str, allowed: bool, with_texts: frozenset[str]) -> None:
        """A name or attribute is compared with a list: of what is allowed, or of what is not."""
        if what == "attr":
            self.attributes |= allowed or bool(with_texts & _INTERNALS)
            self.any |= allowed or bool(with_texts & (_BUILTINS | _WORDS))
        if what in {"id", "attr", "name"}:
            self.names |= allowed or bool(with_texts & _BUILTINS)
            self.any |= bool(with_texts & (_BUILTINS | _WORDS))


def _looks_for_words(
    function: Function, lists: Mapping[str, tuple[int, frozenset[str]]]
) -> tuple[int, str] | tuple[()]:
    """Line of a condition that looks for forbidden words in a text: `any(w in code for w in WORDS)` or a loop."""
    for node in ast.walk(function):
        if isinstance(node, ast.comprehension | ast.For):
            target, over = node.target, node.iter
            words = lists[last(over)][1] if last(over) in lists else texts(over)
            inside = [
                n for n in ast.walk(function) if isinstance(n, ast.Compare) and isinstance(n.ops[0], ast.In)
            ]
            looked = next(
                (n for n in inside if isinstance(target, ast.Name) and dotted(n.left) == target.id), None
            )
            if len(words & _WORDS) >= 2 and looked is not None:
                return looked.lineno, ""
    return ()


def conclude(tree: Tree) -> Iterator[Finding]:
    """The checks of trees that run code from text somewhere."""
    sinks = [(path, note["sink"], note["text"]) for path, note in tree.notes.items() if note["sink"]]
    if not sinks:
        return
    for path, note in tree.notes.items():
        for check in note["checks"]:
            own = [s for s in sinks if s[0] == path]
            yield _finding(path, check, (own or sinks)[0], near=bool(own))


def _finding(path: str, check: Mapping[str, Any], sink: tuple[str, int, str], *, near: bool) -> Finding:
    weakness = BY_ID["deny-listed-code"]
    what = (
        f"leaves open {' and '.join(check['gaps'])}"
        if check["gaps"]
        else "looks for forbidden words in the text of code"
    )
    steps = (
        Step(path, check["line"], f"{check['symbol']} decides whether code may run", "guard", check["head"]),
        Step(*sink[:2], "code from text runs in this tree", "sink", sink[2]),
        Step(path, check["at"], f"the check {what}", "missing", check["shown"]),
    )
    return Finding(
        weakness.id, Severity.HIGH if near else Severity.MEDIUM, "medium", path, check["line"],
        f"a check of code {what}", steps, "the code that is checked: a model's answer, a message, a request",
        weakness.gets, weakness.fix, symbol=check["symbol"],
    )  # fmt: skip


DENYLIST = Analyser("denylist", ("deny-listed-code",), is_shipped, read, conclude)
