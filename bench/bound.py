"""What learning from labels would reach with the same traffic: `python bench/bound.py --train WORLD ... --test WORLD ...`.

Needs scikit-learn (`make bench-bound` installs it). Two judges learn from labelled worlds which accounts harvest. The first takes
the groups as they are, and all that judging sees of their accounts. The second learns linking too: boosted trees say of every tied
pair of accounts, from all ties, dates, families and common neighbours, whether one campaign has both; what they say of an account's
pairs is added to what judging sees, also for accounts in no group. Each threshold is set on the worlds that were learned from (each
scored by trees that have not seen it), at one false accusation per 100,000 innocent accounts, and then on the tested worlds' own
labels, which nobody has who accuses. It is what one kind of trees makes of so many worlds, no limit of all learning: where a scan
without labels finds more, the trees had too few. Features are kept under `--cache` by program and world.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.ensemble import HistGradientBoostingClassifier

from excise import pipeline
from excise.detect import DETECTORS
from excise.detect.lifecycle import lives, near, share_below
from excise.judge.facts import Facts, gather_facts
from excise.judge.fuse import size_prior
from excise.judge.members import keeps_company
from excise.link.linker import join_ties
from intervals import share
from measure.runs import program, truth_of
from measure.worlds import World, given
from page import PAGES, command, table, write_section

BUDGET = 1e-5
"""False accusations per innocent account."""
FOLDS = 5
FACTS = [f.name for f in fields(Facts) if f.name != "declared"]
IDS = [d.id for d in DETECTORS]
TITLE = "What learning from labels would reach"


@dataclass(frozen=True, slots=True)
class Rows:
    """Accounts of one world that are in a group or tied to another: features [n, features], campaign (-1: innocent), its level, and exchanges that it harvested.

    grouped: whether it is in a group; the features of judging are not there (NaN) otherwise. innocents: innocent accounts of the world.
    campaigns: of each its level, accounts, accounts that harvested and exchanges that these harvested [campaigns, 4]. a, b: pairs of accounts (rows), pairs [p, features] what is known of each, and
    same: whether one campaign has both.
    """

    features: Any
    campaign: Any
    level: Any
    harvested: Any
    grouped: Any
    innocents: int
    campaigns: Any
    a: Any
    b: Any
    pairs: Any
    same: Any


def rows_of(world: World, cache: Path) -> Rows:
    """Scan a world, and keep what linking and judging see of each account, with its label."""
    path = cache / "features-and-pairs" / f"{program()[:16]}-{world.digest()[:16]}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **_watched(world))
    with np.load(path) as kept:
        names, features, a, b, pairs = (kept[k] for k in ("names", "features", "a", "b", "pairs"))
    known = truth_of(world)
    who = [known.accounts.get(n) for n in names.tolist()]
    code = {c: i for i, c in enumerate(sorted(known.campaigns))}
    campaign = np.array([-1 if w is None or w.campaign is None else code[w.campaign] for w in who])
    campaigns = np.zeros((len(code), 4), np.int64)
    for name, account in known.accounts.items():
        if account.campaign is not None:
            harvested = known.harvested.get(name, 0)
            campaigns[code[account.campaign], 0] = account.level
            campaigns[code[account.campaign], 1:] += (1, harvested > 0, harvested)
    return Rows(
        features,
        campaign,
        np.array([-1 if w is None or w.level is None else w.level for w in who]),
        np.array([known.harvested.get(n, 0) for n in names.tolist()]),
        ~np.isnan(features[:, 0]),
        sum(x.campaign is None for x in known.accounts.values()),
        campaigns,
        a,
        b,
        pairs,
        (campaign[a] == campaign[b]) & (campaign[a] >= 0),
    )


def _watched(world: World) -> dict[str, Any]:
    """Look at what linking and judging are given, from outside."""
    seen: dict[str, Any] = {}
    join, decide = pipeline.join, pipeline.decide

    def joining(ties: Any, traffic: Any, settings: Any) -> Any:
        seen["a"], seen["b"], seen["pairs"] = _pairs(ties, traffic, settings)
        return join(ties, traffic, settings)

    def deciding(traffic: Any, clusters: Any, found: Any, settings: Any) -> Any:
        seen["accounts"], seen["features"] = _features(traffic, clusters, found, settings)
        seen["all"] = traffic.accounts.name
        return decide(traffic, clusters, found, settings)

    with mock.patch.object(pipeline, "join", joining), mock.patch.object(pipeline, "decide", deciding):
        pipeline.scan(world.path)
    code = np.unique(np.concatenate([seen["a"], seen["b"], seen["accounts"]]))
    features = np.full((len(code), seen["features"].shape[1]), np.nan, np.float32)
    features[np.searchsorted(code, seen["accounts"])] = seen["features"]
    return {
        "names": seen["all"][code].astype("U"),
        "features": features,
        "a": np.searchsorted(code, seen["a"]),
        "b": np.searchsorted(code, seen["b"]),
        "pairs": seen["pairs"],
    }


def _pairs(ties: Any, traffic: Any, settings: Any) -> tuple[Any, Any, Any]:
    """Return the pairs that more ties than cards or networks hold together, and what is known of each: nats by detector, ranks of dates, families, neighbours."""
    edges = join_ties(ties, most=settings.link.tie_nats)
    key = edges.a.astype(np.int64) << 32 | edges.b
    nats = np.zeros((len(key), len(ties)), np.float32)
    for i, t in enumerate(ties):
        nats[np.searchsorted(key, t.a.astype(np.int64) << 32 | t.b), i] = t.weight
    telling = [i for i, t in enumerate(ties) if t.alone or t.binds]
    kept = (nats[:, telling] > 0).any(axis=1) & ~traffic.accounts.one_owner(edges.a, edges.b)
    a, b, nats = edges.a[kept], edges.b[kept], nats[kept]
    count, e = len(traffic.accounts), traffic.exchanges
    everybody = Everybody(np.zeros(count, np.int32))
    strangers = np.random.default_rng(0).choice(np.unique(np.concatenate([a, b])), (2, 100_000))
    columns = [
        share_below(near(date, *strangers), near(date, a, b))
        for date in (traffic.accounts.created, *lives(traffic, everybody))
    ]
    asked = np.zeros((count, len(traffic.families)), np.float32)
    for bit in range(len(traffic.families)):
        rows = (e.families >> np.uint64(bit)) & np.uint64(1) == 1
        asked[:, bit] = np.sqrt(np.bincount(e.account[rows], minlength=count))
    asked /= np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), 1e-9)
    columns.append((asked[a] * asked[b]).sum(axis=1))
    graph = csr_matrix((np.ones(2 * len(a), np.float32), (np.r_[a, b], np.r_[b, a])), (count, count))
    degree = np.asarray(graph.sum(axis=1)).ravel()
    slices = [slice(i, i + 20_000) for i in range(0, len(a), 20_000)]
    common = [np.asarray(graph[a[s]].multiply(graph[b[s]]).sum(axis=1)).ravel() for s in slices]
    columns += [np.minimum(degree[a], degree[b]), np.maximum(degree[a], degree[b]), np.concatenate(common)]
    return a, b, np.hstack([nats, np.stack(columns, axis=1)]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Everybody:
    """One group of all accounts, as far as `lives` looks at it."""

    label: Any


def _features(traffic: Any, clusters: Any, found: Any, settings: Any) -> tuple[Any, Any]:
    volume = traffic.accounts.volume()
    wrapped = np.bincount(
        traffic.exchanges.account[clusters.wrapped_rows(traffic.exchanges)], minlength=len(volume)
    )
    priors = size_prior(clusters.sizes().tolist(), settings.fuse)
    accounts, out = [], []
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
        accounts.append(members)
    return np.concatenate(accounts), np.nan_to_num(np.vstack(out)).astype(np.float32)


def _trees() -> Any:
    return HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.08, max_depth=5, min_samples_leaf=20, random_state=0
    )


def _learn(worlds: Sequence[Rows]) -> Any:
    """Trees that learned which accounts are a campaign's."""
    return _trees().fit(
        np.vstack([w.features for w in worlds]), np.concatenate([w.level >= 0 for w in worlds])
    )


