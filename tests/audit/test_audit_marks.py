"""Contracts of every mark: what it says of its cost is so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.audit import ngram, prf
from excise.audit.keys import PURPOSES
from excise.audit.marks import KINDS, MARKS

marks = pytest.mark.parametrize("mark", MARKS, ids=lambda m: m.id)
P = np.array([0.5, 0.2, 0.15, 0.1, 0.04, 0.01])


def changed_under_many_keys(mark, p, keys=4_000):
    tuples = np.zeros((len(p), 3), np.uint64)
    tuples[:, 2] = np.arange(len(p))
    rng = np.random.default_rng(1)
    drawn = np.stack([prf.draws(rng.bytes(16), tuples) for _ in range(keys)])
    return mark.changed(np.broadcast_to(p, drawn.shape), drawn)


def test_every_mark_has_a_purpose_and_a_score():
    assert {m.id for m in MARKS} | {"rerank"} == set(KINDS)
    assert set(KINDS) <= set(PURPOSES)


@marks
def test_a_mark_gives_probabilities(mark):
    told = changed_under_many_keys(mark, P, 200)
    assert np.allclose(told.sum(axis=1), 1)
    assert told.min() >= 0


@marks
def test_over_keys_a_distortion_free_mark_keeps_every_probability_and_the_other_does_not(mark):
    told = changed_under_many_keys(mark, P)
    error = 4 * told.std(axis=0) / np.sqrt(len(told)) + 1e-9
    kept = np.all(abs(told.mean(axis=0) - P) < error)
    assert kept == mark.distortion_free


@marks
@settings(deadline=None, max_examples=25)
@given(certain=st.integers(0, 5))
def test_a_token_that_is_certain_stays_certain(mark, certain):
    p = np.zeros(6)
    p[certain] = 1.0
    assert np.allclose(changed_under_many_keys(mark, p, 20), p)


@marks
def test_marked_text_scores_above_zero_under_its_key_and_not_under_another(mark):
    rng = np.random.default_rng(3)
    chain = ngram.language(rng, 256)
    key = rng.bytes(16)
    tuples = ngram.tuples_of(ngram.spoken(ngram.marked(chain, mark, key), 40, rng), 256)
    distinct = np.unique(tuples, axis=0)
    own = prf.scores(prf.draws(key, distinct), mark.kind)
    other = prf.scores(prf.draws(rng.bytes(16), distinct), mark.kind)
    error = own.std() / np.sqrt(len(distinct))
    assert own.mean() > 5 * error
    assert abs(other.mean()) < 5 * error
