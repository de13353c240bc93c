"""The code that an agent is shown: the functions around a finding's steps, or an entry point that has no finding."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from excise.inspect.analyser import is_python
from excise.inspect.finding import Finding, Report, Severity
from excise.inspect.python.flow import is_test
from excise.inspect.tree import Source, Unparsable
from excise.inspect.walk import Listing, read

MOST_LINES: Final = 120
"""Lines of one piece."""
AROUND: Final = 12
"""Lines shown on each side where there is no function."""
MOST_CHARACTERS: Final = 24_000
"""Of all pieces of one question."""
MOST_LINE: Final = 400


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of one file; `first` is the number of the first."""

    path: str
    first: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: a finding, or an entry point (then `finding` is None and `about` its name)."""

    about: str
    pieces: tuple[Piece, ...]
    finding: Finding | None = None

    @property
    def paths(self) -> frozenset[str]:
        """The files that are shown."""
        return frozenset(p.path for p in self.pieces)


def questions(report: Report, listing: Listing, notes: Mapping[str, Any], most: int) -> list[Question]:
    """At most `most`: the findings from the worst on, then entry points without one, by how much they hand on."""
    asked = [f for f in report.findings if f.severity >= Severity.LOW and f.weakness != "coverage"][:most]
    out = [Question(f.fingerprint, _pieces(listing, [(s.path, s.line) for s in f.steps]), f) for f in asked]
    places = _entries(report, notes)[: most - len(out)]
    out += [Question(name, _pieces(listing, [(path, line)])) for path, line, name in places]
    return [q for q in out if q.pieces]


def _entries(report: Report, notes: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Path, line and name of each function that an outsider reaches and that has no finding, the busiest first."""
    known = {(f.path, f.symbol) for f in report.findings}
    found = [
        (-record["t"].count("\n") - 4 * record["s"], path, record["l"], record["q"])
        for path, note in notes.items()
        if not is_test(path)
        for record in note["f"]
        if record["k"] and record["e"] and (path, record["q"]) not in known
    ]
    return [(path, line, name) for _, path, line, name in sorted(found)]


def _pieces(listing: Listing, places: Sequence[tuple[str, int]]) -> tuple[Piece, ...]:
    by_path = {e.path: e for e in listing.entries}
    out: dict[tuple[str, int], Piece] = {}
    size = 0
    for path, line in dict.fromkeys(places):
        entry = by_path.get(path)
        if line == 0 or entry is None or entry.kind != "file" or _shown(out, path, line):
            continue
        source = read(listing, entry)
        if not isinstance(source, Source):
            continue
        piece = _piece(source, line)
        size += sum(len(text) for text in piece.lines)
        if size > MOST_CHARACTERS:
            break
        out[(path, piece.first)] = piece
    return tuple(out.values())


def _shown(out: Mapping[tuple[str, int], Piece], path: str, line: int) -> bool:
    return any(p.path == path and p.first <= line < p.first + len(p.lines) for p in out.values())


def _piece(source: Source, line: int) -> Piece:
    first, last = max(1, line - AROUND), min(len(source.lines), line + AROUND)
    for start, end in _functions(source):
        if start <= line <= end:
            first, last = start, end
    first = max(first, line - MOST_LINES // 2)
    last = min(last, first + MOST_LINES - 1)
    return Piece(source.path, first, tuple(t[:MOST_LINE] for t in source.lines[first - 1 : last]))


def _functions(source: Source) -> Iterator[tuple[int, int]]:
    """First and last line of every function, outer ones first."""
    if not is_python(source.path):
        return
    try:
        nodes = list(ast.walk(source.syntax))
    except (Unparsable, RecursionError):
        return
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno or node.lineno
