"""What the innocent explanations are tested against: plain shares of each cluster, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from excise.engine.keys import count_distinct
from excise.model import schema
from excise.model.clusters import Clusters
from excise.model.tables import F64, I32, I64, U8, U64, Accounts, Bool, Traffic

HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one cluster. Shares are 0 to 1 of what is known; `*_known` say of how many members (or exchanges) that is.

    wrapped: exchanges with the wrapper. in_system: of those, with a system prompt; one_system: the most common one. single: of those, single shots.
    refused: of those, refused. items: of those, whose text other members sent as well at some other day (a public set).
    owner, mail: of members, the largest group with one value. programme, verified: of members.
    users: median number of end users a member. prompts: median number of distinct system prompts a member.
    active_days: from the first to the last tenth of the wrapped exchanges. young: members created within 14 days of the start.
    wrapped_share: wrapped exchanges among all of the members.
    """

    members: int
    wrapped: int
    in_system: float
    one_system: float
    single: float
    refused: float
    items: float
    owner: float
    owner_known: int
    mail: float
    programme: float
    verified: float
    declared: tuple[str, ...]
    declared_share: float
    users: float
    prompts: float
    active_days: float
    young: float
    wrapped_share: float


COUNTS: Final = "wrapped exchanges"
WORLDS: Final = "worlds of accounts"
SPANS: Final = "spans of clusters"
"""Names of what `count_wrapped`, `worlds` and `spans` say (`Traffic.ask`)."""


def gather_facts(traffic: Traffic, clusters: Clusters) -> list[Facts]:
    """Return the facts of every cluster. O(n log n) in the wrapped exchanges."""
    counts = traffic.ask(COUNTS, lambda: count_wrapped(traffic, clusters))
    people = traffic.ask(WORLDS, lambda: worlds(traffic, clusters))
    span = traffic.ask(SPANS, lambda: spans(traffic, clusters))
    return [
        Facts(*values)
        for values in zip(*_columns(traffic.accounts, clusters, people, counts, span), strict=True)
    ]


def _columns(
    a: Accounts,
    clusters: Clusters,
    people: tuple[I64, I64],
    counts: tuple[I64, I64, I64, I64],
    span: tuple[I64, I64, F64],
) -> list[list[Any]]:
    """Return the facts of all clusters in the order of the fields of `Facts`."""
    (wrapped, in_system, single, refused), (prompt, begun, days) = counts, span
    members, size = clusters.members, clusters.sizes()
    label = clusters.label[members].astype(np.int64)
    some = np.maximum(wrapped, 1)

    def number(which: Bool | I64) -> F64:
        return np.bincount(label, weights=which, minlength=len(clusters)).astype(np.float64)

    def share(which: Bool) -> F64:
        return number(which) / np.maximum(size, 1)

    def largest(values: U64) -> I64:
        return largest_groups(label, values[members], len(clusters))

    owner, org, mail = a.owner[members], a.org[members], a.mail[members]
    known, mailed = number((owner != 0) | (org != 0)), number(mail != 0)
    declared, created = a.declared[members], a.created[members]
    columns: tuple[Any, ...] = (
        size,
        wrapped,
        in_system / some,
        prompt / some,
        single / some,
        refused / some,
        clusters.items,
        np.maximum(largest(a.owner), largest(a.org)) / np.maximum(known, 1),
        known.astype(np.int64),
        largest(a.mail) / np.maximum(mailed, 1),
        share(a.programme[members] != 0),
        share(a.verified[members] == 1),
        _named(label, declared, len(clusters)),
        share(declared > 0),
        *(clusters.medians(each) for each in people),
        days,
        share((created > 0) & (created > begun[label] - 14 * 24 * HOUR)),
        wrapped / np.maximum(number(a.volume()[members]), 1),
    )
    return [c.tolist() if isinstance(c, np.ndarray) else c for c in columns]


def _named(label: I64, declared: U8, clusters: int) -> list[tuple[str, ...]]:
    """Return what members of each cluster are declared as."""
    found: list[set[str]] = [set() for _ in range(clusters)]
    for k, d in zip(label[declared > 0].tolist(), declared[declared > 0].tolist(), strict=True):
        found[k].add(schema.DECLARED[d - 1])
    return [tuple(sorted(names)) for names in found]


def count_wrapped(traffic: Traffic, clusters: Clusters) -> tuple[I64, I64, I64, I64]:
    """Return each cluster's wrapped exchanges, and of them those with a system prompt, single shots and refused ones."""
    e, rows = traffic.exchanges, clusters.wrapped_rows(traffic.exchanges)
    label = clusters.label[e.account[rows]]
    which = (slice(None), e.system[rows] >= 0, e.messages[rows] <= 1, e.refused[rows] == 1)
    every, in_system, single, refused = (np.bincount(label[w], minlength=len(clusters)) for w in which)
    return every, in_system, single, refused


def worlds(traffic: Traffic, clusters: Clusters) -> tuple[I64, I64]:
    """Return how many end users and how many system prompts (none is one too) each account has."""
    e, accounts = traffic.exchanges, len(traffic.accounts)
    users = count_distinct(e.account, e.end_user, accounts)
    return users, count_distinct(e.account, (e.system + 1).astype(np.uint64), accounts)


def spans(traffic: Traffic, clusters: Clusters) -> tuple[I64, I64, F64]:
    """Return, for each cluster's wrapped exchanges, how many carry the most common system prompt, the first's time (0: none), and `days_between`."""
    e, rows = traffic.exchanges, clusters.wrapped_rows(traffic.exchanges)
    label = clusters.label[e.account[rows]]
    order = np.lexsort((e.at[rows], label))
    at, start = e.at[rows[order]], np.searchsorted(label[order], np.arange(len(clusters) + 1))
    times = [at[i:j] for i, j in pairwise(start.tolist())]
    begun = np.array([time[0] if len(time) else 0 for time in times], np.int64)
    days = np.array([days_between(time, len(time)) for time in times], np.float64)
    return largest_groups(label, e.system[rows] + 1, len(clusters)), begun, days


def tenths(size: int) -> tuple[float, float]:
    """Return where the first and the last tenth of so many sorted values end, between two positions mostly."""
    return (size - 1) * 0.1, (size - 1) * 0.9


def days_between(at: I64 | Mapping[int, int], size: int) -> float:
    """Return the days from the first to the last tenth of ascending times (by position), linear between neighbours; 0 for none."""
    ends = []
    for place in tenths(size) if size else ():
        low, part = int(place), place % 1
        ends.append(int(at[low]) + part * int(at[min(low + 1, size - 1)] - at[low]))
    return (ends[1] - ends[0]) / (24 * HOUR) if ends else 0.0


def largest_groups(label: I32 | I64, values: np.ndarray, clusters: int) -> I64:
    """Return, for each label, how many have its most common value; 0 stands for unknown and does not count."""
    known = np.flatnonzero(values != 0)
    known = known[np.lexsort((values[known], label[known]))]
    label, values = label[known], values[known]
    start = np.flatnonzero(
        np.append(True, (label[1:] != label[:-1]) | (values[1:] != values[:-1]))[: len(known)]
    )
    out = np.zeros(clusters, np.int64)
    np.maximum.at(out, label[start], np.diff(np.append(start, len(known))))
    return out
