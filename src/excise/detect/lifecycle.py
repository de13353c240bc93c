"""Members lead one life: opened, asking and last seen at the same times.

Hours of the day are left out: they tell a time zone, which is no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numba
import numpy as np

from excise.detect import signup
from excise.detect.detector import Detector, Marks, Parameter, Settings
from excise.detect.groups import percent
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import F64, I32, I64, U64, Bool, Traffic
from excise.stats.tails import log_odds_of, normal_tail

LIVES: Final = "lives"
"""Name of what `lives` says (`Traffic.ask`)."""
_STRANGERS: Final = 100_000
"""Pairs that a pair of members is held against: ranks to 0.002 (one standard error)."""
_LEAST_PEERS: Final = 10
_TO_DEVIATION: Final = 1.4826
"""Median absolute deviation to standard deviation, of a normal law."""


def lives(traffic: Traffic, clusters: Clusters) -> tuple[I64, I64, I64]:
    """Return of each account in a cluster the times of its first and last elicitation and of its last exchange (0: none)."""
    e, accounts = traffic.exchanges, len(traffic.accounts)
    first, last, seen = np.zeros((3, accounts), np.int64)
    _watch(e.account, e.at, e.families, clusters.label, first, last, seen)
    return first, last, seen


@numba.njit(cache=True, nogil=True)
def _watch(account: I32, at: I64, families: U64, label: I32, first: I64, last: I64, seen: I64) -> None:
    """Rows are in canonical order: an account's stand together, by time."""
    for row in range(len(account)):
        who = account[row]
        if label[who] >= 0:
            seen[who] = at[row]
            if families[row] != 0:
                last[who] = at[row]
                if first[who] == 0:
                    first[who] = at[row]


def close(traffic: Traffic, clusters: Clusters, a: I32, b: I32) -> F64 | None:
    """Return how close the lives of pairs of clustered accounts are, None where there are no strangers to hold them against.

    0 to 1: the share of pairs of strangers, from different clusters, that are further apart in a date, averaged over four
    dates (opened, first and last elicitation, last seen). Strangers are at 0.5. A date that only one of two has is as far
    away as can be; one that neither has says nothing. O(p log s) in the pairs and the strangers.
    """
    members = clusters.members
    one, other = np.random.default_rng(0).choice(np.sort(members), (2, _STRANGERS if len(members) else 0))
    strange = clusters.label[one] != clusters.label[other]
    if not strange.any():
        return None
    dates = (traffic.accounts.created, *traffic.ask(LIVES, lambda: lives(traffic, clusters)))
    total = np.zeros(len(a))
    for date in dates:
        ranks = share_below(near(date, one[strange], other[strange]), near(date, a, b))
        total += np.where((date[a] == 0) & (date[b] == 0), 0.5, ranks) / len(dates)
    return total


def closeness(traffic: Traffic, clusters: Clusters) -> tuple[F64, F64, Bool]:
    """Return how `close` each cluster's tied members are to each other, each account to those that it is tied to, and of whom that is known."""
    a, b = clusters.edges.a, clusters.edges.b
    tied, ties = np.zeros(len(clusters.label), np.bool_), close(traffic, clusters, a, b)
    if ties is None:
        return np.zeros(len(clusters)), np.zeros(len(clusters.label)), tied
    tied[a] = tied[b] = True
    group = _mean(clusters.label[a], ties, len(clusters))
    account = _mean(np.concatenate([a, b]), np.concatenate([ties, ties]), len(clusters.label))
    return group, account, tied


def near(date: I64, a: I32, b: I32) -> I64:
    """Minus the distance of two dates; one that is not there is furthest."""
    known = (date[a] > 0) & (date[b] > 0)
    return np.where(known, -np.abs(date[a] - date[b]), np.iinfo(np.int64).min)


def share_below(strangers: I64, values: I64) -> F64:
    """The share of strangers below each value, equal ones by half."""
    ordered = np.sort(strangers)
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return below / max(1, 2 * len(ordered))


def _mean(of: I32, values: F64, count: int) -> F64:
    return np.bincount(of, weights=values, minlength=count) / np.maximum(np.bincount(of, minlength=count), 1)


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members that are close to those they are tied to; one whose life is a stranger's, or not this group's, is denied, and one in between doubted."""
    group, account, known = closeness(traffic, clusters)
    usual = np.append(group, 0.0)[clusters.label]
    denied = account < np.maximum(p["stranger"], usual - p["apart"])
    return Marks(account >= p["close"], known, denied=known & denied, doubted=known & (account < p["fellow"]))


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Standardise each group's closeness, weighted by the root of its members, by the median and spread of this deployment's groups.

    Not of a group most of which was opened together: that is another detector's finding, and a common life follows from it.
    An empirical null (Efron 2004, "Large-scale simultaneous hypothesis testing"): what groups share anyhow, a product's launch
    or a season, is no evidence.
    """
    group, _, _ = closeness(traffic, clusters)
    size = clusters.sizes()
    peers = size >= p["peer_size"]
    if peers.sum() < _LEAST_PEERS:
        return [None] * len(clusters)
    usual = float(np.median(group[peers]))
    distance = (group - usual) * np.sqrt(size)
    middle = float(np.median(distance[peers]))
    spread = _TO_DEVIATION * float(np.median(np.abs(distance[peers] - middle)))
    if spread == 0.0:
        return [None] * len(clusters)
    enough = peers & (group >= p["least_close"]) & ~signup.opened_together(traffic, clusters)
    return [
        _evidence(float(group[k]), usual, float(distance[k] - middle) / spread, p) if enough[k] else None
        for k in range(len(clusters))
    ]


def _evidence(close: float, usual: float, z: float, p: Settings) -> Evidence | None:
    log_odds = min(log_odds_of(normal_tail(z)), p["most_log_odds"]) if z > 0 else 0.0
    if log_odds <= 0:
        return None
    statement = (
        f"Members were opened, began and ceased to ask for such work and were last seen at times that are closer to each other than those "
        f"of {percent(close)} of pairs of strangers; in this traffic's groups the median is {percent(usual)}."
    )
    return Evidence(DETECTOR.id, DETECTOR.layer, statement, close, usual, log_odds)


DETECTOR: Final = Detector(
    id="lifecycle",
    layer="time",
    question="Were the members opened, at work and last seen at the same times, more than other groups' members are?",
    innocent="A class, a cohort of one product's launch, or colleagues of one office share a season; hence the comparison with this deployment's groups.",
    source="references.md T20, L4-L6; references.md, measurements (what an account's life tells)",
    needs=frozenset({"time"}),
    parameters={
        "close": Parameter(
            0.8, "share of strangers", "chosen on labelled worlds: below, innocent makers of data pass too"
        ),
        "stranger": Parameter(
            0.57,
            "share of strangers",
            "chosen on labelled worlds: hardly an account of a campaign lies below",
        ),
        "fellow": Parameter(
            0.73,
            "share of strangers",
            "chosen on labelled worlds: most innocents who were accused without any signal lay below",
        ),
        "apart": Parameter(
            0.2,
            "share of strangers",
            "chosen on labelled worlds: further from the group's mean, a user of its text",
        ),
        "least_close": Parameter(
            0.67, "share of strangers", "a large group of busy customers differs from chance, but by little"
        ),
        "peer_size": Parameter(3, "accounts", "a pair has one tie: no average"),
        "most_log_odds": Parameter(
            4.0, "nats", "no one signal decides: its model of the innocent may be wrong once in 50"
        ),
    },
    marks=mark,
    measure=measure,
)
