"""The main page: Excise and the baselines on the same worlds, by level, by kind, by innocent population, and its confidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import excise
from intervals import share, upper_bound
from measure.baselines import run_all
from measure.labels import EITHER, IS_RELAY
from measure.runs import score_of, scored
from measure.scores import Part, Score
from measure.worlds import World
from page import table

LEAST_POPULATION = 1000
"""Accounts of a population in a world from which its own rate says something."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What was set as a goal before anything was measured: `of` says of what."""

    level: str
    of: str
    must: float
    aim: float


BARS = (
    Bar("0", "accounts", 0.98, 0.99),
    Bar("1", "accounts", 0.98, 0.99),
    Bar("2", "accounts", 0.97, 0.98),
    Bar("3", "accounts", 0.90, 0.95),
    Bar("4", "accounts", 0.75, 0.90),
    Bar("5", "accounts", 0.70, 0.80),
    Bar("6", "harvest exchanges, precision 0.9", 0.60, 0.70),
    Bar("7", "campaigns", 0.40, 0.50),
)


def measure(worlds: Sequence[World], cache: Path) -> dict[str, str]:
    """Scan the worlds, run the baselines, and return the sections of the page."""
    mine = [scored(w, cache) for w in worlds]
    runs = [run_all(w, cache) for w in worlds]
    methods = {"Excise": mine}
    for name in runs[0]:
        methods[name] = [score_of(r[name], w) for r, w in zip(runs, worlds, strict=True)]
    return {
        "Against the baselines": against(methods, worlds),
        "By level": by_level(mine),
        "By kind of campaign": by_kind(mine),
        "Who is accused wrongly": innocents(mine),
        "Confidence": confidence(mine),
    }


def pooled(parts: Sequence[Part]) -> str:
    """Say the mean share of the worlds with its interval, and the counts behind it."""
    there = [p for p in parts if p[1]]
    if not there:
        return ""
    hits, total = (sum(p[k] for p in there) for k in (0, 1))
    return f"{share([h / n for h, n in there])} ({hits:,} of {total:,})"


def _short(parts: Sequence[Part]) -> str:
    return share([h / n for h, n in parts if n])


def _at(scores: Sequence[Score], get: Callable[[Score], dict[str, Part]], *keys: str) -> list[Part]:
    """Some levels or kinds of each world, added up."""
    found = [[get(s).get(k, (0, 0)) for k in keys] for s in scores]
    return [(sum(p[0] for p in ps), sum(p[1] for p in ps)) for ps in found]


def f1(sums: tuple[int, float, float]) -> float:
    """F1 of B-cubed sums."""
    n, precision, recall = sums
    p, r = (precision / n, recall / n) if n else (0.0, 0.0)
    return 2 * p * r / (p + r) if p + r else 0.0


def against(methods: dict[str, list[Score]], worlds: Sequence[World]) -> str:
    groups = {"level 0-2": "012", "3": "3", "4": "4", "5": "5", "6": "6", "7-8": "78"}
    head = ["method", *groups, "precision of `distillation`", "innocents accused, per 100,000", "average precision", "campaigns found", "B-cubed F1"]  # fmt: skip
    rows = []
    for name, scores in methods.items():
        rows.append([
            name, *(_short(_at(scores, lambda s: s.levels, *levels)) for levels in groups.values()),
            _short([s.distillation for s in scores]),
            f"{sum(s.wrong() for s in scores) / sum(s.innocent() for s in scores) * 1e5:,.1f}",
            share([s.ap for s in scores]),
            _short([(sum(h for h, _ in s.campaigns.values()), sum(n for _, n in s.campaigns.values())) for s in scores]),
            share([f1(s.b_cubed["all"]) for s in scores if "all" in s.b_cubed]),
        ])  # fmt: skip
    made = "\n".join(f"- {w.made}" for w in worlds)
    return f"""Default settings, version {excise.__version__}; {len(worlds)} worlds, {sum(s.innocent() for s in methods["Excise"]):,} innocent accounts. By level: share of the accounts that harvested at least once and are called what their campaign is; a mean over worlds with its 95 % interval (Student's t). The baselines accuse the highest 1 % of accounts, or what their rule says; they know no relays.

{table(head, rows)}

The worlds:

{made}"""


def by_level(scores: Sequence[Score]) -> str:
    rows = []
    for level in sorted({k for s in scores for k in s.levels}):
        bar = next((b for b in BARS if b.level == level), None)
        goal = f"{bar.must:g} / {bar.aim:g} of {bar.of}" if bar else ""
        reported = [s.row_levels.get(level, (0, 0, 0)) for s in scores]
        rows.append([
            level, pooled(_at(scores, lambda s: s.levels, level)), pooled(_at(scores, lambda s: s.campaigns, level)),
            pooled([(t, n) for _, t, n in reported]), _short([(t, r) for r, t, _ in reported if r]),
            share([f1(s.b_cubed[level]) for s in scores if level in s.b_cubed]), goal,
        ])  # fmt: skip
    head = ["level", "accounts that harvested", "campaigns found", "harvest exchanges found", "their precision inside campaigns", "B-cubed F1", "must / aim"]  # fmt: skip
    whole = [s.rows for s in scores if s.rows]
    everything = [f1(s.b_cubed["all"]) for s in scores if "all" in s.b_cubed]
    return f"""A campaign is found when half of its harvesting accounts lie in one accused group that is mostly theirs. Harvest exchanges are those that the run names.

{table(head, rows)}

Harvest exchanges over all: precision {pooled([(t, r) for r, t, _ in whole])}, recall {pooled([(t, n) for _, t, n in whole])}. B-cubed F1 over all that is accused or should be: {share(everything)}."""


