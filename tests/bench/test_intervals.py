"""Bounds that a benchmark prints."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intervals import interval, share, upper_bound


@pytest.mark.parametrize(("n", "bound"), [(100, 0.029513), (300_000, 9.9857e-6)])
def test_nothing_seen_is_at_most_three_in_n(n, bound):
    assert upper_bound(0, n) == pytest.approx(bound, rel=1e-3)


@given(st.integers(0, 30), st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_at_the_bound_so_few_hits_have_the_chance_that_is_left(hits, trials):
    bound = upper_bound(hits, trials)
    if hits >= trials:
        assert bound == 1.0
        return
    chance = sum(math.comb(trials, k) * bound**k * (1 - bound) ** (trials - k) for k in range(hits + 1))
    assert chance == pytest.approx(0.05, abs=1e-6)


def test_an_interval_is_students():
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2.0, 2 - 4.303 / math.sqrt(3), 2 + 4.303 / math.sqrt(3))
    )
    assert interval([0.4]) == (0.4, 0.4, 0.4)
    assert share([0.9, 1.0, 1.0]).startswith("0.967 [")
    assert share([]) == "none"
