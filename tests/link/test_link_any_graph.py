"""Linking on any ties: their order does not matter, clusters hold together, and nothing is lost or made up."""

import itertools
from collections import defaultdict

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from excise.link.communities import find_communities
from excise.link.linker import LinkSettings, join_ties, keep_significant, link, modularity
from excise.model.clusters import Ties
from excise.model.tables import Accounts

N = 14
PAIRS = st.tuples(st.integers(0, N - 1), st.integers(0, N - 1)).filter(lambda p: p[0] < p[1])
ONE = st.dictionaries(PAIRS, st.floats(0.5, 20), max_size=25)
KINDS = (("text", True, False), ("pay", False, False), ("queue", False, True))


def ties_of(found, order=lambda pairs: pairs):
    out = []
    for (name, alone, binds), pairs in zip(KINDS, found, strict=True):
        items = order(sorted(pairs.items()))
        a, b = (np.array([p[i] for p, _ in items], np.int32) for i in (0, 1))
        out.append(Ties(name, "content", a, b, np.array([w for _, w in items], np.float64), alone, binds))
    return out


def accounts_of(owners):
    zeros = {name: np.zeros(N, np.uint64) for name in Accounts.__dataclass_fields__}
    return Accounts(**{**zeros, "owner": np.array(owners, np.uint64), "starts": np.arange(N + 1)})


def parts(clusters):
    return [clusters.of(k).tolist() for k in range(len(clusters))]


WORLDS = st.tuples(ONE, ONE, ONE)
OWNERS = st.lists(st.integers(0, 5), min_size=N, max_size=N)


@settings(max_examples=150, deadline=None)
@given(WORLDS, OWNERS, st.randoms(use_true_random=False))
def test_the_order_of_ties_does_not_matter(found, owners, rng):
    def shuffled(pairs):
        pairs = list(pairs)
        rng.shuffle(pairs)
        return pairs

    one = link(ties_of(found), accounts_of(owners), LinkSettings())
    two = link(ties_of(found, shuffled), accounts_of(owners), LinkSettings())
    assert one.label.tolist() == two.label.tolist()
    for name in ("a", "b", "weight", "kinds"):
        assert getattr(one.edges, name).tolist() == getattr(two.edges, name).tolist()


@settings(max_examples=150, deadline=None)
@given(WORLDS, OWNERS)
def test_edges_are_the_pairs_that_are_rare_enough_and_no_one_owners(found, owners):
    expected = {}
    for pair in {p for pairs in found for p in pairs}:
        weight = sum(min(pairs[pair], 12.0) for pairs in found if pair in pairs)
        kinds = [name for (name, _, _), pairs in zip(KINDS, found, strict=True) if pair in pairs]
        same = owners[pair[0]] == owners[pair[1]] != 0
        if weight >= 8.0 and ("text" in kinds or len(kinds) >= 2) and not same:
            expected[pair] = weight
    ties = ties_of(found)
    kept = keep_significant(
        join_ties(ties, most=12.0), ties, accounts_of(owners), LinkSettings(edge_nats=8.0, tie_nats=12.0)
    )
    got = dict(zip(zip(kept.a.tolist(), kept.b.tolist(), strict=True), kept.weight.tolist(), strict=True))
    assert got.keys() == expected.keys()
    assert all(abs(got[p] - expected[p]) < 1e-9 for p in got)


@settings(max_examples=150, deadline=None)
@given(WORLDS, OWNERS)
@example(({(0, 4): 9.0, (0, 5): 11.0, (1, 2): 12.0, (1, 3): 11.0, (4, 6): 12.0}, {}, {(1, 2): 5.0}), [0] * N)
def test_clusters_are_numbered_by_first_member_and_their_parts_hold_together(found, owners):
    """A member is in its cluster by an edge to another one, or because one queue binds two clusters."""
    clusters = link(ties_of(found), accounts_of(owners), LinkSettings())
    groups = parts(clusters)
    assert [g[0] for g in groups] == sorted(g[0] for g in groups)
    assert all(g == sorted(set(g)) and len(g) >= 2 for g in groups)
    assert sum(map(len, groups)) == int((clusters.label >= 0).sum())
    inside = defaultdict(set)
    for a, b in zip(clusters.edges.a.tolist(), clusters.edges.b.tolist(), strict=True):
        assert clusters.label[a] == clusters.label[b] >= 0
        inside[a].add(b)
        inside[b].add(a)
    assert all(inside[account] for group in groups for account in group)


def best_split(nodes, a, b, weight):
    """The highest modularity of any partition, by trying all."""

    def partitions(n):
        if n == 0:
            yield []
            return
        for rest in partitions(n - 1):
            for label in range(max(rest, default=-1) + 2):
                yield [*rest, label]

    return max(modularity(np.array(p), a, b, weight) for p in partitions(nodes))


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(list(itertools.combinations(range(6), 2))), st.floats(0.5, 9), min_size=1, max_size=15
    )
)
def test_communities_are_nearly_the_best_there_are(edges):
    a, b = (np.array([p[i] for p in edges], np.int64) for i in (0, 1))
    weight = np.array(list(edges.values()))
    label = find_communities(6, a, b, weight, resolution=1.0)
    assert label.tolist() == [sorted(set(label.tolist()), key=label.tolist().index).index(x) for x in label]
    found = modularity(label, a, b, weight)
    assert found >= best_split(6, a, b, weight) - 0.12
    assert found >= modularity(np.zeros(6, np.int64), a, b, weight) - 1e-9
