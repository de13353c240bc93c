"""Python text as functions with their dotted names, and the words of an expression."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from excise.inspect.analyser import is_python
from excise.inspect.tree import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef
_TESTS: Final = re.compile(r"(?:^|/)(?:tests?|testing|conftest\.py$|test_[^/]*\.py$)")


def is_shipped(path: str) -> bool:
    """Whether the name is that of a Python source which is no test: how tests are set up says nothing of the program."""
    return is_python(path) and not _TESTS.search(path)


@dataclass(frozen=True)
class Named:
    """A function, its dotted name, and the class that it is a method of."""

    symbol: str
    node: Function
    owner: ast.ClassDef | None


@lru_cache(maxsize=2)
def shape(source: Source) -> tuple[Named, ...]:
    """Every function of a file, also inner ones, in the order of the text; several analysers ask for the same file."""
    return tuple(functions(source.syntax))


def functions(tree: ast.Module) -> Iterator[Named]:
    """Every function of a module, also inner ones, in the order of the text. Only statements are visited."""
    stack: list[tuple[ast.AST, str, ast.ClassDef | None]] = [(n, "", None) for n in reversed(tree.body)]
    while stack:
        node, prefix, owner = stack.pop()
        if isinstance(node, Function):
            yield Named(prefix + node.name, node, owner)
            stack += [(n, f"{prefix}{node.name}.", None) for n in reversed(node.body)]
        elif isinstance(node, ast.ClassDef):
            stack += [(n, f"{prefix}{node.name}.", node) for n in reversed(node.body)]
        else:
            stack += [(n, prefix, owner) for n in reversed(_inner(node))]


def _inner(node: ast.AST) -> list[ast.AST]:
    """The statements inside a statement."""
    found: list[ast.AST] = []
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        found += getattr(node, name, ())
    return found


def touched(source: Source, words: Iterable[str], also: re.Pattern[str] | None = None) -> Iterator[Named]:
    """The functions that hold one of `words`, and a match of `also`: all that need a closer look.

    Words are looked for as plain text first, which costs a hundredth of a pattern or a walk of the tree.
    """
    lines = sorted(_lines(source, words))
    if lines:
        for named in shape(source):
            if _within(named.node, lines) and (also is None or also.search(_text(source, named.node))):
                yield named


def _text(source: Source, node: Function) -> str:
    return "\n".join(source.lines[node.lineno - 1 : node.end_lineno])


def _lines(source: Source, words: Iterable[str]) -> set[int]:
    """The lines that hold one of the words."""
    found = set()
    text = source.text
    for word in words:
        at = text.find(word)
        while at >= 0:
            line = bisect_left(_breaks(source), at) + 1
            found.add(line)
            at = text.find(word, at + len(word))
    return found


@lru_cache(maxsize=2)
def _breaks(source: Source) -> list[int]:
    """Where the lines end."""
    return [m.start() for m in re.finditer("\n", source.text)]


def _within(node: Function, lines: list[int]) -> bool:
    first = min((d.lineno for d in node.decorator_list), default=node.lineno)
    at = bisect_left(lines, first)
    return at < len(lines) and lines[at] <= (node.end_lineno or node.lineno)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of names and attributes; of anything else the attributes that end it (`.b.c`), or nothing."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    head = node.id if isinstance(node, ast.Name) else ""
    return ".".join([head, *reversed(parts)]) if parts or head else ""


def last(node: ast.AST) -> str:
    """The last part of a dotted name."""
    return dotted(node).rpartition(".")[2]


def calls(node: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call below `node` with the dotted name of what is called."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            yield inner, dotted(inner.func)


def own_calls(function: Function) -> Iterator[tuple[ast.Call, str]]:
    """The calls of a function without those of functions and classes inside it."""
    stack: list[ast.AST] = list(reversed(function.body))
    while stack:
        node = stack.pop()
        if isinstance(node, Function | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node, dotted(node.func)
        stack += reversed(list(ast.iter_child_nodes(node)))


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def text_of(node: ast.AST | None) -> str:
    """The text of a literal; empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def texts(node: ast.AST) -> frozenset[str]:
    """Every literal text below `node`."""
    return frozenset(
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    )


def constants(tree: ast.Module) -> dict[str, tuple[int, frozenset[str]]]:
    """Names of a module and its classes that are set to a literal collection: line and texts of it."""
    found: dict[str, tuple[int, frozenset[str]]] = {}
    places = [tree.body, *(n.body for n in tree.body if isinstance(n, ast.ClassDef))]
    for statement in (s for body in places for s in body):
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        collection = (
            value.args[0]
            if isinstance(value, ast.Call)
            and value.args
            and last(value.func) in {"set", "frozenset", "list", "tuple"}
            else value
        )
        if isinstance(collection, ast.List | ast.Set | ast.Tuple | ast.Dict):
            for target in targets:
                if isinstance(target, ast.Name):
                    found[target.id] = (statement.lineno, texts(collection))
    return found
