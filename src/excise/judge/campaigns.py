"""From a finding in codes to a campaign that people can read: who, what, since when, and how it hangs together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from excise.judge.decide import Finding
from excise.judge.facts import HOUR
from excise.judge.wrapper import as_example
from excise.model import schema
from excise.model.clusters import Clusters, Edges
from excise.model.findings import ACCUSING, Campaign, Graph, Layer, Link, Mark, Timeline, Wrapper
from excise.model.tables import I32, I64, Traffic

DAY: Final = 24 * HOUR
_DRAWN: Final = 120
"""Accounts in a drawing: more cannot be told apart on a page."""
_CAPABILITY_SHARE: Final = 0.1
_SUSPENSION: Final = schema.EVENT_KINDS.index("suspension")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso_time(at: int) -> str:
    """Return a time in microseconds as ISO text, to the second."""
    return (_EPOCH + timedelta(microseconds=int(at))).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Life:
    """When some accounts were at work: times of the first and the last exchange, and from its first day on (UTC) exchanges and active accounts by day."""

    first: int
    last: int
    exchanges: I64
    active: I64

    @property
    def first_day(self) -> int:
        """Days from 1970 to the first."""
        return self.first // DAY


LIVES: Final = "lives of groups"
"""Name of the lives of all groups that are told (`Traffic.ask`)."""


def life_of(traffic: Traffic, accounts: I32) -> Life:
    """Look at all exchanges of these accounts."""
    e, rows = traffic.exchanges, rows_of(traffic, accounts)
    at, account = e.at[rows], e.account[rows]
    day = at // DAY - at.min() // DAY
    size = int(account.max()) + 1
    active = np.unique(day * size + account) // size
    return Life(int(at.min()), int(at.max()), np.bincount(day), np.bincount(active))


def describe(
    finding: Finding,
    q_value: float,
    traffic: Traffic,
    clusters: Clusters,
    life: Life,
    layers: Mapping[str, Layer],
    releases: Sequence[Mark],
) -> Campaign:
    """Return the campaign of a finding: of the accused where there are some, else of all members (`life`: theirs); its wrapper is shown later (`illustrated`)."""
    accounts = subject_of(finding)
    judged = finding.judgement
    return Campaign(
        campaign_id=campaign_id(traffic, accounts),
        verdict=judged.verdict,
        confidence=judged.confidence,
        q_value=round(q_value, 4),
        accounts=len(accounts),
        exchanges=int(life.exchanges.sum()),
        harvest_exchanges=len(finding.harvest),
        first_seen=iso_time(life.first),
        last_seen=iso_time(life.last),
        capabilities=capabilities(traffic, finding.harvest),
        evidence=judged.evidence,
        innocent=judged.innocent,
        examples=(),
        timeline=timeline(life, traffic.exchanges.at[finding.harvest]),
        marks=(*releases_within(releases, life), *suspensions(traffic, accounts, life)),
        wrapper=None,
        graph=graph(traffic, select_edges(clusters, finding.cluster), accounts, layers),
    )


def illustrated(campaign: Campaign, wrapper: Wrapper | None) -> Campaign:
    """Return the campaign with its wrapper, where one was found."""
    return replace(campaign, wrapper=wrapper, examples=(as_example(wrapper),)) if wrapper else campaign


def subject_of(finding: Finding) -> I32:
    """Return the accounts that a finding is about."""
    return finding.members[finding.accused] if finding.judgement.verdict in ACCUSING else finding.members


def rows_of(traffic: Traffic, accounts: I32) -> I64:
    """Return the exchanges of these accounts, in canonical order."""
    starts = traffic.accounts.starts
    return np.concatenate([np.arange(starts[a], starts[a + 1]) for a in accounts.tolist()])


def campaign_id(traffic: Traffic, accounts: I32) -> str:
    """Return an id made of the members, so that the same members have the same id in every run."""
    names = sorted(traffic.accounts.name[accounts].tolist())
    return "c-" + hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def capabilities(traffic: Traffic, harvest: I64) -> tuple[str, ...]:
    """Return what is harvested: capabilities of the families in at least a tenth of the harvest, most frequent first."""
    found: dict[str, int] = {}
    for bit, family in enumerate(traffic.families):
        n = int(((traffic.exchanges.families[harvest] >> np.uint64(bit)) & np.uint64(1)).sum())
        found[family.capability] = max(found.get(family.capability, 0), n)
    named = sorted(
        (name for name, n in found.items() if n >= _CAPABILITY_SHARE * max(1, len(harvest))),
        key=lambda c: (-found[c], c),
    )
    return tuple(named) or (("other",) if len(harvest) else ())


def timeline(life: Life, harvest: I64) -> Timeline:
    """Show a life by day, with the harvest (its times) in it."""
    days = len(life.exchanges)
    return Timeline(
        first_day=iso_time(life.first_day * DAY)[:10],
        exchanges=tuple(life.exchanges.tolist()),
        harvest=tuple(np.bincount(harvest // DAY - life.first_day, minlength=days).tolist()),
        active_accounts=tuple(life.active.tolist()),
    )


def releases_within(releases: Sequence[Mark], life: Life) -> tuple[Mark, ...]:
    """Return the releases in the campaign's life."""
    return tuple(m for m in releases if iso_time(life.first) <= m.at <= iso_time(life.last))


