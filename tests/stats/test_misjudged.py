"""A judge's errors are taken out again: exactly where they are known, and with intervals that hold the truth where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.stats import misjudged
from excise.stats.misjudged import PERFECT, Counted, ErrorRates, count_errors
from excise.stats.paired import Pairs
from excise.stats.tails import binomial_tail

MANY = 10**8


def correct(*arguments, **options):
    return misjudged.correct(*arguments, draws=2000, **options)


def exactly(tpr, fpr):
    return ErrorRates((Counted(round(tpr * MANY), MANY, round(fpr * MANY), MANY),))


def seen(cells, first, second):
    """What judges with these (TPR, FPR) make of a true law of cells, by the law of total probability."""
    law = np.array(cells).reshape(2, 2)
    confusion = [np.array([[tpr, fpr], [1 - tpr, 1 - fpr]]) for tpr, fpr in (first, second)]
    return Pairs(*(round(n) for n in (confusion[0] @ law @ confusion[1].T * 10**6).ravel()))


@settings(deadline=None)
@given(
    st.tuples(*[st.floats(0.05, 1.0)] * 4),
    st.tuples(st.floats(0.6, 1.0), st.floats(0.0, 0.4)),
    st.tuples(st.floats(0.6, 1.0), st.floats(0.0, 0.4)),
)
def test_known_errors_are_inverted(weights, first, second):
    cells = np.array(weights) / sum(weights)
    found = correct(seen(cells, first, second), exactly(*first), exactly(*second))
    both, lost, gained, _ = cells
    assert found.first.estimate == pytest.approx(both + lost, abs=1e-3)
    assert found.second.estimate == pytest.approx(both + gained, abs=1e-3)
    assert found.difference.estimate == pytest.approx(lost - gained, abs=1e-3)
    assert found.lost_given_first.estimate == pytest.approx(lost / (both + lost), abs=0.03)


@settings(deadline=None)
@given(st.builds(Pairs, *[st.integers(1, 50)] * 4))
def test_a_perfect_judge_changes_nothing(pairs):
    found = correct(pairs, PERFECT, PERFECT)
    assert found.difference.estimate == pytest.approx(pairs.difference, abs=1e-6)
    low, high = found.difference.interval
    assert low <= pairs.difference <= high


def test_the_figures_of_a_wrong_judge():
    """A fall from 1.00 to 0.36 was judged 1.00 to 0.63 by a judge that calls .376 of compliance refusal."""
    wrong = ErrorRates((Counted(984, 1000, 376, 1000),))
    pairs = seen([0.36, 0.64, 0.0, 0.0], (0.984, 0.376), (0.984, 0.376))
    small = Pairs(*(round(n / 5000) for n in (pairs.both, pairs.lost, pairs.gained, pairs.neither)))
    found = correct(small, wrong, wrong)
    low, high = found.difference.interval
    assert small.difference < 0.45
    assert low <= 0.64 <= high


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, worlds, held = np.random.default_rng(5), 300, 0
    cells, tpr, fpr = np.array([0.5, 0.3, 0.05, 0.15]), (0.93, 0.8), (0.25, 0.1)
    for k in range(worlds):
        cell = rng.choice(4, size=200, p=cells)
        said = [
            np.where(np.isin(cell, inside), rng.random(200) < tpr[side], rng.random(200) < fpr[side])
            for side, inside in enumerate(((0, 1), (0, 2)))
        ]
        pairs = Pairs(
            *(int(((said[0] == a) & (said[1] == b)).sum()) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))
        )
        rates = [
            ErrorRates((Counted(int(rng.binomial(100, tpr[s])), 100, int(rng.binomial(100, fpr[s])), 100),))
            for s in (0, 1)
        ]
        low, high = correct(pairs, *rates, seed=k).difference.interval
        held += low <= 0.25 <= high
    assert binomial_tail(worlds - held, worlds, 0.05) > 0.0005  # not too few
    assert held < worlds


def test_what_cannot_be_corrected_is_not():
    pairs = Pairs(10, 5, 1, 4)
    coin = ErrorRates((Counted(50, 100, 45, 100),))
    unseen = ErrorRates((Counted(0, 0, 3, 100),))
    assert correct(pairs, coin, PERFECT) is None
    assert correct(pairs, PERFECT, unseen) is None
    assert correct(pairs, ErrorRates(()), PERFECT) is None
    assert correct(Pairs(0, 0, 0, 0), PERFECT, PERFECT) is None


def test_a_judge_that_varies_by_model_is_less_sure():
    pairs = Pairs(60, 90, 10, 40)
    same = ErrorRates((Counted(85, 100, 10, 100),) * 2)
    varied = ErrorRates((Counted(98, 100, 2, 100), Counted(72, 100, 18, 100)))
    width = [np.ptp(correct(pairs, rates, rates).difference.interval) for rates in (same, varied)]
    assert same.tpr == varied.tpr
    assert width[1] > 1.3 * width[0]


def test_the_same_arguments_give_the_same_interval():
    pairs = Pairs(60, 90, 10, 40)
    assert correct(pairs, exactly(0.9, 0.1), exactly(0.8, 0.2)) == correct(
        pairs, exactly(0.9, 0.1), exactly(0.8, 0.2)
    )


def test_errors_are_counted_as_they_stand():
    assert count_errors([True, False, True, False], [True, True, False, False]) == Counted(1, 2, 1, 2)
