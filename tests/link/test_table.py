"""Clusters of a table of tokens, and ties by closeness, against plain definitions."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.link.nearness import NearSettings, _close_pairs, _company, least_company, tie_near, widest_area
from excise.link.table import Holdings, Table, link_table, meet

POSTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 30)), max_size=40)


def held(rows, **more):
    account, token, at = (np.array(c, np.int64) for c in (zip(*rows, strict=True) if rows else ((), (), ())))
    return Holdings(account.astype(np.int32), token, at, **more)


@given(POSTS, st.integers(0, 10), st.integers(2, 6), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_meetings_are_the_pairs_within_the_window(rows, window, most, least):
    distinct = sorted(set(rows))
    crowd = {r: sum(r[1] == s[1] and abs(r[2] - s[2]) <= window for s in distinct) for r in distinct}
    expected = defaultdict(list)
    for r, s in itertools.combinations(distinct, 2):
        together = r[1] == s[1] and abs(r[2] - s[2]) <= window and r[0] != s[0]
        if together and max(crowd[r], crowd[s]) <= most:
            expected[min(r[0], s[0]), max(r[0], s[0])].append(math.log(6 / max(crowd[r], crowd[s])))
    ties = meet("posts", held(rows, window=window, most=most, least=least), 6)
    found = dict(zip(zip(ties.a.tolist(), ties.b.tolist(), strict=True), ties.weight.tolist(), strict=True))
    assert found == pytest.approx({p: sum(w) for p, w in expected.items() if len(w) >= least})


def test_a_hub_joins_nobody_and_rare_counterparties_do():
    hub = [(a, 0, 0) for a in range(20_000)]
    rings = [(a, 1 + a // 5, 0) for a in range(50)]
    clusters = link_table(Table(20_000, {"money": held(hub + rings)}))
    assert [clusters.of(k).tolist() for k in range(len(clusters))] == [
        list(range(5 * k, 5 * k + 5)) for k in range(10)
    ]


def test_layers_add_up_for_one_pair():
    one = [(a, a // 30, 0) for a in range(3000)]
    other = [(a, a % 30 // 2 + 100 * (a // 30), 0) for a in range(3000)]
    alone = link_table(Table(3000, {"card": held(one)}))
    both = link_table(Table(3000, {"card": held(one), "host": held(other, most=1)}))
    joined = link_table(Table(3000, {"card": held(one), "host": held(other)}))
    assert len(alone) == len(both) == 0
    assert len(joined) == 1500


def test_no_rows_make_no_clusters():
    assert len(link_table(Table(4, {"money": held([])}))) == 0


@given(st.integers(5, 40), st.integers(0, 1000), st.integers(0, 300))
@settings(max_examples=30, deadline=None)
def test_close_pairs_and_their_company_are_those_of_the_definition(n, seed, area):
    rng = np.random.default_rng(seed)
    x, y = rng.permutation(n), rng.permutation(n)
    a, b, weight = _close_pairs(x, y, area)
    gaps = {(i, j): int(abs(x[i] - x[j]) * abs(y[i] - y[j])) for i, j in itertools.combinations(range(n), 2)}
    expected = {p: -math.log(2 * 2 * g / n / n) for p, g in gaps.items() if g <= area}
    assert dict(zip(zip(a.tolist(), b.tolist(), strict=True), weight.tolist(), strict=True)) == pytest.approx(
        expected
    )
    near = defaultdict(set)
    for i, j in expected:
        near[i].add(j)
        near[j].add(i)
    assert _company(n, a, b).tolist() == [
        len(near[i] & near[j]) for i, j in zip(a.tolist(), b.tolist(), strict=True)
    ]


@pytest.mark.parametrize("chance", [1.0, 8.0])
def test_strangers_have_about_the_chance_neighbours_that_were_asked_for(chance):
    n = 4000
    y = np.random.default_rng(3).permutation(n)
    a, _, _ = _close_pairs(np.arange(n), y, widest_area(n, chance))
    assert 0.75 * chance < 2 * len(a) / n < 1.05 * chance


def test_a_list_worked_through_is_tied_and_strangers_are_not():
    rng = np.random.default_rng(5)
    n, ring = 4000, 40
    created, volume = rng.uniform(0, 300, n), rng.lognormal(3, 1.5, n)
    strangers = tie_near(created, volume, NearSettings())
    created[:ring], volume[:ring] = rng.uniform(100, 103, ring), 50 * rng.lognormal(0, 0.05, ring)
    ties = tie_near(created, volume, NearSettings())
    inside = (ties.a < ring) & (ties.b < ring)
    assert len(strangers.a) == 0
    assert inside.sum() > 200
    assert inside.mean() > 0.75  # strangers who stand where the ring stands cannot be told from it


def test_a_few_lucky_pairs_are_never_enough():
    assert least_company(np.array([3, 3, 0]), [np.zeros(3, np.int64)], 0.01) == 4
    assert least_company(np.full(500, 3), [np.zeros(9, np.int64)], 0.01) == 1