def _linked(train: Sequence[Rows], test: Sequence[Rows]) -> tuple[list[Rows], list[Rows]]:
    """Add to each account's features what trees that have not seen its world say of its pairs."""

    def learn(worlds: Sequence[Rows]) -> Any:
        return _trees().fit(np.vstack([w.pairs for w in worlds]), np.concatenate([w.same for w in worlds]))

    halves = [learn(train[1::2]), learn(train[::2])]
    return (
        [_with_pairs(w, halves[i % 2]) for i, w in enumerate(train)],
        [_with_pairs(w, halves[0]) for w in test],
    )


def _with_pairs(world: Rows, trees: Any) -> Rows:
    """What is said of an account's pairs: the highest five, their sum, and of those neighbours the same sum."""
    score = trees.predict_proba(world.pairs)[:, 1]
    who, other = np.r_[world.a, world.b], np.r_[world.b, world.a]
    both = np.r_[score, score]
    order = np.lexsort((-both, who))
    who, other, both = who[order], other[order], both[order]
    rank = np.arange(len(who)) - np.searchsorted(who, who)
    highest = np.zeros((len(world.level), 5))
    few = rank < 5
    highest[who[few], rank[few]] = both[few]
    total = np.bincount(who, weights=both, minlength=len(highest))
    beyond = np.bincount(who, weights=both * total[other], minlength=len(highest)) / np.maximum(total, 1e-9)
    return replace(
        world, features=np.column_stack([world.features, highest, total, beyond]).astype(np.float32)
    )


