"""Where accounts of campaigns are lost: in linking, in judging the cluster, or in judging its members.

With the labels at hand one can say what a perfect judge would make of the clusters as they are (every account of a cluster that is
mostly one campaign), and so what no judging can bring back.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from excise import pipeline
from intervals import share
from measure.runs import program, truth_of
from measure.worlds import World
from page import table

Placed = dict[str, tuple[int, str, bool]]
"""For each clustered account: its cluster, that cluster's verdict, and whether the account is accused."""


def placed(world: World, cache: Path) -> Placed:
    """Scan a world and keep where each account came to lie, before anything is left out of the output."""
    path = cache / "stages" / f"{program()[:16]}-{world.digest()[:16]}.json"
    if not path.is_file():
        kept: list[Any] = []
        real = pipeline.present

        def watch(findings: Any, detectors: Any, traffic: Any, *more: Any) -> Any:
            names = traffic.accounts.name
            for f in findings:
                for code, accused in zip(f.members.tolist(), f.accused.tolist(), strict=True):
                    kept.append((names[code], f.cluster, f.judgement.verdict, accused))
            return real(findings, detectors, traffic, *more)

        with mock.patch.object(pipeline, "present", watch):
            pipeline.scan(world.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept), "utf-8")
    return {
        name: (cluster, verdict, accused)
        for name, cluster, verdict, accused in json.loads(path.read_text("utf-8"))
    }


def measure(worlds: Sequence[World], cache: Path) -> str:
    """Return the section: per level, the share of harvesting accounts that is left after each step."""
    steps: dict[str, list[list[float]]] = defaultdict(lambda: [[], [], [], []])
    total: Counter[str] = Counter()
    for world in worlds:
        for level, counts in _left(world, placed(world, cache)).items():
            total[level] += counts[0]
            for k, n in enumerate(counts[1:]):
                steps[level][k].append(n / counts[0])
    rows = [
        [level, f"{total[level]:,}", *(share(values) for values in steps[level])] for level in sorted(steps)
    ]
    head = ["level", "harvesting accounts", "in a cluster", "in one that is mostly their campaign's: a perfect judge", "in one that is accused", "accused"]  # fmt: skip
    return f"""Worlds: {", ".join(w.made for w in worlds)}. Each column is what is left of the one before it; the third is the most that any judging could reach with these clusters. What is missing there was lost in linking.

{table(head, rows)}"""


def _left(world: World, where: Placed) -> dict[str, tuple[int, int, int, int, int]]:
    known = truth_of(world)
    members: dict[int, Counter[str | None]] = defaultdict(Counter)
    for account, (cluster, _, _) in where.items():
        members[cluster][known.accounts[account].campaign if account in known.accounts else None] += 1
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for account in known.harvested:
        mine = known.accounts.get(account)
        if mine is None or mine.campaign is None:
            continue
        at = where.get(account)
        mostly = at is not None and members[at[0]][mine.campaign] > 0.5 * members[at[0]].total()
        judged = mostly and at is not None and at[1] in {"distillation", "relay"}
        line = counts[str(mine.level)]
        for k, yes in enumerate((True, at is not None, mostly, judged, judged and at is not None and at[2])):
            line[k] += yes
    return {level: (a, b, c, d, e) for level, (a, b, c, d, e) in counts.items()}
