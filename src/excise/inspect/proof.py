"""Replay each finding's steps on the sources alone: a small checker that knows nothing of how they were found.

It parses the files again and asks of every step what its rule promises (`finding.Rule`), and of every two steps that
follow each other that something connects them: within a function a name that both statements use, between functions
the name of the one in the statement of the other, or an attribute that both use. It knows no table of sources or
sinks, so it proves that the chain is there, not that its ends matter: that is said by the facts, for a person to read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

from excise.inspect.finding import Finding, Step
from excise.inspect.tree import Source, Unparsable
from excise.inspect.walk import Listing, read

KEPT: Final = 12
"""Parsed files that are kept while proofs are replayed."""
WORDS: Final = 160
"""Characters of a line that a step shows."""

LONGEST: Final = 400
"""Lines of a statement that are looked at."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Sheet:
    """One file as the checker sees it: by line, the statement that is there and the functions and class around it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.statement: dict[int, ast.stmt] = {}
        self.around: dict[int, tuple[str, ...]] = {}
        self.owner: dict[int, str] = {}
        if source.path.endswith((".py", ".pyw")):
            self._visit(source.syntax, (), "")

    def _visit(self, node: ast.AST, around: tuple[str, ...], owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            inside, kind = around, owner
            if isinstance(child, _FUNCTIONS):
                inside = (*around, child.name)
            elif isinstance(child, ast.ClassDef):
                kind = child.name
            if isinstance(child, ast.stmt):
                last = min(_end_of_head(child), child.lineno + LONGEST)
                for line in range(child.lineno, last + 1):
                    self.statement[line] = child
                    self.around[line], self.owner[line] = inside, kind
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                self._visit(child, inside, kind)

    def names(self, line: int) -> frozenset[str]:
        """Every identifier of the statement at a line: variables, attributes, parameters, names of arguments."""
        node = self.statement.get(line)
        return _names(node) if node is not None else frozenset()

    def fields(self, line: int) -> frozenset[str]:
        """The attributes of `self` that the statement at a line uses."""
        node = self.statement.get(line)
        return frozenset(
            inner.attr
            for inner in (_head(node) if node is not None else ())
            if isinstance(inner, ast.Attribute)
            and isinstance(inner.value, ast.Name)
            and inner.value.id in ("self", "cls")
        )


def _end_of_head(node: ast.stmt) -> int:
    """The last line of a statement, of a compound one of its head."""
    body = getattr(node, "body", None)
    last = node.end_lineno or node.lineno
    return max(node.lineno, body[0].lineno - 1) if body else last


def _head(node: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement, of a compound one without the statements inside it."""
    yield node
    pending: list[ast.AST] = [node]
    while pending:
        for child in ast.iter_child_nodes(pending.pop()):
            if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                yield child
                pending.append(child)


def _names(node: ast.stmt) -> frozenset[str]:
    out: set[str] = set()
    for inner in _head(node):
        if isinstance(inner, ast.Name):
            out.add(inner.id)
        elif isinstance(inner, ast.Attribute):
            out.add(inner.attr)
        elif isinstance(inner, (ast.arg, ast.keyword)):
            out.add(inner.arg or "")
        elif isinstance(inner, (*_FUNCTIONS, ast.ClassDef)):
            out.add(inner.name)
        elif isinstance(inner, ast.alias):
            out.add(inner.name.rpartition(".")[2])
    return frozenset(out - {"", "self", "cls"})


def replay(listing: Listing, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each finding with `proven` set, and with the words of the file in those of its steps that had none."""
    by_path = {e.path: e for e in listing.entries}

    @lru_cache(KEPT)
    def sheet(path: str) -> Sheet | None:
        entry = by_path.get(path)
        got = read(listing, entry) if entry is not None and entry.kind == "file" else None
        if not isinstance(got, Source):
            return None
        try:
            return Sheet(got)
        except (Unparsable, RecursionError):
            return None

    for finding in findings:
        proven = bool(finding.steps) and proves(finding, sheet)
        yield replace(finding, proven=proven, steps=tuple(_shown(s, sheet) for s in finding.steps))


def proves(finding: Finding, sheet: Callable[[str], Sheet | None]) -> bool:
    """Whether every step holds and every two that follow each other are connected."""
    if not all(holds(step, sheet) for step in finding.steps):
        return False
    chain = [s for s in finding.steps if s.rule in ("source", "flow", "call", "sink")]
    return all(connected(a, b, sheet) for a, b in pairwise(chain))


def holds(step: Step, sheet: Callable[[str], Sheet | None]) -> bool:
    """Whether the words of `step` stand at its line, and a use of a value where one is promised."""
    if step.line == 0:
        return True
    page = sheet(step.path)
    if page is None or step.line > len(page.source.lines):
        return False
    there = " ".join("\n".join(page.source.lines[step.line - 1 : step.line + 30]).split())
    words = " ".join(step.text.split())
    if step.rule == "source":
        return all(
            part in there
            for part in words.replace("(", ".").replace(")", ".").split(".")
            if part.isidentifier()
        )
    if words[:WORDS] not in there:
        return False
    if step.rule in ("call", "sink"):
        node = page.statement.get(step.line)
        return node is not None and any(
            isinstance(n, (ast.Call, ast.Attribute, ast.Subscript, ast.JoinedStr, ast.BinOp))
            for n in ast.walk(node)
        )
    return True


def connected(a: Step, b: Step, sheet: Callable[[str], Sheet | None]) -> bool:
    """Whether data can have gone from one step to the next, by the names in their statements."""
    one, two = sheet(a.path), sheet(b.path)
    if one is None or two is None:
        return False
    here, there = one.around.get(a.line, ()), two.around.get(b.line, ())
    first, second = one.names(a.line), two.names(b.line)
    nested = a.path == b.path and (here[: len(there)] == there or there[: len(here)] == here)
    if nested and (first & second or _between(one, a.line, b.line, first, second)):
        return True
    if one.fields(a.line) & two.fields(b.line):
        return True
    called = {*there[-1:], two.owner.get(b.line, "")} - {""}
    calling = {*here[-1:], one.owner.get(a.line, "")} - {""}
    return bool(called & first or calling & second or there[-1:] == ("__call__",))


def _between(page: Sheet, start: int, end: int, first: frozenset[str], second: frozenset[str]) -> bool:
    """Whether names lead from one statement to another through those between them, forwards."""
    reached = set(first)
    for line in range(min(start, end), max(start, end)):
        names = page.names(line)
        if names & reached:
            reached |= names
    return bool(reached & second)


def _shown(step: Step, sheet: Callable[[str], Sheet | None]) -> Step:
    if step.text or step.line == 0:
        return step
    page = sheet(step.path)
    return replace(step, text=page.source.line(step.line).strip()[:WORDS]) if page else step
