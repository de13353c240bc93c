"""From ties of all layers to clusters of accounts: join the multiplex, keep what is significant, find its communities.

A pair is kept when its ties are together rarer than `edge_nats` among strangers, and when one of them may stand alone
or two kinds agree. Strong ties decide where a community ends, hence the exponent: accounts of one campaign share many
wrappers, its neighbours by a published template share one. How many a pair shares is capped there, since one hand's tie is
as good as ten; it is what tells at last where one text's users are two groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from excise.link.communities import by_first_member, find_communities
from excise.link.cores import peel
from excise.link.cutting import cut_until_none
from excise.model.clusters import Clusters, Edges, Ties
from excise.model.tables import F64, I32, I64, Accounts, Bool


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """`edge_nats`: least rarity of a kept pair (nats). `exponent`, `resolution`: of the communities (swept in bench/sweep.py).

    `split_modularity`: structure above which a community is cut. `tie_nats`: most that one detector's tie of a pair counts.
    `core_density`: mean weight of a pair of a core, as a share of what one strong tie weighs.
    `whole_modularity`, `whole_exponent`: the same structure where what texts say of a pair counts whole, and the exponent of its weight there.
    `recruit_nats`: what ties of an account in no cluster to the members of one must add up to for a second look at it.
    `bound_share`: share of the smaller cluster that must be bound to a larger one to be merged with it.
    """

    edge_nats: float = 8.0
    exponent: float = 3.0
    resolution: float = 1.0
    split_modularity: float = 0.3
    core_density: float = 0.2
    whole_modularity: float = 0.2
    whole_exponent: float = 2.0
    tie_nats: float = 12.0
    bound_share: float = 0.5
    recruit_nats: float = 10.0


def link(ties: Sequence[Ties], accounts: Accounts, settings: LinkSettings) -> Clusters:
    """Return the clusters of two and more accounts; what concerns wrappers is not filled yet. Near-linear in the ties."""
    edges = keep_significant(join_ties(ties, most=settings.tie_nats), ties, accounts, settings)
    weight = np.power(edges.weight, settings.exponent)
    a, b = edges.a.astype(np.int64), edges.b.astype(np.int64)
    label = find_communities(len(accounts), a, b, weight, resolution=settings.resolution)
    label = split_loose(label, a, b, weight, least_modularity=settings.split_modularity)
    public = sum((1 << i for i, t in enumerate(ties) if t.public), 0)
    density = settings.core_density * settings.tie_nats**settings.exponent
    label = peel(label, a, b, weight, firm=(edges.kinds & ~public) != 0, least_density=density)
    whole = np.power(with_whole_texts(edges, ties, most=settings.tie_nats), settings.whole_exponent)
    label = split_loose(label, a, b, whole, least_modularity=settings.whole_modularity)
    return gather(merge_bound(label, ties, accounts, least_share=settings.bound_share), edges)


def merge_bound(label: I64, ties: Sequence[Ties], accounts: Accounts, *, least_share: float) -> I64:
    """Merge clusters when most accounts of the smaller one are bound to the other: one queue served by several wrappers.

    Rounds go on with the merged clusters until nothing changes, a few in practice; each is O(t log t) in the binding ties.
    """
    a = np.concatenate([t.a for t in ties if t.binds] or [np.zeros(0, np.int32)])
    b = np.concatenate([t.b for t in ties if t.binds] or [np.zeros(0, np.int32)])
    foreign = ~accounts.one_owner(a, b)
    a, b = a[foreign], b[foreign]
    while True:
        pair, bound = _bound_members(label, a, b)
        size = np.bincount(label)
        x, y = pair[:, 0], pair[:, 1]
        both = (size[x] >= 2) & (size[y] >= 2) & ((size[x] < size[y]) | ((size[x] == size[y]) & (x > y)))
        join = np.flatnonzero(both & (bound >= least_share * size[x]) & (bound >= 2))
        if not len(join):
            return label
        label = into_larger(join, x, y, bound / size[x], len(size))[label]


def into_larger(join: I64, x: I64, y: I64, share: F64, clusters: int) -> I64:
    """Return, for each cluster, the one that it becomes part of: each small one joins the one that binds most of it."""
    order = join[np.lexsort((y[join], -share[join], x[join]))]
    first = order[np.append(True, x[order][1:] != x[order][:-1])]
    target = np.arange(clusters)
    target[x[first]] = y[first]
    while True:  # chains end in the largest, since every step goes to a larger one
        further = target[target]
        if np.array_equal(further, target):
            return target
        target = further


def _bound_members(label: I64, a: I32, b: I32) -> tuple[I64, I64]:
    """Return ordered pairs of clusters (x, y) and how many accounts of x are bound to some account of y."""
    source, target = np.concatenate([a, b]), np.concatenate([b, a])
    cross = label[source] != label[target]
    rows = np.unique(
        np.stack([label[source[cross]], label[target[cross]], source[cross].astype(np.int64)], axis=1), axis=0
    )
    pair, count = np.unique(rows[:, :2], axis=0, return_counts=True)
    return pair, count


def split_loose(label: I64, a: I64, b: I64, weight: F64, *, least_modularity: float) -> I64:
    """Split communities that fall apart when looked at alone, until none does.

    The method merges small neighbours in a large graph (resolution limit: Fortunato and Barthelemy 2007); a community whose
    own graph has a modularity of 0.3 and more has structure (Newman and Girvan 2004, section IV), so it is cut there.
    """

    def look(edges: I64, x: I64, y: I64, whole: I64) -> tuple[Bool, I64, Bool]:
        part = find_communities(len(whole), x, y, weight[edges], resolution=1.0, whole=whole)
        loose = modularities(part, x, y, weight[edges], whole) >= least_modularity
        loose &= np.bincount(whole[x], minlength=len(loose)) >= _LEAST_EDGES
        of = np.zeros(int(part.max()) + 1, np.int64)
        of[part] = whole
        several = np.bincount(of, minlength=len(loose)) > 1
        return loose & several, part, part[x] == part[y]

    return cut_until_none(label, a, b, look)


_LEAST_EDGES: Final = 3
"""Fewer hold nothing that falls apart."""


def modularity(label: I64, a: I64, b: I64, weight: F64) -> float:
    """Return Newman's modularity of a partition of a weighted graph, -0.5 to 1."""
    return float(modularities(label, a, b, weight, np.zeros(len(label), np.int64))[0])