def by_kind(scores: Sequence[Score]) -> str:
    rows = []
    for kind in sorted({k for s in scores for k in s.kinds}):
        said: Counter[str] = Counter()
        for s in scores:
            said.update(s.verdicts.get(kind, {}))
        verdicts = ", ".join(f"{n:,} {v}" for v, n in said.most_common())
        rows.append(
            [
                f"`{kind}`",
                pooled(_at(scores, lambda s: s.kinds, kind)),
                pooled(_at(scores, lambda s: s.campaign_kinds, kind)),
                verdicts,
            ]
        )
    mixed = [s.mixed for s in scores if s.mixed]
    return f"""`serve_harvest` is right as `relay`: nothing in the traffic tells what it keeps. `{EITHER}` may be called either.

{table(["kind", "harvesting accounts called right", "campaigns found", "verdicts of all its accounts"], rows)}

Inside `{EITHER}` the harvest exchanges have precision {pooled([(t, r) for r, t, _ in mixed if r])} and recall {pooled([(t, n) for _, t, n in mixed if n])}. Relay told from distillation: {pooled([s.told for s in scores])} of the accused accounts. Honest relays and undeclared resellers named `relay`: {pooled([s.relays_named for s in scores])}."""


def innocents(scores: Sequence[Score]) -> str:
    rows = []
    for population in sorted({p for s in scores for p in s.accounts}):
        accounts = sum(s.accounts.get(population, 0) for s in scores)
        accused, relay = (sum(s.accused.get(population, (0, 0))[k] for s in scores) for k in (0, 1))
        large = [s for s in scores if s.accounts.get(population, 0) >= LEAST_POPULATION]
        worst = max(
            (sum(s.accused.get(population, (0, 0))) / s.accounts[population] for s in large), default=None
        )
        rows.append([
            population, f"{accounts:,}", accused, "right" if population in IS_RELAY else relay,
            f"{upper_bound(accused + relay, accounts) * 1e5:,.1f}",
            "" if worst is None else f"{worst * 1e5:,.1f}",
        ])  # fmt: skip
    wrong, total = sum(s.wrong() for s in scores), sum(s.innocent() for s in scores)
    rows.append(
        [
            "**all**",
            f"{total:,}",
            sum(a for s in scores for a, _ in s.accused.values()),
            sum(b for s in scores for _, b in s.accused.values()),
            f"**{upper_bound(wrong, total) * 1e5:.2f}**",
            "",
        ]
    )
    declared = [s.declared for s in scores]
    head = ["population", "accounts", "called `distillation`", "called `relay`", "at most per 100,000 (95 %)", "in the worst world, per 100,000"]  # fmt: skip
    return f"""{wrong} of {total:,} innocent accounts are accused: {wrong / total * 1e5:.2f} per 100,000, at most {upper_bound(wrong, total) * 1e5:.2f} (one-sided 95 % bound, Clopper and Pearson). Declared or licensed: {sum(d[0] for d in declared)} of {sum(d[1] for d in declared):,}.

{table(head, rows)}

The last column has populations of {LEAST_POPULATION:,} and more in a world. A bound of a small population is wide because it is small, not because anybody was accused."""


def confidence(scores: Sequence[Score]) -> str:
    sure = [x for s in scores for x in s.sure]
    if not sure:
        return "No campaign was called a distillation."
    brier = sum((c - t) ** 2 for c, t in sure) / len(sure)
    edges = [(0.0, 0.9), (0.9, 0.95), (0.95, 0.98), (0.98, 1.01)]
    rows = []
    for low, high in edges:
        mine = [(c, t) for c, t in sure if low <= c < high]
        if mine:
            rows.append(
                [
                    f"{low:g} to {min(high, 1.0):g}",
                    len(mine),
                    f"{sum(c for c, _ in mine) / len(mine):.3f}",
                    f"{sum(t for _, t in mine) / len(mine):.3f}",
                ]
            )
    top = [t for c, t in sure if c >= 0.9]
    return f"""{len(sure)} campaigns were called a distillation. Brier score {brier:.4f}; of the {len(top)} at 0.9 and above {sum(top)} are true ({sum(top) / max(1, len(top)):.3f}; at most {upper_bound(len(top) - sum(top), len(top)):.3f} false, 95 %). A campaign is true when most of its accused accounts are of one planted campaign.

{table(["confidence", "campaigns", "mean confidence", "true"], rows)}"""
