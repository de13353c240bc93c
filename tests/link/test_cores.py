"""Peeling: the core that everybody is tied in stays, those who hang on to it leave."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.link.communities import find_communities
from excise.link.cores import dense_core, peel


def clique(nodes):
    return [(i, j) for k, i in enumerate(nodes) for j in nodes[k + 1 :]]


def arrays(edges):
    a, b = np.array(edges, np.int64).reshape(-1, 2).T
    return np.ascontiguousarray(a), np.ascontiguousarray(b)


def test_strangers_that_hang_on_to_a_campaign_leave_it():
    pairs = [*clique(range(10)), *((i, 10 + i) for i in range(8)), (10, 11)]
    a, b = arrays(pairs)
    label = peel(
        np.zeros(18, np.int64), a, b, np.ones(len(a)), firm=np.zeros(len(a), bool), least_density=0.5
    )
    assert len(set(label[:10])) == 1
    assert not set(label[:10]) & set(label[10:])
    assert label[10] == label[11]


def test_a_tie_that_no_text_explains_holds():
    pairs = [*clique(range(10)), (0, 10), (10, 11), (1, 12)]
    a, b = arrays(pairs)
    firm = np.array([pair in {(0, 10), (10, 11)} for pair in pairs])
    label = peel(np.zeros(13, np.int64), a, b, np.ones(len(a)), firm=firm, least_density=0.5)
    assert len(set(label[:12])) == 1
    assert label[12] != label[0]


def test_two_cores_of_one_community_come_apart():
    pairs = [*clique(range(8)), *clique(range(8, 14)), (0, 8), (1, 9)]
    a, b = arrays(pairs)
    label = peel(
        np.zeros(14, np.int64), a, b, np.ones(len(a)), firm=np.zeros(len(a), bool), least_density=0.5
    )
    assert len(set(label[:8])) == len(set(label[8:])) == 1
    assert label[0] != label[8]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 9).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(
                st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] < p[1]),
                min_size=1,
                unique=True,
            ),
        )
    ),
    st.floats(0.1, 1.5),
)
def test_the_core_is_the_best_that_taking_off_the_loosest_finds(graph, density):
    n, pairs = graph
    a, b = arrays(pairs)
    kept = set(range(n))
    best, surplus = set(kept), len(pairs) - density * n * (n - 1) / 2
    while kept:
        inside = [p for p in pairs if set(p) <= kept]
        degree = {i: sum(i in p for p in inside) for i in kept}
        kept.remove(min(kept, key=lambda i: (degree[i], i)))
        value = sum(set(p) <= kept for p in pairs) - density * len(kept) * (len(kept) - 1) / 2
        if value > surplus + 1e-9 and kept:
            best, surplus = set(kept), value
    assert set(np.flatnonzero(dense_core(n, a, b, np.ones(len(a)), density)).tolist()) == best


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=3, max_size=24),
    st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23), st.integers(1, 9)), min_size=1, max_size=80),
    st.floats(0.1, 3.0),
)
def test_several_graphs_at_once_are_looked_at_as_if_each_were_alone(whole, pairs, density):
    whole = np.array(whole)
    inside = {(min(i, j), max(i, j)): w for i, j, w in pairs if i != j and max(i, j) < len(whole)}
    kept = [(i, j) for i, j in inside if whole[i] == whole[j]]
    a, b = arrays(kept)
    weight = np.array([inside[pair] for pair in kept], float)
    part = find_communities(len(whole), a, b, weight, resolution=1.0, whole=whole)
    core = dense_core(len(whole), a, b, weight, density, whole)
    for k in set(whole.tolist()):
        nodes, mine = np.flatnonzero(whole == k), whole[a] == k
        x, y = np.searchsorted(nodes, a[mine]), np.searchsorted(nodes, b[mine])
        alone = find_communities(len(nodes), x, y, weight[mine], resolution=1.0)
        assert np.array_equal(np.unique(part[nodes], return_inverse=True)[1], alone)
        assert np.array_equal(core[nodes], dense_core(len(nodes), x, y, weight[mine], density))
