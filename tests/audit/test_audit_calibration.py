"""p-values that hold for innocent models, and the shortcut that would break them."""

from __future__ import annotations

import numpy as np
import pytest
from audit_bed import counts

from excise.audit import prf
from excise.audit.marks import MARKS
from excise.audit.statistic import contrast, decoys, fair_tail, log10_bound, published, tail_bound
from excise.stats.tails import binomial_tail

LEVELS = (0.05, 0.01, 0.001)
KEYS = 5_000
NULL = 20_000
SURE = 0.999


def interval(n, p):
    """The central 99.9 % interval of Binomial(n, p)."""
    inside = [
        k
        for k in range(n + 1)
        if binomial_tail(k, n, p) > (1 - SURE) / 2 and binomial_tail(k + 1, n, p) < 1 - (1 - SURE) / 2
    ]
    return inside[0], inside[-1]


NAMES = [
    "organic",
    "student of our unmarked model",
    "student of another teacher",
    "student of a teacher that others marked",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_p_values_hold_for_innocent_models_over_five_thousand_keys(name, bed, innocents):
    """Each of 5,000 keys is ranked among decoys that are no trial key, so nothing makes the ranks uniform by themselves."""
    found = contrast(counts(innocents[name]), bed[1])
    null = np.sort(prf.contrasts(decoys(b"decoys", NULL), found.tuples, found.weights, prf.BIT))
    trial = prf.contrasts(decoys(b"trial keys", KEYS), found.tuples, found.weights, prf.BIT)
    ranks = (1 + NULL - np.searchsorted(null, trial, "left")) / (1 + NULL)
    bounds = np.array([tail_bound(z) for z in trial])
    for level in LEVELS:
        low, high = interval(KEYS, level)
        assert low <= (ranks <= level).sum() <= high
        assert (bounds <= level).sum() <= high
    assert abs(trial.mean()) < 0.05
    assert abs(trial.std() - 1) < 0.03


@pytest.mark.parametrize("mark", MARKS, ids=lambda m: m.id)
def test_every_mark_s_scores_are_calibrated(mark, bed, innocents):
    found = contrast(counts(innocents["student of our unmarked model"][:100]), bed[1])
    trial = prf.contrasts(decoys(b"other trial keys", 2_000), found.tuples, found.weights, mark.kind)
    for level in LEVELS:
        assert sum(tail_bound(z) <= level for z in trial) <= interval(2_000, level)[1]
    assert abs(trial.std() - 1) < 0.05


@pytest.mark.parametrize("mark", MARKS, ids=lambda m: m.id)
def test_the_published_tests_are_calibrated_on_distinct_tuples(mark, innocents):
    said = counts(innocents["organic"][:60])
    keys = decoys(b"published", 600)
    p = np.array([published(said, key.tobytes(), mark.kind).p for key in keys])
    for level in (0.05, 0.01):
        low, high = interval(len(keys), level)
        assert low <= (p <= level).sum() <= high


def test_counting_a_tuple_as_often_as_it_is_said_accuses_innocent_models(innocents):
    """The guard: the same coin counted again and again is not more coins. Without de-duplication the test is broken."""
    said = counts(innocents["organic"])
    keys = decoys(b"guard", 300)
    rejected = 0
    for key in keys:
        green = prf.draws(key.tobytes(), said.tuples) >> np.uint64(63)
        rejected += fair_tail(int((green * said.said).sum()), int(said.total)) <= 0.01
    assert rejected > 5 * interval(len(keys), 0.01)[1]


@pytest.mark.parametrize("name", NAMES)
def test_innocent_models_are_not_accused_under_keys_that_were_served(name, bed, innocents):
    found = contrast(counts(innocents[name]), bed[1])
    keys = np.frombuffer(np.random.default_rng(77).bytes(16 * 24), "<u8").reshape(24, 2)
    assert max(-log10_bound(z) for z in prf.contrasts(keys, found.tuples, found.weights, prf.BIT)) < 3
