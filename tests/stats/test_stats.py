"""Tail probabilities against sums over exact fractions; the evidence of p-values; shares against their own groups."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.stats.excess import excess_shares
from excise.stats.tails import (
    binomial_tail,
    log_odds_of,
    normal_tail,
    poisson_tail,
    q_values,
    rank_p,
    sigmoid,
    student_quantile,
)


@given(st.integers(0, 40), st.integers(0, 40), st.fractions(0, 1, max_denominator=50))
@settings(max_examples=200, deadline=None)
def test_binomial_tail_equals_the_sum_of_its_terms(k, n, p):
    exact = sum((math.comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(max(k, 0), n + 1)), Fraction(0))
    assert binomial_tail(k, n, float(p)) == pytest.approx(float(exact), rel=1e-9, abs=1e-12)


@given(st.integers(0, 60), st.floats(0.01, 40))
@settings(max_examples=200, deadline=None)
def test_poisson_tail_equals_one_minus_the_terms_below(k, mean):
    below = sum(math.exp(-mean + x * math.log(mean) - math.lgamma(x + 1)) for x in range(k))
    assert poisson_tail(k, mean) == pytest.approx(max(0.0, 1 - below), rel=1e-6, abs=1e-9)


def test_normal_tail_has_the_textbook_values():
    assert normal_tail(0.0) == pytest.approx(0.5)
    assert normal_tail(1.959964) == pytest.approx(0.025, abs=1e-6)


@given(st.floats(1e-13, 1), st.floats(1e-13, 1))
def test_a_smaller_p_value_is_never_worth_less(a, b):
    low, high = min(a, b), max(a, b)
    assert log_odds_of(low) >= log_odds_of(high) >= 0.0
    assert log_odds_of(1 / math.e) == 0.0


@given(st.floats(-700, 700))
def test_sigmoid_turns_log_odds_into_a_probability(x):
    assert 0.0 <= sigmoid(x) <= 1.0
    assert sigmoid(x) + sigmoid(-x) == pytest.approx(1.0)


def test_a_rank_is_never_zero():
    assert rank_p(9.0, [1.0, 2.0, 3.0]) == 0.25
    assert rank_p(0.0, [1.0, 2.0, 3.0]) == 1.0


@given(st.lists(st.floats(0, 1), max_size=30))
def test_q_values_are_the_mean_error_of_all_at_least_as_strong(errors):
    got = q_values(errors)
    for e, q in zip(errors, got, strict=True):
        stronger = [x for x in errors if x <= e]
        assert q == pytest.approx(sum(stronger) / len(stronger))


def test_a_planted_group_stands_out_and_its_peers_do_not():
    rng = np.random.default_rng(3)
    trials = rng.integers(10, 60, 300)
    hits = rng.binomial(trials, 0.05)
    shares = excess_shares([*hits.tolist(), 20], [*trials.tolist(), 40], floor=0.02)
    assert shares.log_odds[-1] > 10
    assert np.mean(np.array(shares.log_odds[:-1]) > 3) < 0.02


def test_groups_that_differ_by_nature_lower_what_a_share_is_worth():
    rng = np.random.default_rng(4)
    trials = np.full(300, 40)
    even = excess_shares([*rng.binomial(trials, 0.1).tolist(), 14], [*trials.tolist(), 40], floor=0.02)
    uneven = excess_shares(
        [*rng.binomial(trials, rng.beta(0.5, 4.5, 300)).tolist(), 14], [*trials.tolist(), 40], floor=0.02
    )
    assert uneven.log_odds[-1] < even.log_odds[-1]


def test_nothing_to_compare_is_nothing_to_say():
    assert excess_shares([], [], floor=0.1).log_odds == ()
    assert excess_shares([0.0], [0.0], floor=0.1).log_odds == (0.0,)


@pytest.mark.parametrize(
    ("p", "df", "quantile"),
    [
        (0.95, 5, 2.015048),
        (0.975, 10, 2.228139),
        (0.99, 3, 4.540703),
        (0.995, 30, 2.749996),
        (0.999, 11, 4.024701),
    ],
)
def test_student_quantiles_are_those_of_the_tables(p, df, quantile):
    assert student_quantile(p, df) == pytest.approx(quantile, abs=2e-6)
