"""Compare a run folder with the labels of its world, in counts, so that worlds can be pooled.

The definitions are those of the scorer that comes with the labelled worlds (a test holds them together): an account of a
campaign is found when it is called what the campaign is; accounts that never harvested prove nothing; clusters are compared
by B-cubed over everything that is accused or should be.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from measure.labels import EITHER, IS_RELAY, Account, Labels

Part = tuple[int, int]
"""How many of how many."""


@dataclass(frozen=True, slots=True)
class Score:
    """One run on one world; keys are levels, kinds or populations as text.

    accounts: innocent ones of each population; accused: wrong `distillation` and wrong `relay` of each. declared: accused of all
    that are declared. levels, kinds: harvesting accounts called right, of all. campaigns: found, of those with a harvest, by
    level. told: accused accounts of campaigns that were called by the right of both names. distillation: bad ones, of all so
    called. rows, mixed: reported, true, all harvest. row_levels: the same by level, inside campaigns. b_cubed: items, sums of precision and of recall,
    by level and `all`. sure: (confidence, true) of each `distillation` campaign. ap: average precision of account scores.
    """

    accounts: dict[str, int]
    accused: dict[str, Part]
    declared: Part
    levels: dict[str, Part]
    kinds: dict[str, Part]
    campaigns: dict[str, Part]
    campaign_kinds: dict[str, Part]
    told: Part
    distillation: Part
    rows: tuple[int, int, int] | None
    mixed: tuple[int, int, int] | None
    row_levels: dict[str, tuple[int, int, int]]
    b_cubed: dict[str, tuple[int, float, float]]
    sure: list[tuple[float, bool]]
    relays_named: Part
    ap: float
    verdicts: dict[str, dict[str, int]] = field(default_factory=dict)

    def wrong(self) -> int:
        """Innocent accounts that were accused of what they are not."""
        return sum(a + b for a, b in self.accused.values())

    def innocent(self) -> int:
        return sum(self.accounts.values())


@dataclass(frozen=True, slots=True)
class Said:
    """What a run says of one account."""

    verdict: str
    campaign: str | None
    score: float


def read_run(run: Path) -> tuple[dict[str, Said], list[dict[str, Any]], list[tuple[str, str]] | None]:
    """Return what a run folder says of accounts and campaigns, and its harvest rows (exchange, account) where it names any."""
    table = pq.read_table(run / "accounts.parquet", columns=["account_id", "verdict", "campaign_id", "score"])
    said = {
        a: Said(v or "none", c, 0.0 if s is None or s != s else s)  # noqa: PLR0124  NaN alone differs from itself
        for a, v, c, s in zip(*(table[c].to_pylist() for c in table.column_names), strict=True)
    }
    campaigns = json.loads((run / "campaigns.json").read_text("utf-8"))
    path = run / "harvest.parquet"
    if not path.exists():
        return said, campaigns, None
    rows = pq.read_table(path, columns=["exchange_id", "account_id"])
    return said, campaigns, list(zip(*(rows[c].to_pylist() for c in rows.column_names), strict=True))


def score(run: Path, labels: Labels) -> Score:
    said, campaigns, rows = read_run(run)
    missing = Said("none", None, 0.0)
    view = {a: said.get(a, missing) for a in labels.accounts}
    right = {a: _right(view[a].verdict, labels, a) for a, r in labels.accounts.items() if r.campaign}
    groups = _groups(view, labels)
    innocent = [a for a, r in labels.accounts.items() if r.campaign is None]
    wrong = {
        a: view[a].verdict for a in innocent
        if view[a].verdict == "distillation" or (view[a].verdict == "relay" and labels.accounts[a].population not in IS_RELAY)
    }  # fmt: skip
    bad = set(right)
    called = [a for a, s in view.items() if s.verdict == "distillation"]
    named = [
        a for a in bad if view[a].verdict in {"distillation", "relay"} and not _either(labels.accounts[a])
    ]
    harvesters = [a for a in bad if labels.harvested[a]]
    relays = [a for a in innocent if labels.accounts[a].population in IS_RELAY]
    hit = _found(groups, labels)
    live = {labels.accounts[a].campaign for a in harvesters}
    return Score(
        accounts=dict(sorted(Counter(labels.accounts[a].population for a in innocent).items())),
        accused=_wrongly(wrong, labels),
        declared=(sum(a in wrong for a in labels.declared if a in labels.accounts), len(labels.declared)),
        levels=_parts((str(labels.accounts[a].level), right[a]) for a in harvesters),
        kinds=_parts((_kind(labels.accounts[a]), right[a]) for a in harvesters),
        campaigns=_parts((str(c["level"]), k in hit) for k, c in labels.campaigns.items() if k in live),
        campaign_kinds=_parts((c["kind"], k in hit) for k, c in labels.campaigns.items() if k in live),
        told=(sum(right[a] for a in named), len(named)),
        distillation=(sum(a in bad for a in called), len(called)),
        rows=_rows(rows, labels), mixed=_rows(rows, labels, EITHER), row_levels=_row_levels(rows, labels),
        b_cubed=_b_cubed(groups, labels), sure=_calibration(campaigns, groups, labels),
        relays_named=(sum(view[a].verdict == "relay" for a in relays), len(relays)),
        ap=_average_precision([(view[a].score, a in bad) for a in labels.accounts]),
        verdicts=_verdicts(view, labels),
    )  # fmt: skip


def _kind(account: Account) -> str:
    return account.population.removeprefix("campaign:")


def _either(account: Account) -> bool:
    return _kind(account) == EITHER


def _right(verdict: str, labels: Labels, account: str) -> bool:
    mine = labels.accounts[account]
    if _either(mine):
        return verdict in {"distillation", "relay"}
    return verdict == labels.campaigns[str(mine.campaign)].get("expected_verdict", "distillation")


def _parts(rows: Iterable[tuple[str, bool]]) -> dict[str, Part]:
    hits: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for key, hit in rows:
        hits[key] += hit
        total[key] += 1
    return {key: (hits[key], total[key]) for key in sorted(total)}


def _wrongly(wrong: Mapping[str, str], labels: Labels) -> dict[str, Part]:
    out: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for account, verdict in wrong.items():
        out[labels.accounts[account].population][verdict == "relay"] += 1
    return {p: (a, b) for p, (a, b) in sorted(out.items())}


def _verdicts(view: Mapping[str, Said], labels: Labels) -> dict[str, dict[str, int]]:
    """Verdicts of the accounts of each kind of campaign, harvesting or not."""
    out: dict[str, Counter[str]] = defaultdict(Counter)
    for account, mine in labels.accounts.items():
        if mine.campaign:
            out[_kind(mine)][view[account].verdict] += 1
    return {kind: dict(sorted(c.items())) for kind, c in sorted(out.items())}


def _groups(view: Mapping[str, Said], labels: Labels) -> dict[str, list[str]]:
    """Accounts by the campaign that they were accused in; an honest relay that is called one is no accusation."""
    out: dict[str, list[str]] = defaultdict(list)
    for account, s in view.items():
        honest = s.verdict == "relay" and labels.accounts[account].population in IS_RELAY
        if s.verdict in {"distillation", "relay"} and s.campaign is not None and not honest:
            out[s.campaign].append(account)
    return out


def _major(members: Iterable[str], labels: Labels) -> tuple[str | None, int]:
    """The campaign that most members are of, and how many."""
    count = Counter(labels.accounts[a].campaign for a in members)
    del count[None]
    return count.most_common(1)[0] if count else (None, 0)


def _found(groups: Mapping[str, list[str]], labels: Labels) -> set[str]:
    """Campaigns of which half of the harvesting accounts lie in one group that is mostly theirs."""
    of = {a: g for g, members in groups.items() for a in members}
    harvesters: dict[str, list[str]] = defaultdict(list)
    for a in labels.harvested:
        if a in labels.accounts and labels.accounts[a].campaign:
            harvesters[str(labels.accounts[a].campaign)].append(a)
    hit = set()
    for campaign, members in harvesters.items():
        best = Counter(of[a] for a in members if a in of).most_common(1)
        if best and best[0][1] >= 0.5 * len(members):
            major, n = _major(groups[best[0][0]], labels)
            if major == campaign and n > 0.5 * len(groups[best[0][0]]):
                hit.add(campaign)
    return hit


def _b_cubed(groups: Mapping[str, list[str]], labels: Labels) -> dict[str, tuple[int, float, float]]:
    """B-cubed sums over accounts that are accused or should be; an innocent one is a group of its own (Bagga and Baldwin 1998)."""
    of = {a: g for g, members in groups.items() for a in members}
    size = Counter(r.campaign for r in labels.accounts.values() if r.campaign)
    both = Counter((of[a], r.campaign) for a, r in labels.accounts.items() if a in of and r.campaign)
    out: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for account, r in labels.accounts.items():
        group = of.get(account)
        if group is None and r.campaign is None:
            continue
        if r.campaign is None:
            precision, recall = 1 / len(groups[str(group)]), 1.0
        elif group is None:
            precision, recall = 1.0, 1 / size[r.campaign]
        else:
            shared = both[group, r.campaign]
            precision, recall = shared / len(groups[group]), shared / size[r.campaign]
        for key in ("all", *([str(r.level)] if r.campaign else [])):
            sums = out[key]
            out[key] = [sums[0] + 1, sums[1] + precision, sums[2] + recall]
    return {key: (int(n), p, r) for key, (n, p, r) in sorted(out.items())}


def _calibration(
    campaigns: Iterable[Mapping[str, Any]], groups: Mapping[str, list[str]], labels: Labels
) -> list[tuple[float, bool]]:
    """Each campaign that is called a distillation: its confidence, and whether most of its accounts are of one true campaign."""
    out = []
    for c in campaigns:
        if c.get("verdict") == "distillation":
            members = groups.get(c["campaign_id"], [])
            out.append((float(c.get("confidence") or 0.0), _major(members, labels)[1] > 0.5 * len(members)))
    return out


def _rows(
    rows: list[tuple[str, str]] | None, labels: Labels, kind: str | None = None
) -> tuple[int, int, int] | None:
    """Harvest exchanges: reported, truly so, and all there are; of campaigns of one kind where it is named."""
    if rows is None:
        return None
    if kind is not None:
        mine = {a for a, r in labels.accounts.items() if r.campaign and _kind(r) == kind}
        rows = [row for row in rows if row[1] in mine]
        return len(rows), sum(x in labels.harvest for x, _ in rows), sum(labels.harvested[a] for a in mine)
    return len(rows), sum(x in labels.harvest for x, _ in rows), len(labels.harvest)


def _row_levels(rows: list[tuple[str, str]] | None, labels: Labels) -> dict[str, tuple[int, int, int]]:
    out: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for account, n in labels.harvested.items():
        if account in labels.accounts:
            out[str(labels.accounts[account].level)][2] += n
    for exchange, account in rows or []:
        mine = labels.accounts.get(account)
        if mine is not None and mine.campaign:
            out[str(mine.level)][0] += 1
            out[str(mine.level)][1] += exchange in labels.harvest
    return {level: (a, b, c) for level, (a, b, c) in sorted(out.items())}


def _average_precision(rows: list[tuple[float, bool]]) -> float:
    """Area under precision over recall when accounts are ranked by score; equal scores are one step."""
    by_score: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for value, bad in rows:
        by_score[value][0] += bad
        by_score[value][1] += 1
    total, true, seen, area = sum(bad for _, bad in rows), 0, 0, 0.0
    for value in sorted(by_score, reverse=True):
        bad, n = by_score[value]
        true, seen = true + bad, seen + n
        area += bad * true / seen
    return area / max(1, total)
