"""Members are at work on the same days or in the same hours, or hand over to each other: more, or less, together than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numba
import numpy as np

from excise.detect import signup
from excise.detect.detector import Detector, Parameter, Settings
from excise.detect.pivot import HOUR
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import F64, I64, Traffic
from excise.stats.tails import log_odds_of, normal_tail

HOURS: Final = "hours at work"
"""Name of what `active_hours` says (`Traffic.ask`)."""
_SCALES: Final = {"an hour": 1, "a day": 24}
"""Hours in a unit of time in which two members count as being at work together."""
_LEAST_PEERS: Final = 10
_STEPS: Final = (1, 7)
"""Days by which the null shifts a member: any number, and whole weeks, since strangers share their weekends."""


@dataclass(frozen=True, slots=True)
class _Count:
    """Pairs of members that share a unit of time: seen, expected of shifted members, and the distance in standard deviations."""

    seen: int
    expected: float
    z: float


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Compare pairs of members at work together with draws in which each member is shifted in time, then with other groups.

    Shifting keeps each member's volume, bursts and time of day. It is done within the days of the group's own work, and
    within the whole scan, where a common period counts too, unless most members were opened together: that is
    another detector's finding, and a common period follows from it. For each, what holds against
    shifted days and against shifted weeks counts. What all groups of this deployment show (terms, releases, holidays) is no evidence: distances are
    standardised by the groups' median and spread (an empirical null: Efron 2004, "Large-scale simultaneous hypothesis testing").
    """
    hours = traffic.ask(HOURS, lambda: active_hours(traffic, clusters))
    cells = _by_cluster(traffic, clusters, *hours)
    counts = {window: _count_all(clusters, cells, p, own=own) for window, own in _WINDOWS.items()}
    scores = {
        (window, scale): _standardise([c[scale].z if c else np.nan for c in counts[window]])
        for window in _WINDOWS
        for scale in _SCALES
    }
    out: list[Evidence | None] = []
    cohort = signup.opened_together(traffic, clusters)
    for k in range(len(clusters)):
        found = [
            _evidence(window, scale, c[scale], float(scores[window, scale][k]), p)
            for window, own in _WINDOWS.items()
            if (own or not cohort[k]) and (c := counts[window][k]) is not None
            for scale in _SCALES
        ]
        told = [e for e in found if e is not None]
        out.append(max(told, key=lambda e: e.log_odds) if told else None)
    return out


_WINDOWS: Final = {"the days of their own work": True, "the whole time": False}


def _count_all(
    clusters: Clusters, cells: tuple[I64, I64, I64], p: Settings, *, own: bool
) -> list[dict[str, _Count] | None]:
    """Count by scale, for every cluster with members and days enough; `own`: within the cluster's own days."""
    label, account, hour = cells
    start = np.searchsorted(label, np.arange(len(clusters) + 1))
    out: list[dict[str, _Count] | None] = []
    for k in range(len(clusters)):
        piece = slice(start[k], start[k + 1])
        member, hours = np.unique(account[piece], return_inverse=True)[1], hour[piece]
        if own and len(hours):
            hours = hours - hours.min() // 24 * 24
        enough = len(hours) and member.max() + 1 >= p["least_members"] and hours.max() >= p["least_days"] * 24
        out.append(_count(member, hours, int(p["draws"])) if enough else None)
    return out


def _by_cluster(traffic: Traffic, clusters: Clusters, account: I64, hour: I64) -> tuple[I64, I64, I64]:
    """Return (cluster, account, hours since the first of the scan), ascending."""
    label = clusters.label[account].astype(np.int64)
    order = np.argsort(label, kind="stable")
    return label[order], account[order], hour[order] - traffic.period()[0] // HOUR


