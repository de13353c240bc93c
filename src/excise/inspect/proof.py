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

KEPT: Final = 256
"""Parsed files that are kept while proofs are replayed."""
WORDS: Final = 160
"""Characters of a line that a step shows."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Sheet:
    """One file as the checker sees it: by line, the names in the statement that starts there and its function."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.statement: dict[int, ast.stmt] = {}
        self.function: dict[int, str] = {}
        if source.path.endswith((".py", ".pyw")):
            self._visit(source.syntax, "")

    def _visit(self, node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                last = child.end_lineno or child.lineno
                if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                    last = child.body[0].lineno - 1 if child.body else last
                for line in range(child.lineno, min(last, child.lineno + 400) + 1):
                    self.statement[line] = child
                    self.function[line] = child.name if isinstance(child, _FUNCTIONS) else name
            inner = child.name if isinstance(child, _FUNCTIONS) else name
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                self._visit(child, inner)

    def names(self, line: int) -> set[str]:
        """Every identifier of the statement at a line: variables, attributes, parameters, keywords, strings that are keys."""
        node = self.statement.get(line)
        if node is None:
            return set()
        return _names(node, line)


def _names(node: ast.stmt, line: int) -> set[str]:
    out: set[str] = set()
    compound = hasattr(node, "body")
    for inner in ast.walk(node):
        at = getattr(inner, "lineno", line)
        if compound and isinstance(inner, ast.stmt) and inner is not node:
            continue
        if compound and at > line + 40:
            continue
        if isinstance(inner, ast.Name):
            out.add(inner.id)
        elif isinstance(inner, ast.Attribute):
            out.add(inner.attr)
        elif isinstance(inner, ast.arg) or (isinstance(inner, ast.keyword) and inner.arg):
            out.add(inner.arg or "")
        elif isinstance(inner, (*_FUNCTIONS, ast.ClassDef)):
            out.add(inner.name)
        elif isinstance(inner, ast.alias):
            out.add(inner.name.rpartition(".")[2])
    return out - {""}


def replay(listing: Listing, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each finding with `proven` set, and with the words of the file in those of its steps that had none."""
    by_path = {e.path: e for e in listing.entries}

    @lru_cache(KEPT)
    def sheet(path: str) -> Sheet | None:
        entry = by_path.get(path)
        got = read(listing.root, entry) if entry is not None and entry.kind == "file" else None
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
    """Whether the words of `step` stand at its line, and a call where one is promised."""
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
            isinstance(n, (ast.Call, ast.Attribute, ast.Subscript)) for n in ast.walk(node)
        )
    return True


def connected(a: Step, b: Step, sheet: Callable[[str], Sheet | None]) -> bool:
    """Whether data can have gone from one step to the next, by the names in their statements."""
    one, two = sheet(a.path), sheet(b.path)
    if one is None or two is None:
        return False
    here, there = one.function.get(a.line, ""), two.function.get(b.line, "")
    first, second = one.names(a.line), two.names(b.line)
    if first & second:
        return True
    if a.path == b.path and here == there:
        return _between(one, a.line, b.line, first, second)
    return here in second or there in first or there in ("__init__", "__call__") or here == ""


def _between(page: Sheet, start: int, end: int, first: set[str], second: set[str]) -> bool:
    """Whether names lead from one statement to another through those between them, forwards."""
    reached = set(first)
    for line in range(min(start, end), max(start, end) + 1):
        names = page.names(line)
        if names & reached:
            reached |= names
    return bool(reached & second)


def _shown(step: Step, sheet: Callable[[str], Sheet | None]) -> Step:
    if step.text or step.line == 0:
        return step
    page = sheet(step.path)
    return replace(step, text=page.source.line(step.line).strip()[:WORDS]) if page else step
