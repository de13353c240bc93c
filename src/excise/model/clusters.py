"""Ties between accounts, and the clusters that they make: what passes from detection to linking to judging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from excise.model.findings import Layer
from excise.model.tables import F64, I32, I64, U64, Bool, Exchanges


@dataclass(frozen=True, slots=True)
class Ties:
    """Pairs of accounts (codes, a < b, each pair once) that one detector finds related, and how rare that is.

    `weight` is in nats: about the log of how many times rarer the coincidence is among strangers of this deployment.
    `alone`: whether such a tie may join two accounts without another kind of tie beside it. `binds`: whether ties of most
    members join two clusters into one: they say that one queue or one hand moves both. `public`: whether strangers who use the
    same published text have such ties too.
    """

    detector: str
    layer: Layer
    a: I32
    b: I32
    weight: F64
    alone: bool
    binds: bool = False
    public: bool = False


@dataclass(frozen=True, slots=True)
class Edges:
    """The joined multiplex: pairs (codes, a < b), their weight in nats, and one bit a detector (`detectors` order)."""

    a: I32
    b: I32
    weight: F64
    kinds: I64
    detectors: tuple[str, ...]

    def has(self, detector: str) -> Bool:
        """Return which edges this detector supports."""
        if detector not in self.detectors:
            return np.zeros(len(self.a), np.bool_)
        return (self.kinds >> self.detectors.index(detector)) & 1 == 1

    def only(self, detector: str) -> Bool:
        """Return which edges no other detector supports."""
        if detector not in self.detectors:
            return np.zeros(len(self.a), np.bool_)
        return self.kinds == 1 << self.detectors.index(detector)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Pairs of clusters (a < b, each pair once) with ties by wrappers between them, and what these come to a pair of their members (nats)."""

    a: I64
    b: I64
    nats: F64


NO_NEIGHBOURS: Final = Neighbours(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


WRAPPED: Final = 2
"""Tokens of its cluster that an exchange must hold to count as wrapped: one may be chance (swept in bench/sweep.py)."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Groups of accounts. `label`: cluster of each account or -1. Members of cluster k: `members[starts[k]:starts[k + 1]]`.

    `edges` are those inside clusters; those of cluster k stand at `edge_starts[k]:edge_starts[k + 1]`. `matched`: for each exchange, the tokens of its account's cluster that it holds;
    `wrapper`: a hash of which ones, equal for exchanges with the very same wrapper.
    `wrappers`: for each account, how many rare private wrappers it shares with the members closest to it (0 and above).
    `private`: for each account, how many wrappers it repeats that several members do and few strangers use (0 and above).
    `items`: for each cluster, the share of wrapped exchanges whose text another member sends too, more than a day apart.
    `plain`: for each cluster, whether nothing but its content speaks against it: what content is compared with.
    `neighbours`: which clusters share parts of their wrappers.
    """

    label: I32
    members: I32
    starts: I64
    edges: Edges
    edge_starts: I64
    matched: I32
    wrapper: U64
    wrappers: F64
    private: F64
    items: F64
    plain: Bool
    neighbours: Neighbours = NO_NEIGHBOURS

    def __len__(self) -> int:
        """Return the number of clusters."""
        return len(self.starts) - 1

    def of(self, cluster: int) -> I32:
        """Return the accounts of a cluster, ascending."""
        return self.members[self.starts[cluster] : self.starts[cluster + 1]]

    def edges_of(self, cluster: int) -> slice:
        """Return where the edges of a cluster stand."""
        return slice(int(self.edge_starts[cluster]), int(self.edge_starts[cluster + 1]))

    def sizes(self) -> I64:
        """Return the number of accounts of each cluster."""
        return np.diff(self.starts)

    def medians(self, each: F64 | I64) -> F64:
        """Return the median over the members of each cluster of what is known of each account."""
        values, size = each[self.members], self.sizes()
        ordered = values[np.lexsort((values, self.label[self.members]))]
        low, high = self.starts[:-1] + (size - 1) // 2, self.starts[:-1] + size // 2
        return (ordered[low] + ordered[high]) / 2.0

    def wrapped_rows(self, exchanges: Exchanges) -> I64:
        """Return the exchanges (positions, ascending) of clustered accounts that hold their cluster's wrapper."""
        rows = np.flatnonzero(self.matched >= WRAPPED)
        return rows[self.label[exchanges.account[rows]] >= 0]
