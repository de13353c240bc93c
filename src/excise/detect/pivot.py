"""Members move to a new model within two days of its release, far more often than others who could have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from excise.detect.detector import Detector, Marks, Parameter, Settings
from excise.detect.groups import count_members, percent
from excise.model import schema
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import F64, I64, Bool, Traffic
from excise.stats.excess import excess_over

HOUR = 3_600_000_000
_RELEASE = schema.EVENT_KINDS.index("model_release")


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark early adopters; known for accounts that were at work right after a release and around it."""
    early, could, _ = early_adopters(traffic, within=int(p["within_hours"]) * HOUR)
    return Marks(early, could)


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Compare the share of early adopters with what others of the same activity do: who calls more tries more, sooner."""
    early, could, calls = early_adopters(traffic, within=int(p["within_hours"]) * HOUR)
    usual = np.maximum(_usual_rate(early, could, calls), p["floor"])
    hits, trials = count_members(clusters, early), count_members(clusters, could)
    inside = could & (clusters.label >= 0)
    expected = np.bincount(clusters.label[inside], weights=usual[inside], minlength=len(clusters))
    expected = np.where(trials > 0, expected / np.maximum(trials, 1), p["floor"])
    found = excess_over(hits.tolist(), trials.tolist(), expected.tolist())
    return [
        _evidence(h, n, e, min(value, p["most_log_odds"]))
        if h >= 2 and h >= p["least_share"] * n and value > 0
        else None
        for h, n, e, value in zip(hits.tolist(), trials.tolist(), expected.tolist(), found, strict=True)
    ]


def _usual_rate(early: Bool, could: Bool, calls: I64) -> F64:
    """Return, for each account, the share of early adopters among the accounts of its class of calls (powers of two)."""
    size = np.floor(np.log2(np.maximum(calls, 1))).astype(np.int64)
    trials = np.bincount(size[could], minlength=int(size.max(initial=0)) + 1)
    return (np.bincount(size[early], minlength=len(trials)) / np.maximum(trials, 1))[size]


def _evidence(hits: float, trials: float, expected: float, log_odds: float) -> Evidence:
    statement = (
        f"{percent(hits / trials)} of the members that were at work right after a model release used the new model within "
        f"the time that few do; of others as active {percent(expected)} did."
    )
    return Evidence(DETECTOR.id, DETECTOR.layer, statement, hits / trials, expected, log_odds)


def adopters_name(within: int) -> str:
    """Return the name of what `early_adopters` says of every account (`Traffic.once`)."""
    return f"early adopters {within}"


def early_adopters(traffic: Traffic, *, within: int) -> tuple[Bool, Bool, I64]:
    """Return which accounts took up a released model within `within` microseconds, which could have, and how active they were then.

    Could have: active before the release, in that time, and after it. Activity: most exchanges in that time, of the releases.
    """
    return traffic.once(adopters_name(within), lambda: _find_adopters(traffic, within))


def _find_adopters(traffic: Traffic, within: int) -> tuple[Bool, Bool, I64]:
    n, e = len(traffic.accounts), traffic.exchanges
    first, last = activity(traffic)
    early, could, most = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n, np.int64)
    events = traffic.events
    for i in np.flatnonzero(events.kind == _RELEASE):
        at = events.at[i]
        then = (e.at >= at) & (e.at < at + within)
        calls = np.bincount(e.account[then], minlength=n)
        around = (first < at) & (last > at + within) & (calls > 0)
        adopted = np.zeros(n, np.bool_)
        adopted[e.account[then & (e.model == events.model[i])]] = True
        could |= around
        early |= around & adopted
        most = np.where(around, np.maximum(most, calls), most)
    return early, could, most


def activity(traffic: Traffic) -> tuple[I64, I64]:
    """Return the first and the last exchange's time of each account."""
    starts = traffic.accounts.starts
    return traffic.exchanges.at[starts[:-1]], traffic.exchanges.at[starts[1:] - 1]


DETECTOR: Final = Detector(
    id="pivot",
    layer="time",
    question="Do the members move to a new model within hours of its release, together?",
    innocent="Benchmark fans and agent users try new models early too; hence the comparison with groups of their kind.",
    source="references.md T20; references.md, measurements (difference in differences against matched benign)",
    needs=frozenset({"releases"}),
    parameters={
        "within_hours": Parameter(
            48,
            "hours",
            "references.md T20: under 24 h at the disclosed campaign; 48 h leaves an account time to be used (bench/sweep.py)",
        ),
        "floor": Parameter(0.02, "share of members", "early adopters exist in every deployment"),
        "least_share": Parameter(
            0.1, "share of members", "references.md L4-L6: part of a pool pivots at once, the rest staggers"
        ),
        "most_log_odds": Parameter(
            4.0, "nats", "no one signal decides: its model of the innocent may be wrong once in 50"
        ),
    },
    marks=mark,
    measure=measure,
)