def _grouped(world: Rows) -> Rows:
    """Only the accounts in a group."""
    kept = world.grouped
    return replace(
        world,
        features=world.features[kept],
        campaign=world.campaign[kept],
        level=world.level[kept],
        harvested=world.harvested[kept],
    )


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


def _judged(train: Sequence[Rows], test: Sequence[Rows]) -> list[tuple[list[Any], Sequence[Rows]]]:
    """For each of the two thresholds, who of the tested worlds is accused."""
    held, kept = _held_out(train)
    trees = _learn(train)
    scores = [_score(trees, w) for w in test]
    limits = _threshold(held, kept), _threshold(scores, test)
    return [([s > limit for s in scores], test) for limit in limits]


def measure(train: Sequence[Rows], test: Sequence[Rows]) -> str:
    grouped = [[_grouped(w) for w in worlds] for worlds in (train, test)]
    judges = _judged(*grouped) + _judged(*_linked(train, test))
    columns = [([which(w) for w in test], test) for which in (_tied, _in_group)] + judges

    def row(name: str, of: Any, what: Any) -> list[str]:
        return [
            name,
            of,
            *(share([what(w, s) for s, w in zip(found, worlds, strict=True)]) for found, worlds in columns),
        ]

    rows = [
        row(str(level), f"{sum(int(w.campaigns[w.campaigns[:, 0] == level, 2].sum()) for w in test):,}", partial(_found, level=level))
        for level in range(9)
    ]  # fmt: skip
    rows.append(row("6: exchanges that these harvested", "", partial(_exchanges, level=6)))
    rows.append(row("7: campaigns, half of whose accounts are there", "", partial(_campaigns, level=7)))
    rows.append(row("B-cubed F1, if each lay in a group of its campaign's", "", _bcubed))
    false = [
        sum(int(s[w.level < 0].sum()) for s, w in zip(accused, worlds, strict=True))
        for accused, worlds in judges
    ]
    innocents = sum(w.innocents for w in test)
    rows.append(
        [
            "innocents accused",
            f"{innocents:,}",
            "",
            "",
            *(f"{n} ({1e5 * n / innocents:.2f} per 100,000)" for n in false),
        ]
    )
    head = ["level", "harvesting accounts", "tied or in a group", "in a group", "judging learned, threshold from the worlds learned from", "from the tested labels", "linking and judging learned, threshold from the worlds learned from", "from the tested labels"]  # fmt: skip
    return f"""Boosted trees that learned from {len(train)} labelled worlds, tested on {len(test)} others: shares of the harvesting accounts, means over worlds with 95 % intervals. They may accuse any account, on whatever they learned; nobody asks them for two layers or for reasons, and a relay's accounts count as found whatever they are called.

{table(head, rows)}"""


def _tied(world: Rows) -> Any:
    return world.level >= 0


def _in_group(world: Rows) -> Any:
    return _tied(world) & world.grouped


def _found(world: Rows, accused: Any, *, level: int) -> float:
    """Share of the level's harvesting accounts."""
    mine = (world.level == level) & (world.harvested > 0)
    of = world.campaigns[world.campaigns[:, 0] == level, 2].sum()
    return float((accused & mine).sum()) / max(1, int(of))


def _exchanges(world: Rows, accused: Any, *, level: int) -> float:
    """Share of the level's harvest exchanges that these accounts sent."""
    of = world.campaigns[world.campaigns[:, 0] == level, 3].sum()
    return float(world.harvested[accused & (world.level == level)].sum()) / max(1, int(of))


def _campaigns(world: Rows, accused: Any, *, level: int) -> float:
    """Share of the level's campaigns of which half of the harvesting accounts are there."""
    mine = world.campaign[accused & (world.harvested > 0) & (world.campaign >= 0)]
    half = 2 * np.bincount(mine, minlength=len(world.campaigns)) >= world.campaigns[:, 2]
    return float(half[world.campaigns[:, 0] == level].mean())


def _bcubed(world: Rows, accused: Any) -> float:
    """F1 over all that is accused or a campaign's, each campaign's accused in one group and everybody else alone."""
    size = world.campaigns[:, 1]
    found = np.bincount(world.campaign[accused & (world.campaign >= 0)], minlength=len(size))
    innocent = int((accused & (world.campaign < 0)).sum())
    recall = ((found**2 + size - found) / size).sum() + innocent
    recall /= size.sum() + innocent
    return float(2 * recall / (1 + recall))


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