def active_hours(traffic: Traffic, clusters: Clusters) -> tuple[I64, I64]:
    """Return the distinct (account, hour since 1970) of the wrapped exchanges, ascending."""
    e, rows = traffic.exchanges, clusters.wrapped_rows(traffic.exchanges)
    return _distinct(e.account[rows].astype(np.int64), e.at[rows] // HOUR)


def _distinct(first: I64, second: I64) -> tuple[I64, I64]:
    """Drop repeated pairs, which stand together: rows are in canonical order, by account, then time."""
    new = np.ones(len(first), np.bool_)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return first[new], second[new]


def _count(member: I64, hour: I64, draws: int) -> dict[str, _Count]:
    """Count on each scale; of the nulls, the one that leaves less to explain."""
    out = {}
    for scale, hours in _SCALES.items():
        who, unit = _distinct(member, hour // hours)
        nulls = [_against_shifts(who, unit, 24 // hours, step, draws) for step in _STEPS]
        agree = all(n.z > 0 for n in nulls) or all(n.z < 0 for n in nulls)
        least = min(nulls, key=lambda n: abs(n.z))
        out[scale] = least if agree else _Count(least.seen, least.expected, 0.0)
    return out


def _against_shifts(member: I64, unit: I64, per_day: int, step: int, draws: int) -> _Count:
    """Shift each member around a circle of whole steps; the spread is at least that of independent pairs."""
    steps = -(-(int(unit.max()) + 1) // (per_day * step))
    size = steps * step * per_day
    shifts = np.random.default_rng(0).integers(0, steps, (draws, int(member.max()) + 1)) * (step * per_day)
    null = _shifted(member, unit, shifts, size)
    seen, mean = _co_active(unit, size), float(null.mean())
    return _Count(seen, mean, (seen - mean) / max(float(null.std()), float(np.sqrt(mean + 1.0))))


@numba.njit(cache=True, nogil=True)
def _shifted(member: I64, unit: I64, shifts: I64, size: int) -> F64:
    """Pairs at work together in each draw; units and shifts are below `size`, which closes the circle."""
    out, count = np.zeros(len(shifts)), np.zeros(size, np.int64)
    for d in range(len(shifts)):
        for i in range(len(unit)):
            at = unit[i] + shifts[d, member[i]]
            count[at - size if at >= size else at] += 1
        out[d] = _take_pairs(count)
    return out


@numba.njit(cache=True, nogil=True)
def _co_active(unit: I64, size: int) -> int:
    count = np.zeros(size, np.int64)
    for u in unit:
        count[u] += 1
    return _take_pairs(count)


@numba.njit(inline="always")
def _take_pairs(count: I64) -> int:
    """Count the pairs and clear the counts."""
    pairs = 0
    for k in range(len(count)):
        pairs += count[k] * (count[k] - 1) // 2
        count[k] = 0
    return pairs


def _standardise(z: list[float]) -> F64:
    """Take off the groups' median, and divide by their spread (at least 1, what theory says), from the median deviation.

    With few groups that have a rhythm theory stands alone: their median may be that of the campaigns.
    """
    values = np.array(z, np.float64)
    known = values[~np.isnan(values)]
    if len(known) < _LEAST_PEERS:
        return values
    middle = float(np.median(known))
    return (values - middle) / max(1.0, 1.4826 * float(np.median(np.abs(known - middle))))


def _evidence(window: str, scale: str, count: _Count, z: float, p: Settings) -> Evidence | None:
    """Worth of one distance; of two scales and two directions the best was taken, so p-values count fourfold."""
    log_odds = log_odds_of(min(1.0, 4.0 * normal_tail(abs(z)))) if z * count.z > 0 else 0.0
    if log_odds <= 0:
        return None
    most = p["most_log_odds"] if _WINDOWS[window] else p["period_log_odds"]
    how = "together" if z > 0 else "in turns"
    statement = (
        f"The members' wrapped requests come {how}: {count.seen} pairs of members share {scale} of work, against "
        f"{count.expected:.0f} when their days are shifted at random within {window}."
    )
    return Evidence(
        DETECTOR.id, DETECTOR.layer, statement, float(count.seen), count.expected, min(log_odds, most)
    )


DETECTOR: Final = Detector(
    id="synchrony",
    layer="time",
    question="Do the members work on the same days or hours, or hand over to each other, more than their own rhythms explain?",
    innocent="A class, a hackathon or an outage puts strangers on the same days; customers of one product share its opening hours.",
    source="references.md T18, L2-L3; SynchroTrap (Cao et al. 2014); circular shifts as a null",
    needs=frozenset({"time"}),
    parameters={
        "least_members": Parameter(4, "accounts", "fewer have no rhythm in common to speak of"),
        "least_days": Parameter(4, "days", "shifts by whole days need some"),
        "draws": Parameter(60, "draws", "mean and spread of the null to about 10 %"),
        "most_log_odds": Parameter(
            4.0, "nats", "no one signal decides: its model of the innocent may be wrong once in 50"
        ),
        "period_log_odds": Parameter(
            2.0, "nats", "a term, a release or a new public template gives strangers a common period too"
        ),
    },
    measure=measure,
)
