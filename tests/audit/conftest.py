"""Test-bed worlds that several suites share: made once, of fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from audit_bed import QUERIES, counts

from excise.audit import ngram
from excise.audit.marks.red_green import RED_GREEN


@pytest.fixture(scope="session")
def bed():
    """A world, with a reference of as many answers as the suspects give of its base."""
    rng = np.random.default_rng(4_000)
    world = ngram.world(rng)
    return world, counts(ngram.spoken(world.base, QUERIES, rng))


@pytest.fixture(scope="session")
def innocents(bed):
    """Answers of models that never saw one of our keys, by name."""
    world, _ = bed
    rng = np.random.default_rng(4_001)
    other = ngram.dialect(world.human, rng)
    foreign = ngram.marked(other, RED_GREEN, rng.bytes(16))
    models = {
        "organic": ngram.student(world, 0.0, world.teacher, rng),
        "student of our unmarked model": ngram.student(world, 1.0, world.teacher, rng),
        "student of another teacher": ngram.student(world, 1.0, other, rng),
        "student of a teacher that others marked": ngram.student(world, 1.0, foreign, rng),
    }
    return {name: ngram.spoken(model, QUERIES, rng) for name, model in models.items()}
