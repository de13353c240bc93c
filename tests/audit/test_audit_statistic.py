"""Bounds that are bounds, tests that are their definitions, and windows of text."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.audit import prf, sequential
from excise.audit.statistic import (
    GAUSSIAN_CONSTANT,
    contrast,
    fair_tail,
    gamma_tail,
    log10_bound,
    published,
    tail_bound,
)
from excise.audit.tokens import TEXT_LIMIT, Counts, Words, counted, windows

weights = st.lists(st.floats(0.01, 10), min_size=1, max_size=10)


@given(weights)
def test_the_bound_holds_for_every_rademacher_sum(w):
    """All sign patterns of up to ten weights, exactly."""
    norm = math.sqrt(sum(x * x for x in w))
    sums = [
        sum(x * s for x, s in zip(w, signs, strict=True)) / norm
        for signs in itertools.product((-1, 1), repeat=len(w))
    ]
    for z in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0):
        assert sum(s >= z - 1e-12 for s in sums) / len(sums) <= tail_bound(z - 1e-9)


def test_the_constant_is_that_of_the_paper():
    assert pytest.approx(3.1787, abs=1e-4) == GAUSSIAN_CONSTANT


@given(st.floats(-5, 60))
def test_the_logarithm_of_the_bound_is_the_bound(z):
    assert log10_bound(z) == pytest.approx(
        math.log10(tail_bound(z)) if tail_bound(z) > 1e-300 else log10_bound(z)
    )
    assert log10_bound(z + 0.1) <= log10_bound(z)


@given(st.integers(0, 40), st.integers(0, 40))
def test_fair_tail_is_the_sum_of_binomials(ones, more):
    n = ones + more
    assert fair_tail(ones, n) == pytest.approx(sum(math.comb(n, k) for k in range(ones, n + 1)) / 2**n)


@pytest.mark.parametrize(
    ("x", "n", "p"), [(1.0, 1, math.exp(-1)), (2.0, 2, 3 * math.exp(-2)), (0.0, 3, 1.0), (9.0, 0, 1.0)]
)
def test_gamma_tail_is_that_of_a_sum_of_exponentials(x, n, p):
    assert gamma_tail(x, n) == pytest.approx(p)


def test_gamma_tail_of_many_is_near_the_normal_one():
    assert gamma_tail(20_000 + 2 * math.sqrt(20_000), 20_000) == pytest.approx(0.02275, abs=1e-3)


counts = st.dictionaries(st.integers(0, 30), st.integers(1, 50), max_size=20)


def as_counts(said):
    tuples = np.zeros((len(said), 3), np.uint64)
    tuples[:, 2] = sorted(said)
    return Counts(tuples, np.array([said[k] for k in sorted(said)], float))


@given(counts, counts)
def test_a_contrast_weighs_every_tuple_as_its_formula_says(suspect, reference):
    found = contrast(as_counts(suspect), as_counts(reference))
    scale = sum(suspect.values()) / sum(reference.values()) if reference else 1.0
    expected = {
        k: (s - r) / math.sqrt(s + r + 1)
        for k in suspect | reference
        if (s := suspect.get(k, 0)) != (r := reference.get(k, 0) * scale)
    }
    assert {
        int(t): pytest.approx(w) for t, w in zip(found.tuples[:, 2], found.weights, strict=True)
    } == expected


def test_the_published_test_counts_each_tuple_once():
    said = as_counts(dict.fromkeys(range(1000), 7))
    test = published(said, bytes(16), prf.BIT)
    green = int((prf.draws(bytes(16), said.tuples) >> np.uint64(63)).sum())
    assert test.tuples == 1000
    assert test.mean == green / 1000
    assert test.p == fair_tail(green, 1000)


def test_windows_hold_the_tokens_before():
    ids = np.array([1, 2, 3, 4, 5, 6], np.uint32)
    a = prf.ABSENT
    assert windows(ids, 1)[0].tolist() == [a << 32 | a, a << 32 | 1, 2]
    assert windows(ids, 3)[0].tolist() == [a << 32 | 1, 2 << 32 | 3, 4]
    assert windows(ids, 4).tolist() == [[1 << 32 | 2, 3 << 32 | 4, 5], [2 << 32 | 3, 4 << 32 | 5, 6]]
    assert len(windows(ids[:1], 1)) == len(windows(ids[:0], 4)) == 0


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_words_are_the_same_whatever_stands_between_them(text):
    words = Words()
    assert words(text).tolist() == words(" ".join(text.split())).tolist()


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_words_end_where_they_end(text):
    words = Words()
    ids, ends = words.placed(text)
    assert ids.tolist() == words(text).tolist()
    for place, end in enumerate(ends.tolist()):
        before = ends[place - 1] if place else 0
        assert words(text[before:end]).tolist() == [ids[place]]


def test_one_answer_cannot_decide_an_audit_by_its_length():
    assert len(Words()("a " * (TEXT_LIMIT + 10))) == TEXT_LIMIT // 2


def test_counting_is_counting():
    parts = [windows(np.array(t, np.uint32), 1) for t in ([1, 2, 1, 2, 1], [1, 2, 3])]
    found = counted(parts)
    told = {
        tuple(t): int(n) for t, n in zip((found.tuples[:, 1:] & 0xFFFFFFFF).tolist(), found.said, strict=True)
    }
    assert told == {(1, 2): 3, (2, 1): 2, (2, 3): 1}
    assert found.total == 6
    assert counted(()).total == 0


# Looks, e-values and everything that was tried


def test_all_looks_together_spend_no_more_than_alpha():
    assert sum(sequential.share_of_alpha(look) for look in range(1, 10_000)) < 1


@given(st.lists(st.floats(-30, 0), min_size=1, max_size=8))
def test_the_p_over_looks_is_the_best_look_s_after_its_share(logs):
    told = sequential.log10_sequential(logs)
    assert told == pytest.approx(min(0, *(p + math.log10((i + 1) * (i + 2)) for i, p in enumerate(logs))))
    assert sequential.log10_sequential([*logs, 0.0]) == told


def test_an_e_value_has_expectation_one_under_fair_coins():
    w = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.2, 0.7, 1.1])
    values = [
        10 ** sequential.log10_e_value(w * np.array(signs), 2.0)
        for signs in itertools.product((-1.0, 1.0), repeat=len(w))
    ]
    assert np.mean(values) == pytest.approx(1.0)
    assert max(values) > 20
    assert sequential.log10_e_value(np.empty(0), 1.0) == 0.0


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=6))
def test_holm_rejects_what_stepping_down_rejects(p):
    adjusted = sequential.holm(p)
    for alpha in (0.01, 0.05):
        order, rejected = sorted(range(len(p)), key=lambda i: p[i]), set()
        for rank, i in enumerate(order):
            if p[i] * (len(p) - rank) > alpha:
                break
            rejected.add(i)
        assert {i for i, a in enumerate(adjusted) if a <= alpha * (1 - 1e-9)} <= rejected
        assert rejected <= {i for i, a in enumerate(adjusted) if a <= alpha * (1 + 1e-9)}
