"""How much is harvested before a campaign is known: each world is scanned as it was on every day, without what came after."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from measure.runs import Variant, scan, truth_of
from measure.scores import read_run
from measure.worlds import World, length_in_days, until
from page import table

SURE = 0.9


@dataclass(frozen=True, slots=True)
class Detection:
    """One campaign. day: days from the world's first exchange to the scan that first knew it, or None. before: harvest until then."""

    level: int
    kind: str
    day: float | None
    started: float
    before: int
    harvest: int


def measure(worlds: Sequence[World], cache: Path, every: float) -> str:
    """Return the section: per level, how many campaigns are ever known, and what was lost until then."""
    found = [d for world in worlds for d in replay(world, cache, every)]
    rows = []
    for level in sorted({d.level for d in found}):
        mine = [d for d in found if d.level == level]
        known = [d for d in mine if d.day is not None]
        days = [d.day - d.started for d in known if d.day is not None]
        before = [d.before for d in known]
        rows.append([
            level, f"{len(known)} of {len(mine)}",
            f"{statistics.median(days):.1f}" if days else "", f"{statistics.median(before):,.0f}" if before else "",
            f"{sum(before) / max(1, sum(d.harvest for d in known)):.0%}" if known else "",
            f"{sum(d.before if d.day is not None else d.harvest for d in mine) / sum(d.harvest for d in mine):.0%}",
        ])  # fmt: skip
    head = ["level", "campaigns that reach 0.9", "days from their first harvest (median)", "harvest exchanges before (median)", "share of their harvest", "share of all campaigns' harvest"]  # fmt: skip
    return f"""Worlds: {", ".join(w.made for w in worlds)}. Each is scanned every {every:g} days as it was then: no later exchange, event or account. A campaign is known on the first day on which a group with confidence {SURE} and more, called `distillation` or `relay`, is mostly its. What it harvests until then is lost; a campaign that is never known loses all.

{table(head, rows)}"""


def replay(world: World, cache: Path, every: float) -> list[Detection]:
    known = truth_of(world)
    begin, times = harvest_times(world, known.harvest)
    accounts = {a: r.campaign for a, r in known.accounts.items()}
    by_campaign: dict[str, list[float]] = defaultdict(list)
    for account, at in times:
        if accounts.get(account):
            by_campaign[str(accounts[account])].append((at - begin).total_seconds() / 86_400)
    first: dict[str, float] = {}
    for step in range(1, math.ceil(length_in_days(world) / every) + 1):
        day = step * every
        run = scan(world, cache, Variant(f"day {day:g}", change=lambda w, out, d=day: until(w, out, d)))
        for campaign in sure_campaigns(run, accounts):
            first.setdefault(campaign, day)
    out = []
    for campaign, at in sorted(by_campaign.items()):
        at.sort()
        facts, day = known.campaigns[campaign], first.get(campaign)
        before = len(at) if day is None else bisect_left(at, day)
        out.append(Detection(facts["level"], facts["kind"], day, at[0], before, len(at)))
    return out


def sure_campaigns(run: Path, accounts: dict[str, str | None]) -> set[str]:
    """The true campaigns that most members of some sure, accusing group belong to."""
    said, groups, _ = read_run(run)
    sure = {
        g["campaign_id"]
        for g in groups
        if g["verdict"] in {"distillation", "relay"} and g["confidence"] >= SURE
    }
    members: dict[str, Counter[str | None]] = defaultdict(Counter)
    for account, s in said.items():
        if s.campaign in sure and s.verdict in {"distillation", "relay"}:
            members[str(s.campaign)][accounts.get(account)] += 1
    out = set()
    for count in members.values():
        campaign, n = count.most_common(1)[0]
        if campaign is not None and n > 0.5 * count.total():
            out.add(campaign)
    return out


def harvest_times(world: World, harvest: frozenset[str]) -> tuple[datetime, list[tuple[str, datetime]]]:
    """When the world begins, and (account, time) of each harvest exchange."""
    begin, rows = None, []
    ids = pa.array(sorted(harvest), pa.string())
    for path in sorted((world.path / "exchanges").glob("*.parquet")):
        part = pq.read_table(path, columns=["exchange_id", "account_id", "started_at"])
        low = pc.min(part["started_at"]).as_py()
        begin = low if begin is None else min(begin, low)
        part = part.filter(pc.is_in(part["exchange_id"], ids))
        rows += list(zip(part["account_id"].to_pylist(), part["started_at"].to_pylist(), strict=True))
    assert begin is not None
    return begin, rows
