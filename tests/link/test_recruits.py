"""The second look: parts of a cluster come together, and an account comes in, only on ties that no published text explains."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from test_link import accounts, clique, ties

from excise.link.linker import LinkSettings, link
from excise.link.recruits import Candidates, find_candidates, merge_related, take_in

S = LinkSettings()


def world(cards, texts=(), owner=None, people=12):
    """Two cliques by text, 0 to 3 and 4 to 9, and ties by cards, which alone join nobody."""
    (a, b), (c, d) = clique(range(4)), clique(range(4, 10))
    text = ties(
        "text",
        [*a, *c, *(x for x, _ in texts)],
        [*b, *d, *(y for _, y in texts)],
        np.full(len(a) + len(c) + len(texts), 11.0),
        public=True,
    )
    card = ties("card", [x for x, _ in cards], [y for _, y in cards], np.full(len(cards), 4.0), alone=False)
    who = accounts(people, owner)
    return link([text, card], who, S), [text, card], who


def near(cards, least=8.0, **more):
    clusters, found, who = world(cards, **more)
    return clusters, found, find_candidates(clusters, found, who, least_nats=least)


def test_weak_ties_to_one_cluster_add_up():
    clusters, _, found = near([(4, 10), (5, 10), (4, 11)])
    assert clusters.label.tolist()[:10] == [0] * 4 + [1] * 6
    assert found.account.tolist() == [10]
    assert found.cluster.tolist() == [1]
    assert found.nats.tolist() == [8.0]


def test_a_published_text_makes_no_candidate():
    _, _, found = near([], texts=[(4, 10)])
    assert len(found.account) == 0


def test_accounts_of_one_owner_make_no_candidates():
    owner = np.arange(1, 13, dtype=np.uint64)
    owner[[4, 5, 10]] = 99
    _, _, found = near([(4, 10), (5, 10)], owner=owner)
    assert 10 not in found.account


def test_half_of_a_cluster_brings_the_rest_and_less_does_not():
    half = [(0, 4), (0, 5), (1, 4), (1, 5)]
    clusters, found, candidates = near(half)
    small = candidates[clusters.label[candidates.account] == 0]
    assert merge_related(clusters, small, found, S).label.tolist()[:10] == [0] * 10
    one = small[small.account == 0]
    assert merge_related(clusters, one, found, S).label.tolist() == clusters.label.tolist()


def test_a_merged_cluster_has_the_ties_between_its_parts():
    half = [(0, 4), (0, 5), (1, 4), (1, 5)]
    clusters, found, candidates = near(half)
    merged = merge_related(clusters, candidates, found, S)
    pairs = set(zip(merged.edges.a.tolist(), merged.edges.b.tolist(), strict=True))
    assert set(half) <= pairs
    assert len(pairs) == len(merged.edges.a) == len(clusters.edges.a) + len(half)


def test_a_recruit_joins_the_cluster_to_which_it_is_tied_most():
    clusters, found, candidates = near([(0, 10), (1, 10), (4, 10), (5, 10), (6, 10)])
    assert candidates.cluster.tolist() == [0, 1]
    after = take_in(clusters, candidates, found, S)
    assert after.label[10] == 1
    assert set(after.of(1).tolist()) == {*range(4, 10), 10}
    assert (after.edges.has("card")).sum() == 3


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(4, 11)), max_size=20, unique=True))
def test_candidates_are_what_a_plain_sum_says(cards):
    clusters, _, found = near(cards)
    plain: dict[tuple[int, int], float] = {}
    for x, y in cards:
        for a, b in ((x, y), (y, x)):
            if clusters.label[b] >= 0 and clusters.label[a] != clusters.label[b]:
                key = (a, int(clusters.label[b]))
                plain[key] = plain.get(key, 0.0) + 4.0
    wanted = {k: v for k, v in plain.items() if v >= 8.0}
    got = zip(found.account.tolist(), found.cluster.tolist(), found.nats.tolist(), strict=True)
    assert {(a, k): v for a, k, v in got} == wanted


def test_nobody_in_a_cluster_is_moved_by_recruiting():
    clusters, found, _ = near([(0, 4)])
    everyone = Candidates(np.array([0], np.int32), np.array([1], np.int32), np.array([99.0]))
    assert take_in(clusters, everyone, found, S).label.tolist() == clusters.label.tolist()
