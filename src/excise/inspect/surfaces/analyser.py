"""The surfaces as analysers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from excise.inspect.analyser import Analyser, per_file
from excise.inspect.finding import Finding
from excise.inspect.surfaces.registry import SURFACES
from excise.inspect.surfaces.surface import Surface
from excise.inspect.surfaces.verdict import Mark, Verdict, finding
from excise.inspect.tree import Source

MOST_MARKS = 100
"""Findings of one class in one file: what comes after them says nothing that they do not."""


def marks(source: Source) -> Iterator[tuple[Surface, Mark]]:
    """What every surface that wants the file says of it."""
    for surface in SURFACES:
        if surface.wants(source.path):
            for mark in surface.marks(source):
                yield surface, mark


def verdict(sources: Iterable[Source]) -> Verdict:
    """The worst verdict over some files."""
    return max((mark.verdict for source in sources for _, mark in marks(source)), default=Verdict.INERT)


WEAKNESSES = (
    "runs-on-open", "secret-exfiltration", "hidden-text", "agent-orders", "lowered-approval", "unpinned-code",
    "ci-prompt-injection", "ci-script-injection",
)  # fmt: skip


def analyser(surface: Surface) -> Analyser:
    """One surface as an analyser of its own, so that a file which one cannot read is still read by the others."""

    def find(source: Source) -> Iterator[Finding]:
        said: Counter[str] = Counter()
        for mark in surface.marks(source):
            said[mark.weakness] += 1
            if said[mark.weakness] <= MOST_MARKS:
                yield finding(source, mark, surface.id)

    return per_file(surface.id, WEAKNESSES, surface.wants, find)


SURFACE_ANALYSERS = tuple(map(analyser, SURFACES))