def modularities(label: I64, a: I64, b: I64, weight: F64, whole: I64) -> F64:
    """Return the `modularity` of each of several graphs without an edge between them, 0 for one without edges; `whole`: the graph of each node."""
    of = np.zeros(int(label.max(initial=-1)) + 1, np.int64)
    of[label] = whole
    graphs = int(whole.max(initial=-1)) + 1
    total = np.maximum(np.bincount(whole[a], weights=weight, minlength=graphs), 1e-300)
    degree = np.bincount(label[a], weights=weight, minlength=len(of))
    degree += np.bincount(label[b], weights=weight, minlength=len(of))
    inside = label[a] == label[b]
    kept = np.bincount(whole[a[inside]], weights=weight[inside], minlength=graphs)
    return kept / total - np.bincount(of, weights=(degree / (2 * total[of])) ** 2, minlength=graphs)


def join_ties(ties: Sequence[Ties], *, most: float) -> Edges:
    """Add up the ties of each pair over all detectors; what one detector says of a pair counts up to `most` nats."""
    detectors = tuple(t.detector for t in ties)
    key = np.concatenate([_pairs(t.a, t.b) for t in ties]) if ties else np.zeros(0, np.int64)
    weight = np.concatenate([np.minimum(t.weight, most) for t in ties]) if ties else np.zeros(0)
    kind = np.concatenate([np.full(len(t.a), 1 << i, np.int64) for i, t in enumerate(ties)]) if ties else key
    order = np.argsort(key, kind="stable")
    key, weight, kind = key[order], weight[order], kind[order]
    start = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else np.zeros(0, np.int64)
    total = np.add.reduceat(weight, start) if len(start) else weight
    kinds = np.bitwise_or.reduceat(kind, start) if len(start) else kind
    pair = key[start]
    return Edges((pair >> 32).astype(np.int32), (pair & 0xFFFFFFFF).astype(np.int32), total, kinds, detectors)


