"""Another group shares parts of the wrapper and leads the same life: one work, cut into pieces that are worded differently.

Each persona of a campaign has its wrapper, so its accounts come as several small groups. Their texts have little in common,
but more than nothing, and all are opened, at work and last seen as the one queue behind them wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from excise.detect import lifecycle
from excise.detect.detector import Detector, Parameter, Settings
from excise.detect.groups import percent
from excise.detect.shared_wrapper import typical_wrappers
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import F64, I32, Traffic
from excise.stats.tails import log_odds_of

_LOOKED_AT: Final = 8
"""Members of a group that are held against those of another, evenly spread: 64 pairs of accounts tell as well as all."""


def closest_neighbour(traffic: Traffic, clusters: Clusters, p: Settings) -> F64:
    """Return, for each cluster, how `close` its members are to those of the closest cluster that shares parts of its wrappers (0: none does).

    Clusters of `peer_size` and more, whose ties come to `least_nats` a pair of members. O(n log s) in the pairs of clusters
    and the strangers.
    """
    near, size = clusters.neighbours, clusters.sizes()
    kept = (near.nats >= p["least_nats"]) & (np.minimum(size[near.a], size[near.b]) >= p["peer_size"])
    a, b = near.a[kept], near.b[kept]
    best = np.zeros(len(clusters))
    if not len(a):
        return best
    one, other, pair = _members_of(clusters, a, b)
    close = lifecycle.close(traffic, clusters, one, other)
    if close is None:
        return best
    mean = np.bincount(pair, weights=close, minlength=len(a)) / np.bincount(pair, minlength=len(a))
    np.maximum.at(best, a, mean)
    np.maximum.at(best, b, mean)
    return best


def _members_of(clusters: Clusters, a: np.ndarray, b: np.ndarray) -> tuple[I32, I32, np.ndarray]:
    """Return, for pairs of clusters, pairs of their members, and of which pair of clusters each is."""
    x, y = np.divmod(np.arange(_LOOKED_AT**2), _LOOKED_AT)
    size, pair = clusters.sizes(), np.arange(len(a))

    def some(of: np.ndarray, place: np.ndarray) -> I32:
        looked_at = np.minimum(size[of], _LOOKED_AT)[:, None]
        spread = place * size[of][:, None] // looked_at
        return clusters.members[
            clusters.starts[of][:, None] + np.minimum(spread, size[of][:, None] - 1)
        ].ravel()

    there = (x < np.minimum(size[a], _LOOKED_AT)[:, None]) & (y < np.minimum(size[b], _LOOKED_AT)[:, None])
    kept = there.ravel()
    return some(a, x)[kept], some(b, y)[kept], np.repeat(pair, len(x))[kept]


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Rank each group's closest neighbour among those of the groups against which nothing else speaks.

    A group with fewer wrappers than is usual among these, or none that it has to itself, has none that another could have a part of.
    """
    best, wrappers = closest_neighbour(traffic, clusters, p), typical_wrappers(clusters)
    peers = clusters.plain & (clusters.sizes() >= p["peer_size"])
    usual = wrappers[peers & (wrappers > 0)]
    null = np.sort(best[peers])
    best[wrappers < (float(np.median(usual)) if len(usual) else 0.0)] = 0.0
    best[clusters.medians(clusters.private) <= 0] = 0.0
    at_least = len(null) - np.searchsorted(null, best, side="left")
    median = float(np.median(null)) if len(null) else 0.0
    return [
        _evidence(float(close), (1 + int(n)) / (1 + len(null)), median, p)
        if close >= p["least_close"]
        else None
        for close, n in zip(best, at_least, strict=True)
    ]


def _evidence(close: float, rank: float, usual: float, p: Settings) -> Evidence | None:
    """`rank`: (1 + groups at least as close) / (1 + all), as in `stats.tails.rank_p`."""
    log_odds = min(log_odds_of(rank), p["most_log_odds"])
    if log_odds <= 0:
        return None
    statement = (
        f"Another group shares parts of its wrappers, and was opened, asked for such work and was last seen at times that are closer to its own "
        f"than those of {percent(close)} of pairs of strangers; of this traffic's other groups that is {percent(usual)} in the median (0%: no such group)."
    )
    return Evidence(DETECTOR.id, DETECTOR.layer, statement, close, usual, log_odds)


DETECTOR: Final = Detector(
    id="kindred",
    layer="content",
    question="Is there another group that shares parts of its wrapper and leads the same life?",
    innocent="Two classes or two products that use one published text in one season; hence the comparison with this deployment's groups.",
    source="references.md L7; references.md, measurements (what an account's life tells)",
    needs=frozenset({"content", "time"}),
    parameters={
        "least_nats": Parameter(
            0.3, "nats a pair of members", "less is one tie between two large groups: chance"
        ),
        "least_close": Parameter(
            0.7, "share of strangers", "chosen on labelled worlds: few neighbours of the innocent are closer"
        ),
        "peer_size": Parameter(3, "accounts", "pairs are close by chance: there are many"),
        "most_log_odds": Parameter(
            4.0, "nats", "no one signal decides: its model of the innocent may be wrong once in 50"
        ),
    },
    measure=measure,
    compared=True,
)
