"""A run arranged for reading: what the page, section by section, has to say. No markup here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from excise.model.findings import ACCUSING, LAYERS, Campaign, Evidence, Mark
from excise.report import network, timeline, wording
from excise.report.info import typed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from excise.model.findings import Layer
    from excise.model.run import Run
    from excise.report.info import Info

SECTIONS = 120
"""Campaigns that get a section of their own, the strongest first; the others are in the table."""
ROWS = 1_000
"""Campaigns in the table."""
MEMBERS = 200
"""Members that a campaign lists, the highest scores first."""
MEMBERS_IN_ALL = 6_000
"""Members that the whole page lists: each campaign lists fewer where there are many."""
SPARED = 50
"""Accounts that are listed as not accused, the highest scores first."""
REASONS = 3
OPEN = 3
"""A page of at most so many campaigns shows them all unfolded; otherwise only the first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Evidence with the lengths of its bars, 0 to 100; `pro` and `con` are those of the log-odds."""

    evidence: Evidence
    value_bar: float
    baseline_bar: float
    pro: float
    con: float


@dataclass(frozen=True, slots=True)
class LayerView:
    """The findings of one layer and the sum of their log-odds."""

    layer: Layer
    findings: tuple[Finding, ...]
    log_odds: float


@dataclass(frozen=True, slots=True)
class CampaignView:
    """One section. `anchor` is safe in a link; `members` are rows of accounts.parquet."""

    anchor: str
    rank: int
    campaign: Campaign
    accuses: bool
    unfolded: bool
    layers: tuple[LayerView, ...]
    members: tuple[dict[str, Any], ...]
    more_members: int
    timeline: timeline.Drawing | None
    network: network.Drawing | None


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    info: Info
    accused: tuple[CampaignView, ...]
    spared: tuple[CampaignView, ...]
    table: tuple[tuple[str, Campaign], ...]
    more_rows: int
    verdicts: tuple[tuple[str, int], ...]
    accused_accounts: int
    overview: timeline.Overview | None
    spared_accounts: tuple[dict[str, Any], ...]
    more_spared: int


def page(run: Run) -> Page:
    """Arrange `run`. Raises `ValueError` where `run.info` does not fit its schema."""
    info = typed(run.info)
    ranked = sorted(
        run.campaigns, key=lambda c: c.verdict not in ACCUSING
    )  # stable: the strongest stay first
    shown = ranked[:SECTIONS]
    members = by_campaign(run.accounts)
    room = max(10, min(MEMBERS, MEMBERS_IN_ALL // max(len(shown), 1)))
    exchanges = drawn_exchanges(run.accounts, shown)
    nobody = run.accounts.slice(0, 0)
    sections = [
        _section(
            c, rank, members.get(c.campaign_id, nobody), room, rank == 1 or len(shown) <= OPEN, exchanges
        )
        for rank, c in enumerate(shown, 1)
    ]
    spared = not_accused(run.accounts)
    return Page(
        info=info,
        accused=tuple(s for s in sections if s.accuses),
        spared=tuple(s for s in sections if not s.accuses),
        table=tuple((f"c{rank}" if rank <= SECTIONS else "", c) for rank, c in enumerate(ranked[:ROWS], 1)),
        more_rows=max(0, len(ranked) - ROWS),
        verdicts=tuple((v, sum(c.verdict == v for c in ranked)) for v in wording.VERDICT_WORDS),
        accused_accounts=sum(c.accounts for c in ranked if c.verdict in ACCUSING),
        overview=timeline.overview(ranked, info, _marks(info)),
        spared_accounts=tuple(spared.slice(0, SPARED).to_pylist()),
        more_spared=max(0, spared.num_rows - SPARED),
    )


def by_campaign(accounts: pa.Table) -> dict[str, pa.Table]:
    """Rows of accounts.parquet by campaign, the highest score first, then by id. Slices: no row is copied twice."""
    held = accounts.filter(pc.is_valid(accounts["campaign_id"]))
    held = held.sort_by([("campaign_id", "ascending"), ("score", "descending"), ("account_id", "ascending")])
    runs = pc.run_end_encode(held["campaign_id"].combine_chunks(), run_end_type=pa.int64())
    ends = runs.run_ends.to_pylist()
    names = zip([0, *ends], ends, runs.values.to_pylist(), strict=False)
    return {name: held.slice(start, end - start) for start, end, name in names}


def drawn_exchanges(accounts: pa.Table, campaigns: Sequence[Campaign]) -> dict[str, int]:
    """Exchanges of the accounts that the networks of `campaigns` draw."""
    wanted = {name for c in campaigns if c.graph for name in c.graph.accounts[: network.NODES]}
    found = accounts.filter(pc.is_in(accounts["account_id"], value_set=pa.array(sorted(wanted), pa.string())))
    return dict(zip(found["account_id"].to_pylist(), found["exchanges"].to_pylist(), strict=True))


def not_accused(accounts: pa.Table) -> pa.Table:
    """Accounts outside every accusing campaign that have a score and reasons for it, the highest score first."""
    accused = pc.fill_null(pc.is_in(accounts["verdict"], value_set=pa.array(ACCUSING)), False)
    reasoned = pc.greater(pc.fill_null(pc.list_value_length(accounts["reasons"]), 0), 0)
    found = accounts.filter(
        pc.and_(pc.invert(accused), pc.and_(reasoned, pc.greater(accounts["score"], 0.0)))
    )
    return found.sort_by([("score", "descending"), ("account_id", "ascending")])


def layered(evidence: Sequence[Evidence]) -> tuple[LayerView, ...]:
    """Evidence by layer, the weightiest first, bars on one scale of log-odds."""
    scale = max((abs(e.log_odds) for e in evidence), default=0.0) or 1.0
    views = []
    for layer in LAYERS:
        held = sorted(
            (e for e in evidence if e.layer == layer), key=lambda e: (-e.log_odds, e.detector, e.statement)
        )
        if held:
            views.append(
                LayerView(layer, tuple(_finding(e, scale) for e in held), sum(e.log_odds for e in held))
            )
    return tuple(views)


def _finding(e: Evidence, scale: float) -> Finding:
    top = max(e.value, e.baseline, 0.0) or 1.0
    weight = round(100 * (abs(e.log_odds) / scale), 1)
    return Finding(
        evidence=e,
        value_bar=round(100 * (max(e.value, 0.0) / top), 1),
        baseline_bar=round(100 * (max(e.baseline, 0.0) / top), 1),
        pro=weight if e.log_odds > 0 else 0.0,
        con=weight if e.log_odds < 0 else 0.0,
    )


def _section(
    c: Campaign, rank: int, rows: pa.Table, room: int, unfolded: bool, exchanges: Mapping[str, int]
) -> CampaignView:
    return CampaignView(
        anchor=f"c{rank}",
        rank=rank,
        campaign=c,
        accuses=c.verdict in ACCUSING,
        unfolded=unfolded,
        layers=layered(c.evidence),
        members=tuple(rows.slice(0, room).to_pylist()),
        more_members=max(0, rows.num_rows - room),
        timeline=timeline.of_campaign(c),
        network=network.draw(c.graph, exchanges) if c.graph else None,
    )


def _marks(info: Info) -> tuple[Mark, ...]:
    """Releases first: where there is no room for all, they matter most."""
    marks = [
        Mark(e.at, e.kind, e.label or e.kind)
        for e in info.events
        if e.kind in ("model_release", "price_change", "outage")
    ]
    return tuple(sorted(marks, key=lambda m: m.kind != "model_release")[: timeline.MARKS])
