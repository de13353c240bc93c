"""A second look at what ties too weak for a pair join to a cluster: parts of it that were cut off, and accounts left outside.

A pair of accounts was not tied: its coincidences were not rare enough, or of one kind. An account whose weak ties to the members
of one cluster add up, and that uses their wrapper, is tied to the cluster by two kinds of evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from excise.link.linker import LinkSettings, gather, into_larger, join_ties, select
from excise.model.clusters import Clusters, Edges, Ties
from excise.model.tables import F64, I32, I64, Accounts, Bool


@dataclass(frozen=True, slots=True)
class Candidates:
    """Accounts, ascending, a cluster that each is not in but tied to, and what these ties add up to (nats)."""

    account: I32
    cluster: I32
    nats: F64

    def __getitem__(self, kept: Bool | I64) -> Candidates:
        """Return some of the candidates."""
        return Candidates(self.account[kept], self.cluster[kept], self.nats[kept])


def find_candidates(
    clusters: Clusters, ties: Sequence[Ties], accounts: Accounts, *, least_nats: float
) -> Candidates:
    """Return the accounts whose ties to the members of another cluster add up to `least_nats`, without ties by published texts.

    O(t log t) in the ties.
    """
    mine = [t for t in ties if not t.public]
    none = np.zeros(0, np.int32)
    a = np.concatenate([t.a for t in mine] + [t.b for t in mine] + [none])
    b = np.concatenate([t.b for t in mine] + [t.a for t in mine] + [none])
    weight = np.concatenate([t.weight for t in mine] * 2 + [np.zeros(0)])
    kept = (clusters.label[b] >= 0) & (clusters.label[a] != clusters.label[b])
    kept[kept] &= ~accounts.one_owner(a[kept], b[kept])
    pair = a[kept].astype(np.int64) << 32 | clusters.label[b[kept]].astype(np.int64)
    pair, place = np.unique(pair, return_inverse=True)
    nats: F64 = np.bincount(place, weights=weight[kept], minlength=len(pair)).astype(np.float64)
    enough = nats >= least_nats
    pair, nats = pair[enough], nats[enough]
    return Candidates((pair >> 32).astype(np.int32), (pair & 0xFFFFFFFF).astype(np.int32), nats)


def merge_related(
    clusters: Clusters, related: Candidates, ties: Sequence[Ties], settings: LinkSettings
) -> Clusters:
    """Merge a cluster into a larger one to which enough of its members are `related`: one campaign, cut at its cells of attributes."""
    size = clusters.sizes()
    pair = np.stack([clusters.label[related.account], related.cluster], axis=1)[
        clusters.label[related.account] >= 0
    ]
    pair, count = np.unique(pair.astype(np.int64), axis=0, return_counts=True)
    x, y = pair[:, 0], pair[:, 1]
    larger = (size[x] < size[y]) | ((size[x] == size[y]) & (x > y))
    join = np.flatnonzero(larger & (count >= settings.bound_share * size[x]) & (count >= 2))
    if not len(join):
        return clusters
    target = into_larger(join, x, y, count / size[x], len(clusters))
    label = clusters.label.astype(np.int64)
    label[label >= 0] = target[label[label >= 0]]
    return _relabel(clusters, label, ties, settings)


def take_in(
    clusters: Clusters, recruits: Candidates, ties: Sequence[Ties], settings: LinkSettings
) -> Clusters:
    """Return the clusters with the recruits that are in none as members: each of the cluster to which it is tied most."""
    recruits = recruits[clusters.label[recruits.account] < 0]
    order = np.lexsort((recruits.cluster, -recruits.nats, recruits.account))
    recruits = recruits[order]
    label = clusters.label.astype(np.int64)
    label[recruits.account[::-1]] = recruits.cluster[::-1]  # the first of an account is written last
    return _relabel(clusters, label, ties, settings)


def _relabel(clusters: Clusters, label: I64, ties: Sequence[Ties], settings: LinkSettings) -> Clusters:
    """Return the clusters of new labels (-1: none), with all ties of accounts that have come together; what concerns wrappers is not filled any more."""
    before = clusters.label
    new = [_some(t, _come_together(t, before, label)) for t in ties]
    old, more = clusters.edges, join_ties(new, most=settings.tie_nats)
    edges = Edges(
        np.concatenate([old.a, more.a]),
        np.concatenate([old.b, more.b]),
        np.concatenate([old.weight, more.weight]),
        np.concatenate([old.kinds, more.kinds]),
        old.detectors,
    )
    alone = label < 0
    label[alone] = len(clusters) + np.arange(int(alone.sum()))
    by_pair = np.argsort(edges.a.astype(np.int64) << 32 | edges.b)  # no pair is there twice
    return gather(label, select(edges, by_pair))


def _come_together(ties: Ties, before: I32, label: I64) -> I64:
    """Return the ties (positions) inside a cluster that were in none."""
    inside = np.flatnonzero(label[ties.a] == label[ties.b])
    a, b = ties.a[inside], ties.b[inside]
    return inside[(label[a] >= 0) & ((before[a] != before[b]) | (before[a] < 0))]


def _some(ties: Ties, which: I64) -> Ties:
    return replace(ties, a=ties.a[which], b=ties.b[which], weight=ties.weight[which])