def suspensions(traffic: Traffic, accounts: I32, life: Life) -> tuple[Mark, ...]:
    """Return, for each day of the campaign's life, how many members were suspended; never whom."""
    events = traffic.events
    hit = (
        (events.kind == _SUSPENSION)
        & np.isin(events.account, accounts)
        & (events.at >= life.first)
        & (events.at <= life.last + DAY)
    )
    day, count = np.unique(events.at[hit] // DAY, return_counts=True)
    return tuple(
        Mark(iso_time(d * DAY), "suspension", f"{n} suspended")
        for d, n in zip(day.tolist(), count.tolist(), strict=True)
    )


def select_edges(clusters: Clusters, cluster: int) -> Edges:
    """Return the edges of one cluster."""
    e, mine = clusters.edges, clusters.edges_of(cluster)
    return Edges(e.a[mine], e.b[mine], e.weight[mine], e.kinds[mine], e.detectors)


def graph(traffic: Traffic, edges: Edges, accounts: I32, layers: Mapping[str, Layer]) -> Graph:
    """Return how the best linked members hang together."""
    inside = np.isin(edges.a, accounts) & np.isin(edges.b, accounts)
    a, b, weight, kinds = edges.a[inside], edges.b[inside], edges.weight[inside], edges.kinds[inside]
    degree = np.bincount(
        np.concatenate([a, b]), weights=np.concatenate([weight, weight]), minlength=int(accounts.max()) + 1
    )
    drawn = np.sort(accounts[np.lexsort((accounts, -degree[accounts]))][:_DRAWN])
    kept = np.isin(a, drawn) & np.isin(b, drawn)
    position = {int(code): i for i, code in enumerate(drawn)}
    links = tuple(
        Link(
            position[x],
            position[y],
            round(w, 3),
            tuple(sorted({layers[d] for i, d in enumerate(edges.detectors) if k >> i & 1})),
        )
        for x, y, w, k in zip(
            a[kept].tolist(), b[kept].tolist(), weight[kept].tolist(), kinds[kept].tolist(), strict=True
        )
    )
    return Graph(tuple(traffic.accounts.name[drawn].tolist()), _strongest(links), len(accounts))


def _strongest(links: Sequence[Link], most: int = 600) -> tuple[Link, ...]:
    """Keep the strongest links: a drawing of more is a blot."""
    return tuple(sorted(sorted(links, key=lambda k: (-k.weight, k.a, k.b))[:most], key=lambda k: (k.a, k.b)))
