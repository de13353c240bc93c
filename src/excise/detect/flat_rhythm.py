"""Accounts send at an even pace, day and night: a scheduler is at work, nobody's day."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.pivot import HOUR
from excise.model.clusters import Clusters
from excise.model.tables import F64, I64, Traffic

PACE: Final = "pace"
"""Name of what `pace` says (`Traffic.ask`)."""


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark accounts whose opening requests come at nearly equal intervals over several days; known with enough of them."""
    count, spread, span = traffic.ask(PACE, lambda: pace(traffic, clusters))
    known = (count >= p["least_exchanges"]) & (span >= p["least_days"] * 24 * HOUR)
    return Marks((spread <= p["most_variation"]) & known, known)


def pace(traffic: Traffic, clusters: Clusters) -> tuple[I64, F64, I64]:
    """Return what `gap_statistics` says of each account's opening requests."""
    e = traffic.exchanges
    opening = np.flatnonzero(e.messages <= 1)
    return gap_statistics(e.account[opening].astype(np.int64), e.at[opening], len(traffic.accounts))


def gap_statistics(account: I64, at: I64, accounts: int) -> tuple[I64, F64, I64]:
    """Return, by account, exchanges, the coefficient of variation of the gaps between them, and the time from first to last.

    Rows are in canonical order. The coefficient is infinite where there are no two gaps.
    """
    count = np.bincount(account, minlength=accounts)
    same = account[1:] == account[:-1]
    owner, gap = account[1:][same], (at[1:] - at[:-1])[same].astype(np.float64) / HOUR
    n = np.bincount(owner, minlength=accounts)
    total = np.bincount(owner, weights=gap, minlength=accounts)
    square = np.bincount(owner, weights=gap * gap, minlength=accounts)
    mean = total / np.maximum(n, 1)
    variance = np.maximum(square / np.maximum(n, 1) - mean * mean, 0.0)
    spread = np.where((n >= 2) & (mean > 0), np.sqrt(variance) / np.maximum(mean, 1e-12), np.inf)
    return count, spread, (total * HOUR).astype(np.int64)


DETECTOR: Final = Detector(
    id="flat-rhythm",
    layer="time",
    question="Do members send at an even pace over days, without a day's rhythm or bursts?",
    innocent="Monitors and scheduled jobs of one firm are even too, but they are one owner's and do not share a private wrapper with strangers.",
    source="references.md, what cannot be hidden and real clients (real clients: coefficient of variation of arrivals 1.45 in the median)",
    needs=frozenset({"time"}),
    parameters={
        **SHARE_PARAMETERS,
        "floor": Parameter(0.02, "share of members", "even senders exist in every deployment"),
        "least_exchanges": Parameter(20, "exchanges", "fewer gaps say little of their spread"),
        "least_days": Parameter(3, "days", "a short batch is even by nature"),
        "most_variation": Parameter(
            0.6,
            "standard deviation / mean",
            "random arrivals have 1, real clients 1.45 (references.md, real clients)",
        ),
    },
    statement="{share} of the members with enough requests send at an even pace for days, day and night; in other groups {baseline} do.",
    marks=mark,
)
