"""What a judge that has seen labels would reach with the same features: `python bench/bound.py --train WORLD ... --test WORLD ...`.

Needs scikit-learn (`make bench-bound` installs it). Boosted trees learn from labelled worlds which clustered accounts harvest,
from all that judging sees: evidence and facts of the cluster, and signals, wrappers and company of the account. Their threshold is
set on the worlds that they learned from (each scored by trees that have not seen it), at one false accusation per 100,000
innocent accounts, and then on the tested worlds' own labels, which nobody has who accuses. What even the second misses is not in
the features, or not in the groups: an account in no group has none. Features are kept under `--cache` by program and world.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from excise import pipeline
from excise.detect import DETECTORS
from excise.judge.facts import Facts, gather_facts
from excise.judge.fuse import size_prior
from excise.judge.members import keeps_company
from intervals import share
from measure.runs import program, truth_of
from measure.worlds import World, given
from page import PAGES, command, table, write_section

BUDGET = 1e-5
"""False accusations per innocent account."""
FOLDS = 5
FACTS = [f.name for f in fields(Facts) if f.name != "declared"]
IDS = [d.id for d in DETECTORS]
TITLE = "What a judge that has seen labels would reach"


@dataclass(frozen=True, slots=True)
class Rows:
    """Accounts of one world: features [n, features], level (-1: innocent) and whether it harvested; accounts in no group are not among them.

    innocent: innocent accounts of the world. harvested: accounts that harvested, by level 0 to 8.
    """

    features: Any
    level: Any
    harvested: Any
    innocents: int
    all_harvested: Any


def rows_of(world: World, cache: Path) -> Rows:
    """Scan a world, and keep what judging sees of each clustered account, with its label."""
    path = cache / "features" / f"{program()[:16]}-{world.digest()[:16]}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        names, features = _watched(world)
        np.savez_compressed(path, names=np.array(names, "U"), features=features)
    with np.load(path) as kept:
        names, features = kept["names"].tolist(), kept["features"]
    known = truth_of(world)
    level = [known.accounts[n].level if n in known.accounts else None for n in names]
    counts = np.zeros(9, np.int64)
    for name in known.harvested:
        if name in known.accounts and known.accounts[name].level is not None:
            counts[known.accounts[name].level] += 1
    return Rows(
        features,
        np.array([-1 if x is None else x for x in level]),
        np.array([n in known.harvested for n in names]),
        sum(a.campaign is None for a in known.accounts.values()),
        counts,
    )


def _watched(world: World) -> tuple[list[str], Any]:
    """Look at what judging is given, from outside."""
    seen: list[Any] = []
    decide = pipeline.decide

    def deciding(traffic: Any, clusters: Any, found: Any, settings: Any) -> Any:
        seen.append(_features(traffic, clusters, found, settings))
        return decide(traffic, clusters, found, settings)

    with mock.patch.object(pipeline, "decide", deciding):
        pipeline.scan(world.path)
    return seen[0]  # type: ignore[no-any-return]


def _features(traffic: Any, clusters: Any, found: Any, settings: Any) -> tuple[list[str], Any]:
    volume = traffic.accounts.volume()
    wrapped = np.bincount(
        traffic.exchanges.account[clusters.wrapped_rows(traffic.exchanges)], minlength=len(volume)
    )
    priors = size_prior(clusters.sizes().tolist(), settings.fuse)
    names: list[str] = []
    out = []
    for k, facts in enumerate(gather_facts(traffic, clusters)):
        members = clusters.of(k)
        said = {e.detector: e for e in found.evidence[k]}
        shows = np.array([s.shows[members] & s.known[members] for s in found.signals.values()])
        depth = (clusters.wrappers[members] + clusters.private[members]) / 2.0
        deep = max(float(np.quantile(depth, 0.75)), 1e-9)
        group = [
            priors[k],
            *(said[d].log_odds if d in said else 0.0 for d in IDS),
            *(said[d].value if d in said else 0.0 for d in IDS),
            *(float(getattr(facts, name)) for name in FACTS),
            *shows.mean(axis=1).tolist(),
            float(np.median(clusters.wrappers[members])), float(np.median(clusters.private[members])), deep,
            float(clusters.items[k]),
        ]  # fmt: skip
        each = [
            *shows.astype(float), clusters.wrappers[members], clusters.private[members], depth / deep, wrapped[members],
            volume[members], wrapped[members] / volume[members], keeps_company(members, shows.any(axis=0), clusters),
        ]  # fmt: skip
        out.append(np.hstack([np.tile(group, (len(members), 1)), np.stack(each, axis=1)]))
        names += traffic.accounts.name[members].tolist()
    return names, np.nan_to_num(np.vstack(out)).astype(np.float32)


def _learn(worlds: Sequence[Rows]) -> Any:
    trees = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.08, max_depth=5, min_samples_leaf=20, random_state=0
    )
    return trees.fit(np.vstack([w.features for w in worlds]), np.concatenate([w.level >= 0 for w in worlds]))


def _score(trees: Any, world: Rows) -> Any:
    return trees.predict_proba(world.features)[:, 1]


def _held_out(worlds: Sequence[Rows]) -> tuple[list[Any], list[Rows]]:
    """Scores of each world by trees that have not seen it, `FOLDS` of them, and the worlds in that order."""
    scores, order = [], []
    for at in range(FOLDS):
        trees = _learn([w for i, w in enumerate(worlds) if i % FOLDS != at])
        for world in worlds[at::FOLDS]:
            scores.append(_score(trees, world))
            order.append(world)
    return scores, order


def _threshold(scores: Sequence[Any], worlds: Sequence[Rows]) -> float:
    """The lowest score at which false accusations keep to the budget over these worlds."""
    innocent = np.sort(np.concatenate([s[w.level < 0] for s, w in zip(scores, worlds, strict=True)]))[::-1]
    most = math.floor(BUDGET * sum(w.innocents for w in worlds))
    return float(innocent[most]) if most < len(innocent) else 0.0


def measure(train: Sequence[Rows], test: Sequence[Rows]) -> str:
    held, kept = _held_out(train)
    scores = [_score(_learn(train), w) for w in test]
    limits = {"threshold from the worlds learned from": _threshold(held, kept), "threshold from the tested labels": _threshold(scores, test)}  # fmt: skip
    rows = []
    for level in range(9):
        row = [str(level), f"{sum(int(w.all_harvested[level]) for w in test):,}"]
        row.append(share([_found(w, level, w.level >= 0) for w in test]))
        row += [
            share([_found(w, level, s > limit) for s, w in zip(scores, test, strict=True)])
            for limit in limits.values()
        ]
        rows.append(row)
    false = [
        sum(int((s[w.level < 0] > limit).sum()) for s, w in zip(scores, test, strict=True))
        for limit in limits.values()
    ]
    innocents = sum(w.innocents for w in test)
    rows.append(
        [
            "innocents accused",
            f"{innocents:,}",
            "",
            *(f"{n} ({1e5 * n / innocents:.2f} per 100,000)" for n in false),
        ]
    )
    head = ["level", "harvesting accounts", "in a group", *limits]
    return f"""Boosted trees that learned from {len(train)} labelled worlds, tested on {len(test)} others: shares of the harvesting accounts, means over worlds with 95 % intervals. They may accuse any account of a group, on whatever they learned; nobody asks them for two layers or for reasons, and a relay's accounts count as found whatever they are called.

{table(head, rows)}"""


def _found(world: Rows, level: int, accused: Any) -> float:
    return float((accused & world.harvested & (world.level == level)).sum()) / max(
        1, int(world.all_harvested[level])
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="labelled worlds to learn from")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="labelled worlds to report on")
    parser.add_argument(
        "--cache", type=Path, default=PAGES.parents[1] / "build" / "bench", help="where features are kept"
    )
    parser.add_argument("--pages", type=Path, default=PAGES, help="folder of the pages")
    chosen = parser.parse_args()
    train, test = (
        [rows_of(given(w), chosen.cache) for w in worlds] for worlds in (chosen.train, chosen.test)
    )
    text = f"Printed by `{command()}`.\n\n{measure(train, test)}"
    print(f"## {TITLE}\n\n{text}")
    write_section(chosen.pages / "robustness.md", TITLE, text)


if __name__ == "__main__":
    main()
