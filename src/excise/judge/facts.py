"""What the innocent explanations are tested against: plain shares of each cluster, computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from excise.engine.keys import count_distinct
from excise.model import schema
from excise.model.clusters import Clusters
from excise.model.tables import I32, I64, Bool, Traffic

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


def gather_facts(traffic: Traffic, clusters: Clusters) -> list[Facts]:
    """Return the facts of every cluster. O(n log n) in the wrapped exchanges."""
    rows = clusters.wrapped_rows(traffic.exchanges)
    label = clusters.label[traffic.exchanges.account[rows]]
    order = np.argsort(label, kind="stable")
    rows, label = rows[order], label[order]
    start = np.searchsorted(label, np.arange(len(clusters) + 1))
    volume = traffic.accounts.volume()
    e, accounts = traffic.exchanges, len(traffic.accounts)
    users = count_distinct(e.account, e.end_user, accounts)
    prompts = count_distinct(e.account, (e.system + 1).astype(np.uint64), accounts)
    return [
        _facts(
            traffic,
            clusters.of(k),
            rows[start[k] : start[k + 1]],
            users,
            prompts,
            volume,
            float(clusters.items[k]),
        )
        for k in range(len(clusters))
    ]


def _facts(
    traffic: Traffic, members: I32, rows: I64, users: I64, prompts: I64, volume: I64, items: float
) -> Facts:
    e, a = traffic.exchanges, traffic.accounts
    owner, org = a.owner[members], a.org[members]
    declared = a.declared[members]
    at = e.at[rows]
    created = a.created[members]
    begun = at.min() if len(at) else 0
    return Facts(
        members=len(members),
        wrapped=len(rows),
        in_system=_share(e.system[rows] >= 0),
        one_system=largest_group(e.system[rows] + 1) / max(1, len(rows)),
        single=_share(e.messages[rows] <= 1),
        refused=_share(e.refused[rows] == 1),
        items=items,
        owner=max(largest_group(owner), largest_group(org)) / max(1, int(((owner != 0) | (org != 0)).sum())),
        owner_known=int(((owner != 0) | (org != 0)).sum()),
        mail=largest_group(a.mail[members]) / max(1, int((a.mail[members] != 0).sum())),
        programme=_share(a.programme[members] != 0),
        verified=_share(a.verified[members] == 1),
        declared=tuple(sorted({schema.DECLARED[d - 1] for d in declared[declared > 0].tolist()})),
        declared_share=_share(declared > 0),
        users=float(np.median(users[members])) if len(members) else 0.0,
        prompts=float(np.median(prompts[members])) if len(members) else 0.0,
        active_days=float(np.ptp(np.quantile(at, (0.1, 0.9))) / (24 * HOUR)) if len(at) else 0.0,
        wrapped_share=len(rows) / max(1, int(volume[members].sum())),
        young=_share((created > 0) & (created > begun - 14 * 24 * HOUR)),
    )


def _share(which: Bool) -> float:
    return float(which.mean()) if len(which) else 0.0


def largest_group(values: np.ndarray) -> int:
    """Return how many have the most common value; 0 stands for unknown and does not count."""
    values = values[values != 0]
    return int(np.unique(values, return_counts=True)[1].max()) if len(values) else 0
