"""What the innocent explanations are tested against: plain shares of each cluster, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from excise.engine.keys import count_distinct
from excise.model import schema
from excise.model.clusters import Clusters
from excise.model.tables import F64, I32, I64, Accounts, Bool, Traffic

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
    volume = traffic.accounts.volume()
    return [
        _facts(
            traffic.accounts,
            clusters.of(k),
            volume,
            people,
            *(c[k] for c in (*counts, *span, clusters.items)),
        )
        for k in range(len(clusters))
    ]


def _facts(
    a: Accounts,
    members: I32,
    volume: I64,
    people: tuple[I64, I64],
    wrapped: int,
    in_system: int,
    single: int,
    refused: int,
    prompt: int,
    begun: int,
    days: float,
    items: float,
) -> Facts:
    owner, org = a.owner[members], a.org[members]
    known = int(((owner != 0) | (org != 0)).sum())
    declared, created = a.declared[members], a.created[members]
    some = max(1, int(wrapped))
    users, prompts = (float(np.median(each[members])) if len(members) else 0.0 for each in people)
    return Facts(
        members=len(members),
        wrapped=int(wrapped),
        in_system=int(in_system) / some,
        one_system=int(prompt) / some,
        single=int(single) / some,
        refused=int(refused) / some,
        items=float(items),
        owner=max(largest_group(owner), largest_group(org)) / max(1, known),
        owner_known=known,
        mail=largest_group(a.mail[members]) / max(1, int((a.mail[members] != 0).sum())),
        programme=_share(a.programme[members] != 0),
        verified=_share(a.verified[members] == 1),
        declared=tuple(sorted({schema.DECLARED[d - 1] for d in declared[declared > 0].tolist()})),
        declared_share=_share(declared > 0),
        users=users,
        prompts=prompts,
        active_days=float(days),
        wrapped_share=int(wrapped) / max(1, int(volume[members].sum())),
        young=_share((created > 0) & (created > begun - 14 * 24 * HOUR)),
    )


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
    order = np.argsort(label, kind="stable")
    start = np.searchsorted(label[order], np.arange(len(clusters) + 1))
    pieces = [rows[order[start[k] : start[k + 1]]] for k in range(len(clusters))]
    prompt = np.array([largest_group(e.system[piece] + 1) for piece in pieces], np.int64)
    times = [np.sort(e.at[piece]) for piece in pieces]
    begun = np.array([at[0] if len(at) else 0 for at in times], np.int64)
    return prompt, begun, np.array([days_between(at, len(at)) for at in times], np.float64)


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


def _share(which: Bool) -> float:
    return float(which.mean()) if len(which) else 0.0


def largest_group(values: np.ndarray) -> int:
    """Return how many have the most common value; 0 stands for unknown and does not count."""
    values = values[values != 0]
    return int(np.unique(values, return_counts=True)[1].max()) if len(values) else 0
