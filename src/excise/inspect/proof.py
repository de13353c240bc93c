"""Replay each finding's steps on the sources, knowing nothing of how they were found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from excise.inspect.finding import Finding, Gap, Step
from excise.inspect.tree import Source
from excise.inspect.walk import Listing, read


def replay(listing: Listing, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each finding with `proven` set: whether every step's words are where it says."""
    by_path = {e.path: e for e in listing.entries}

    @lru_cache(64)
    def source(path: str) -> Source | None:
        entry = by_path.get(path)
        got = read(listing.root, entry) if entry is not None and entry.kind == "file" else None
        return None if isinstance(got, Gap) else got

    for finding in findings:
        yield replace(
            finding,
            proven=bool(finding.steps) and all(map(lambda s: holds(s, source(s.path)), finding.steps)),
        )


def holds(step: Step, source: Source | None) -> bool:
    """Whether the words of `step` stand at its line (or within the ten lines of the statement that starts there)."""
    if step.line == 0:
        return True
    if source is None or step.line > len(source.lines):
        return False
    there = " ".join("\n".join(source.lines[step.line - 1 : step.line + 9]).split())
    return " ".join(step.text.split()) in there