def with_whole_texts(edges: Edges, ties: Sequence[Ties], *, most: float) -> F64:
    """Return the weight of each edge with what public ties say beyond `most` nats added: pools whose customers use one product share its text, each has more of its own."""
    key, weight = _pairs(edges.a, edges.b), edges.weight.copy()
    for tie in ties:
        over = np.flatnonzero(tie.weight > most) if tie.public else np.zeros(0, np.int64)
        pair = _pairs(tie.a[over], tie.b[over])
        place = np.searchsorted(key, pair)
        there = np.append(key, -1)[place] == pair
        weight[place[there]] += tie.weight[over[there]] - most
    return weight


def _pairs(a: I32, b: I32) -> I64:
    return a.astype(np.int64) << 32 | b.astype(np.int64)


def keep_significant(edges: Edges, ties: Sequence[Ties], accounts: Accounts, settings: LinkSettings) -> Edges:
    """Keep the pairs that are rare enough and no one owner's; a tie that may not stand alone needs a second kind."""
    alone = sum((1 << i for i, t in enumerate(ties) if t.alone), 0)
    several = (edges.kinds & (edges.kinds - 1)) != 0
    kept = (edges.weight >= settings.edge_nats) & ((edges.kinds & alone != 0) | several)
    kept &= ~accounts.one_owner(edges.a, edges.b)
    return select(edges, kept)


def select(edges: Edges, kept: Bool | I64) -> Edges:
    """Return some of the edges."""
    return Edges(edges.a[kept], edges.b[kept], edges.weight[kept], edges.kinds[kept], edges.detectors)


def leave(clusters: Clusters, which: Bool) -> Clusters:
    """Return the clusters without some accounts, which are in none then; what concerns wrappers is not filled any more."""
    label = clusters.label.astype(np.int64)
    alone = which | (label < 0)
    label[alone] = len(clusters) + np.arange(int(alone.sum()))
    return gather(label, clusters.edges)


def gather(label: I64, edges: Edges) -> Clusters:
    """Number the communities of two and more accounts by their first member, and keep the edges inside them."""
    label = by_first_member(label)
    sizes = np.bincount(label, minlength=int(label.max(initial=-1)) + 1)
    number = np.where(sizes >= 2, np.cumsum(sizes >= 2) - 1, -1)
    mine: I32 = (number[label] if len(label) else label).astype(np.int32)
    members = np.flatnonzero(mine >= 0).astype(np.int32)
    members = members[np.argsort(mine[members], kind="stable")]
    count = int(mine.max(initial=-1)) + 1
    starts = np.searchsorted(mine[members], np.arange(count + 1)).astype(np.int64)
    inside = np.flatnonzero((mine[edges.a] == mine[edges.b]) & (mine[edges.a] >= 0))
    inside = inside[np.argsort(mine[edges.a[inside]], kind="stable")]
    edges = select(edges, inside)
    edge_starts = np.searchsorted(mine[edges.a], np.arange(count + 1)).astype(np.int64)
    return Clusters(
        mine,
        members,
        starts,
        edges,
        edge_starts,
        np.zeros(0, np.int32),
        np.zeros(0, np.uint64),
        np.zeros(len(mine)),
        np.zeros(len(mine)),
        np.zeros(count),
        np.ones(count, np.bool_),
    )
