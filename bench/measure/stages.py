"""Where accounts of campaigns are lost: in linking, in judging the cluster, or in judging its members.

With the labels at hand one can say which accounts share anything at all with a fellow of their campaign, for which the strongest tie
is to a fellow, and what a perfect judge would make of the clusters as they are (every account of a cluster that is mostly one
campaign): what is missing there, no judging can bring back.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from excise import pipeline
from excise.link.linker import join_ties
from intervals import share
from measure.runs import program, truth_of
from measure.worlds import World
from page import table


@dataclass(frozen=True, slots=True)
class Placed:
    """clustered: for each account in a cluster the cluster, its verdict, and whether the account is accused.

    tied, closest: accounts with any tie to a fellow of their campaign, and those whose strongest tie is to one.
    """

    clustered: dict[str, tuple[int, str, bool]]
    tied: frozenset[str]
    closest: frozenset[str]


def placed(world: World, cache: Path) -> Placed:
    """Scan a world and keep how each account hung together with others and where it came to lie, before anything is left out of the output."""
    path = cache / "ties-and-stages" / f"{program()[:16]}-{world.digest()[:16]}.json"
    if not path.is_file():
        kept = _watched(world)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept), "utf-8")
    kept = json.loads(path.read_text("utf-8"))
    clustered = {name: (cluster, verdict, accused) for name, cluster, verdict, accused in kept["clustered"]}
    return Placed(clustered, frozenset(kept["tied"]), frozenset(kept["closest"]))


def _watched(world: World) -> dict[str, list[Any]]:
    """Look at what linking is given and what judging returns, from outside."""
    known = truth_of(world)
    seen: dict[str, list[Any]] = {"clustered": [], "tied": [], "closest": []}
    link, present = pipeline.link, pipeline.present

    def linking(ties: Any, accounts: Any, settings: Any) -> Any:
        names = accounts.name.tolist()
        campaign = [known.accounts[n].campaign if n in known.accounts else None for n in names]
        code = np.unique(np.array([c or "" for c in campaign]), return_inverse=True)[1]
        bad = np.array([c is not None for c in campaign])
        edges = join_ties(ties, most=settings.tie_nats)
        for key, found in zip(
            ("tied", "closest"), fellows(edges.a, edges.b, edges.weight, np.where(bad, code, -1)), strict=True
        ):
            seen[key] = [names[i] for i in found.tolist()]
        return link(ties, accounts, settings)

    def presenting(findings: Any, detectors: Any, traffic: Any, *more: Any) -> Any:
        names = traffic.accounts.name
        for f in findings:
            for account, accused in zip(f.members.tolist(), f.accused.tolist(), strict=True):
                seen["clustered"].append((names[account], f.cluster, f.judgement.verdict, accused))
        return present(findings, detectors, traffic, *more)

    with mock.patch.object(pipeline, "link", linking), mock.patch.object(pipeline, "present", presenting):
        pipeline.scan(world.path)
    return seen


def fellows(a: Any, b: Any, weight: Any, campaign: Any) -> tuple[Any, Any]:
    """Return the accounts of campaigns (-1: none) that have a tie to a fellow, and those whose strongest tie is to one."""
    x, y = np.concatenate([a, b]).astype(np.int64), np.concatenate([b, a]).astype(np.int64)
    fellow = (campaign[x] == campaign[y]) & (campaign[x] >= 0)
    order = np.lexsort(
        (fellow, -np.concatenate([weight, weight]), x)
    )  # a stranger as close as a fellow counts against
    x, fellow = x[order], fellow[order]
    first = np.append(True, x[1:] != x[:-1])[: len(x)]
    return np.unique(x[fellow]), x[first & fellow]


def measure(worlds: Sequence[World], cache: Path) -> str:
    """Return the section: per level, the share of harvesting accounts that is left after each step."""
    steps: dict[str, list[list[float]]] = defaultdict(lambda: [[] for _ in range(6)])
    total: Counter[str] = Counter()
    for world in worlds:
        for level, counts in _left(world, placed(world, cache)).items():
            total[level] += counts[0]
            for k, n in enumerate(counts[1:]):
                steps[level][k].append(n / counts[0])
    rows = [
        [level, f"{total[level]:,}", *(share(values) for values in steps[level])] for level in sorted(steps)
    ]
    head = ["level", "harvesting accounts", "tied to a fellow at all", "most to a fellow", "in a cluster", "in one that is mostly their campaign's: a perfect judge", "in one that is accused", "accused"]  # fmt: skip
    return f"""Worlds: {", ".join(w.made for w in worlds)}. A fellow is another account of the same campaign; a tie is whatever linking is given. From the clusters on, each column is what is left of the one before it; what a perfect judge reaches is the most that any judging could with these clusters, and what is missing there was lost in linking.

{table(head, rows)}"""


def _left(world: World, where: Placed) -> dict[str, tuple[int, ...]]:
    """Counts of harvesting accounts by level: all, tied, most tied to a fellow, and what is left after each step."""
    known = truth_of(world)
    members: dict[int, Counter[str | None]] = defaultdict(Counter)
    for account, (cluster, _, _) in where.clustered.items():
        members[cluster][known.accounts[account].campaign if account in known.accounts else None] += 1
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * 7)
    for account in known.harvested:
        mine = known.accounts.get(account)
        if mine is None or mine.campaign is None:
            continue
        cluster, verdict, accused = where.clustered.get(account, (-1, "none", False))
        mostly = cluster >= 0 and members[cluster][mine.campaign] > 0.5 * members[cluster].total()
        judged = mostly and verdict in {"distillation", "relay"}
        steps = (
            True,
            account in where.tied,
            account in where.closest,
            cluster >= 0,
            mostly,
            judged,
            judged and accused,
        )
        for k, yes in enumerate(steps):
            counts[str(mine.level)][k] += yes
    return {level: tuple(c) for level, c in counts.items()}
