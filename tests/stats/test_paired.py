"""Paired tests and intervals against slow, obvious definitions and published values."""

from __future__ import annotations

import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.stats.paired import Pairs, mcnemar, newcombe, sign_flip, tango, wilson

cells = st.integers(0, 40)
tables = st.builds(Pairs, cells, cells, cells, cells).filter(lambda p: p.total > 0)
Z = NormalDist().inv_cdf(0.975)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_is_the_share_of_coin_sequences_that_lose_as_many(lost, gained):
    n = lost + gained
    expected = sum(math.comb(n, k) for k in range(lost, n + 1)) / 2**n
    assert mcnemar(Pairs(3, lost, gained, 5)) == pytest.approx(expected)


@given(st.lists(st.integers(-3, 3), max_size=9))
def test_sign_flip_counts_every_pattern_of_signs(differences):
    patterns = list(product((1, -1), repeat=len(differences)))
    reached = [
        sum(s * d for s, d in zip(signs, differences, strict=True)) >= sum(differences) for signs in patterns
    ]
    assert sign_flip(differences) == pytest.approx(sum(reached) / len(patterns))


@given(tables)
def test_sign_flip_of_single_answers_is_mcnemar(pairs):
    differences = [1] * pairs.lost + [-1] * pairs.gained + [0] * pairs.both
    assert sign_flip(differences) == pytest.approx(mcnemar(pairs))


def test_sign_flip_keeps_its_precision_far_out():
    assert sign_flip([1] * 128) == pytest.approx(2.0**-128)


@pytest.mark.parametrize(
    ("pairs", "method", "low", "high"),
    [
        (Pairs(36, 12, 2, 0), newcombe, 0.0569, 0.3404),  # Newcombe 1998, table II, method 10
        (Pairs(1, 1, 7, 12), newcombe, -0.507, -0.026),  # Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness
        (Pairs(1, 1, 7, 12), tango, -0.517, -0.026),  # the same
    ],
)  # fmt: skip
def test_intervals_are_the_published_ones(pairs, method, low, high):
    digits = len(str(low).split(".")[1])
    assert [round(end, digits) for end in method(pairs)] == [low, high]


@given(st.integers(1, 60), st.data())
def test_wilson_holds_the_rates_that_the_score_test_keeps(total, data):
    events = data.draw(st.integers(0, total))
    low, high = wilson(events, total)
    for rate in np.linspace(0.001, 0.999, 200):
        kept = abs(events / total - rate) <= Z * math.sqrt(rate * (1 - rate) / total)
        assert kept == (low <= rate <= high) or min(abs(rate - low), abs(rate - high)) < 1e-9


def likelihood(pairs, delta, gained):
    lost = gained + delta
    rest = 1 - lost - gained
    terms = ((pairs.lost, lost), (pairs.gained, gained), (pairs.both + pairs.neither, rest))
    return sum(n * np.log(np.maximum(p, 1e-300)) for n, p in terms if n)


@settings(deadline=None, max_examples=50)
@given(tables, st.floats(-0.95, 0.95))
def test_tango_keeps_what_the_score_test_keeps(pairs, delta):
    """The slow definition: the restricted maximum of the likelihood by search, then the score statistic."""
    low, high = tango(pairs)
    if min(abs(delta - low), abs(delta - high)) < 2e-3:
        return
    grid = np.linspace(max(0.0, -delta), (1 - delta) / 2, 50_001)
    gained = grid[np.argmax(likelihood(pairs, delta, grid))]
    variance = pairs.total * (2 * gained + delta - delta * delta)
    excess = abs(pairs.lost - pairs.gained - pairs.total * delta)
    assert (excess <= Z * math.sqrt(max(variance, 0.0))) == (low <= delta <= high)


@given(tables)
def test_intervals_hold_the_estimate_lie_inside_and_turn_with_the_sides(pairs):
    turned = Pairs(pairs.both, pairs.gained, pairs.lost, pairs.neither)
    for method in (newcombe, tango):
        low, high = method(pairs)
        assert -1 - 1e-9 <= low <= pairs.difference + 1e-9
        assert pairs.difference - 1e-9 <= high <= 1 + 1e-9
        assert method(turned) == pytest.approx((-high, -low), abs=1e-8)


def test_nothing_compared_says_nothing():
    empty = Pairs(0, 0, 0, 0)
    assert newcombe(empty) == tango(empty) == (-1.0, 1.0)
    assert wilson(0, 0) == (0.0, 1.0)
    assert sign_flip([]) == mcnemar(empty) == 1.0
