"""A pilot's power is an estimate: near what happens on the test-bed, wide where little is known, and never part of the test."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from audit_bed import counts
from cases import PLAN, PROMPTS, done, excise, material, write_answers

from excise.audit import keys as stored
from excise.audit import ngram, prf
from excise.audit.marks.red_green import RED_GREEN
from excise.audit.pilot import FEWEST, estimated
from excise.audit.power import z_needed
from excise.audit.statistic import contrast, z_of
from excise.audit.tokens import counted

LOOKS = (400,)
ALPHA = 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_the_estimate_is_near_what_happens(share):
    """Pilots of 200 answers foretell a test of 400 of another student under another key, over five worlds."""
    told, passed = [], []
    for number in range(5):
        rng = np.random.default_rng([8_800, number])
        world, keys = ngram.world(rng), (rng.bytes(16), rng.bytes(16))
        reference = counts(ngram.spoken(world.base, 400, rng))
        students = [
            ngram.student(world, share, ngram.marked(world.teacher, RED_GREEN, key), rng) for key in keys
        ]
        pilot = [ngram.tuples_of(row[None]) for row in ngram.spoken(students[0], 200, rng)]
        told.append(estimated(pilot, reference, keys[0], prf.BIT, LOOKS, ALPHA))
        said = counts(ngram.spoken(students[1], 400, rng))
        passed.append(z_of(contrast(said, reference), keys[1], prf.BIT) >= z_needed(ALPHA / 2))
    assert np.mean([t.power for t in told]) == pytest.approx(np.mean(passed), abs=0.3)
    assert all(0 <= t.low <= t.power <= t.high <= 1 for t in told)
    if share == 0.1:
        assert np.mean([t.high - t.low for t in told]) > 0.3


def test_a_pilot_that_shows_nothing_promises_nothing():
    rng = np.random.default_rng(3)
    rows = [rng.integers(1 << 32, size=(40, 3)).astype(np.uint64) for _ in range(100)]
    found = estimated(rows, counted(()), bytes(16), prf.BIT, (100, 400), 1e-6)
    assert found.power < 0.2
    assert math.isfinite(found.z)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pilot")
    material(folder)
    rng = np.random.default_rng(99)
    held = stored.load(folder / "master.key")
    world = ngram.world(rng)
    marked = ngram.marked(world.teacher, RED_GREEN, held.key(stored.parse_name("red-green:pilot@1")))
    student = ngram.student(world, 0.5, marked, rng)
    others = [f"Say something of {i}." for i in range(80)]
    write_answers(folder / "pilot.ndjson", student, rng, prompts=others)
    write_answers(folder / "few.ndjson", student, rng, prompts=others[: FEWEST - 1])
    write_answers(folder / "same.ndjson", student, rng, prompts=[*others, PROMPTS[3]])
    return folder


def test_a_plan_tells_the_pilot_s_estimate_and_the_page_says_what_it_is(home):
    said = done(*PLAN, "case", "--pilot", "red-green:pilot@1=pilot.ndjson", cwd=home)
    assert "an estimate" in said.stderr
    plan = json.loads((home / "case" / "plan.json").read_text())
    assert plan["pilot"]["estimate"]["answers"] == 80
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=home)
    done("audit", "report", "case", "--keys", "master.key", cwd=home)
    assert "Nothing of the pilot is part of the test" in (home / "case" / "report.html").read_text()


@pytest.mark.parametrize(
    ("pilot", "why"),
    [
        ("red-green:k7@1=pilot.ndjson", "tossed twice"),
        ("gumbel:pilot@1=pilot.ndjson", "otherwise"),
        ("red-green:pilot@1=same.ndjson", "shares prompts"),
        ("red-green:pilot@1=few.ndjson", "at least"),
        ("red-green:pilot@1", "KEY=FILE"),
        ("red-green:pilot@1=nowhere", "no such file"),
    ],
)
def test_a_pilot_that_would_spoil_the_test_is_refused(home, pilot, why):
    said = excise(*PLAN, "new", "--pilot", pilot, cwd=home)
    assert said.returncode in (2, 3)
    assert why in said.stderr
    assert "  hint: " in said.stderr
    assert not (home / "new").exists()
