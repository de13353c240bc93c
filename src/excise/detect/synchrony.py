"""Members are at work in the same hours, or hand over to each other by the hour: more, or less, together than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numba
import numpy as np

from excise.detect.detector import Detector, Parameter, Settings
from excise.detect.pivot import HOUR
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import I64, Traffic
from excise.stats.tails import log_odds_of, normal_tail


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Compare the pairs of members at work in one hour with draws in which each member's days are shifted.

    Shifting by whole days keeps each member's volume, rhythm and time of day; both tails are tested.
    """
    rows = clusters.wrapped_rows(traffic.exchanges)
    label, account, hour = _active_hours(traffic, clusters, rows)
    start = np.searchsorted(label, np.arange(len(clusters) + 1))
    out: list[Evidence | None] = []
    for k in range(len(clusters)):
        piece = slice(start[k], start[k + 1])
        out.append(
            _evidence(account[piece], hour[piece], p)
            if len(np.unique(account[piece])) >= p["least_members"]
            else None
        )
    return out


def _active_hours(traffic: Traffic, clusters: Clusters, rows: I64) -> tuple[I64, I64, I64]:
    """Return the distinct (cluster, account, hour) of the wrapped exchanges."""
    e = traffic.exchanges
    hour = e.at[rows] // HOUR - (e.at.min() // HOUR if len(e) else 0)
    account = e.account[rows].astype(np.int64)
    key = np.unique(np.stack([clusters.label[account].astype(np.int64), account, hour], axis=1), axis=0)
    return key[:, 0], key[:, 1], key[:, 2]


def _evidence(account: I64, hour: I64, p: Settings) -> Evidence | None:
    span = int(hour.max()) + 1
    days = -(-span // 24)
    if days < p["least_days"]:
        return None
    member = np.unique(account, return_inverse=True)[1]
    draws = np.random.default_rng(0).integers(0, days, (int(p["draws"]), int(member.max()) + 1))
    observed = _co_active(hour, days * 24)
    null = np.array(
        [_co_active((hour + shift[member] * 24) % (days * 24), days * 24) for shift in draws], np.float64
    )
    spread = float(null.std()) or 1.0
    z = (observed - float(null.mean())) / max(spread, float(np.sqrt(null.mean() + 1.0)))
    log_odds = log_odds_of(2.0 * normal_tail(abs(z)))
    if log_odds <= 0:
        return None
    how = "together" if z > 0 else "in turns"
    statement = f"The members' wrapped requests come {how}: {observed} pairs of members share an hour of work, against {null.mean():.0f} when their days are shifted at random."
    return Evidence(
        DETECTOR.id,
        DETECTOR.layer,
        statement,
        float(observed),
        float(null.mean()),
        min(log_odds, p["most_log_odds"]),
    )


@numba.njit(cache=True, nogil=True)
def _co_active(hour: I64, hours: int) -> int:
    count = np.zeros(hours, np.int64)
    for h in hour:
        count[h] += 1
    pairs = 0
    for c in count:
        pairs += c * (c - 1) // 2
    return pairs


DETECTOR: Final = Detector(
    id="synchrony",
    layer="time",
    question="Do the members work in the same hours, or hand over by the hour, more than their own rhythms explain?",
    innocent="A class, a hackathon or an outage puts strangers on the same days; customers of one product share its opening hours.",
    source="references.md T18, L2-L3; SynchroTrap (Cao et al. 2014); circular shifts as a null",
    needs=frozenset({"time"}),
    parameters={
        "least_members": Parameter(4, "accounts", "fewer have no rhythm in common to speak of"),
        "least_days": Parameter(4, "days", "shifts by whole days need some"),
        "draws": Parameter(60, "draws", "mean and spread of the null to about 10 %"),
        "most_log_odds": Parameter(
            1.0, "nats", "users' own doings (a release, a term) put them on the same days too"
        ),
    },
    measure=measure,
)
