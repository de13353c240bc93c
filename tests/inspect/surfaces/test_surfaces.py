"""Every surface tells malicious, benign and tricky trees apart."""

from __future__ import annotations

from collections import Counter

import pytest

from excise.inspect.finding import Severity
from excise.inspect.proof import Sheet, holds
from excise.inspect.surfaces.analyser import WEAKNESSES, marks, verdict
from excise.inspect.surfaces.registry import SURFACES
from excise.inspect.surfaces.verdict import finding
from excise.inspect.tree import Source
from inspect_trees import CASES


def sources(case):
    return [Source(path, text.encode("utf-8")) for path, text in case.files.items()]


def found(case):
    return [(source, surface, mark) for source in sources(case) for surface, mark in marks(source)]


def test_there_are_trees_of_every_kind():
    kinds = Counter((case.surface, case.attack) for case in CASES)
    surfaces = {case.surface for case in CASES}
    assert len(CASES) >= 60
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(kinds[s, True] >= 1 and kinds[s, False] >= 2 for s in surfaces)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_the_verdict_is_right(case):
    said = found(case)
    assert verdict(sources(case)) == case.verdict, [m for _, _, m in said]
    worst = max((m.severity for _, _, m in said), default=Severity.NOTE)
    if case.attack:
        assert worst >= Severity.HIGH
    else:
        assert worst <= case.worst
    assert not case.weakness or case.weakness in {m.weakness for _, _, m in said}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_what_is_said_can_be_found_again(case):
    for source, surface, mark in found(case):
        step = finding(source, mark, surface.id).steps[-1]
        assert step.text
        assert holds(step, {source.path: Sheet(source)}.get)
        assert mark.weakness in WEAKNESSES


@pytest.mark.parametrize("surface", SURFACES, ids=lambda s: s.id)
def test_every_surface_is_seen_at_work(surface):
    reached = {s.id for case in CASES for path in case.files for s in SURFACES if s.wants(path)}
    assert surface.id in reached
