"""Communities and the joining of ties against plain definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.link.communities import find_communities
from excise.link.linker import (
    LinkSettings,
    gather,
    join_ties,
    link,
    merge_bound,
    modularity,
    split_loose,
    with_whole_texts,
)
from excise.model.clusters import Ties
from excise.model.tables import Accounts


def clique(nodes):
    pairs = np.array(list(itertools.combinations(nodes, 2)), np.int64)
    return pairs[:, 0], pairs[:, 1]


def two_cliques(weak=1.0):
    (a, b), (c, d) = clique(range(8)), clique(range(8, 16))
    return (
        np.concatenate([a, c, [3]]),
        np.concatenate([b, d, [12]]),
        np.concatenate([np.full(56, 10.0), [weak]]),
    )


def accounts(n, owner=None):
    zeros = np.zeros(n, np.uint64)
    return Accounts(
        np.array([f"a{i}" for i in range(n)], object),
        np.arange(n, dtype=np.uint64),
        np.arange(n + 1),
        np.zeros(n, np.int64),
        zeros,
        zeros if owner is None else owner,
        zeros,
        zeros,
        zeros,
        zeros,
        zeros,
        np.zeros(n, np.uint8),
        np.zeros(n, np.uint8),
    )


def ties(detector, a, b, weight, **more):
    return Ties(
        detector,
        "content",
        np.asarray(a, np.int32),
        np.asarray(b, np.int32),
        np.asarray(weight, np.float64),
        more.pop("alone", True),
        **more,
    )


def test_two_cliques_joined_by_a_weak_edge_are_two():
    a, b, w = two_cliques()
    label = find_communities(16, a, b, w, resolution=1.0)
    assert len(set(label[:8])) == len(set(label[8:])) == 1
    assert label[0] != label[8]


def test_the_order_of_edges_does_not_matter():
    a, b, w = two_cliques()
    expected = find_communities(16, a, b, w, resolution=1.0).tolist()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(a))
        assert find_communities(16, a[order], b[order], w[order], resolution=1.0).tolist() == expected


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(0.5, 9)), min_size=1, max_size=20),
    st.lists(st.integers(0, 3), min_size=8, max_size=8),
)
@settings(max_examples=80, deadline=None)
def test_modularity_equals_its_definition(edges, labels):
    edges = {(min(a, b), max(a, b)): w for a, b, w in edges if a != b}
    if not edges:
        return
    matrix = np.zeros((8, 8))
    for (a, b), w in edges.items():
        matrix[a, b] = matrix[b, a] = w
    degree, total = matrix.sum(axis=0), matrix.sum()
    same = np.equal.outer(labels, labels)
    slow = float(((matrix - np.outer(degree, degree) / total) * same).sum() / total)
    a, b = (np.array([e[i] for e in edges], np.int64) for i in (0, 1))
    assert modularity(np.array(labels), a, b, np.array(list(edges.values()))) == pytest.approx(slow)


def test_a_clique_stays_whole_and_loose_communities_are_cut():
    a, b = clique(range(12))
    whole = split_loose(
        np.zeros(12, np.int64), a, b, np.random.default_rng(1).uniform(5, 9, len(a)), least_modularity=0.3
    )
    assert len(set(whole)) == 1
    a, b, w = two_cliques()
    cut = split_loose(np.zeros(16, np.int64), a, b, w, least_modularity=0.3)
    assert len(set(cut)) == 2


def test_ties_of_one_pair_add_up_to_a_limit_each():
    joined = join_ties([ties("x", [0, 1], [2, 2], [5.0, 30.0]), ties("y", [0], [2], [4.0])], most=12.0)
    assert dict(
        zip(zip(joined.a.tolist(), joined.b.tolist(), strict=True), joined.weight.tolist(), strict=True)
    ) == {(0, 2): 9.0, (1, 2): 12.0}
    assert joined.has("y").tolist() == [True, False]
    assert joined.has("z").tolist() == [False, False]


def test_a_tie_that_may_not_stand_alone_needs_a_second_kind():
    lonely = ties("pay", *clique(range(4)), np.full(6, 10.0), alone=False)
    content = ties("text", *clique(range(4)), np.full(6, 9.0))
    assert len(link([lonely], accounts(4), LinkSettings())) == 0
    assert len(link([lonely, content], accounts(4), LinkSettings())) == 1


def test_pairs_of_one_owner_make_no_cluster():
    a, b = clique(range(4))
    owner = np.full(4, 7, np.uint64)
    assert len(link([ties("text", a, b, np.full(6, 11.0))], accounts(4, owner), LinkSettings())) == 0


def test_clusters_are_numbered_by_their_first_member_and_hold_their_edges():
    a, b, w = two_cliques(weak=0.5)
    clusters = link([ties("text", a, b, w)], accounts(18), LinkSettings())
    assert [clusters.of(k).tolist() for k in range(len(clusters))] == [list(range(8)), list(range(8, 16))]
    assert clusters.label[16] == -1
    for k in range(len(clusters)):
        piece = clusters.edges_of(k)
        assert set(clusters.label[clusters.edges.a[piece]].tolist()) == {k}
        assert piece.stop - piece.start == 28


def test_clusters_that_one_queue_binds_become_one():
    label = np.array([0] * 6 + [1] * 4 + [2, 3])
    binding = ties("same", [0, 1, 2, 5], [6, 7, 8, 10], [9.0] * 4, alone=False, binds=True)
    merged = merge_bound(label, [binding], accounts(12), least_share=0.5)
    assert len(set(merged[:10])) == 1
    assert merged[10] != merged[0]


def test_two_pools_whose_customers_use_one_product_are_two():
    """Everybody is tied by a text, each pool by more of them: beyond what one detector may say of a pair, so only the last cut tells them."""
    a, b = clique(range(16))
    weight = np.where((a < 8) == (b < 8), 28.0, 14.0)
    said = [ties("text", a, b, weight, public=True)]

    def pools(whole_modularity):
        return len(link(said, accounts(16), LinkSettings(whole_modularity=whole_modularity)))

    assert pools(LinkSettings().whole_modularity) == 2
    assert pools(1.0) == 1


def test_only_texts_count_whole():
    said = [ties("text", [0, 0, 1], [1, 2, 2], [30.0, 10.0, 20.0], public=True), ties("card", [0, 1], [1, 3], [30.0, 30.0])]  # fmt: skip
    edges = join_ties(said, most=12.0)
    assert edges.weight.tolist() == [24.0, 10.0, 12.0, 12.0]
    assert with_whole_texts(edges, said, most=12.0).tolist() == [42.0, 10.0, 20.0, 12.0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=2, max_size=30))
def test_medians_of_clusters_are_medians(of_each):
    label, each = np.array([k for k, _ in of_each]), np.array([x for _, x in of_each])
    clusters = gather(label, join_ties([], most=1.0))
    assert clusters.medians(each).tolist() == [np.median(each[clusters.of(k)]) for k in range(len(clusters))]
