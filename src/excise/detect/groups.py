"""Sums over clusters: of members, and of the exchanges that hold a cluster's wrapper; and what a share of them is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from excise.detect.detector import Detector, Marks, Settings
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import F64, I64, Bool, Traffic
from excise.stats.excess import excess_shares

_LEAST_MEMBERS = 2
"""One member is no pattern."""


def count_rows(traffic: Traffic, clusters: Clusters, rows: I64) -> F64:
    """Return, for each cluster, the number of these rows."""
    label = clusters.label[traffic.exchanges.account[rows]]
    return np.bincount(label, minlength=len(clusters)).astype(np.float64)


def count_members(clusters: Clusters, which: Bool) -> F64:
    """Return, for each cluster, the number of members for which `which` (one value an account) holds."""
    return np.bincount(clusters.label[(clusters.label >= 0) & which], minlength=len(clusters)).astype(
        np.float64
    )


def tied_members(clusters: Clusters, detector: str) -> Bool:
    """Return the accounts that this detector ties to another member of their cluster."""
    mine = clusters.edges.has(detector)
    out = np.zeros(len(clusters.label), np.bool_)
    out[clusters.edges.a[mine]] = True
    out[clusters.edges.b[mine]] = True
    return out


def measure_marks(
    detector: Detector, clusters: Clusters, marks: Marks, p: Settings
) -> Sequence[Evidence | None]:
    """Evidence of a detector that marks members: the share of marked ones where it stands out from other groups."""
    hits = count_members(clusters, marks.shows & marks.known)
    trials = count_members(clusters, marks.known)

    def say(share: float, baseline: float) -> str:
        return detector.statement.format(share=percent(share), baseline=percent(baseline))

    return share_evidence(detector, hits, trials, say, p)


def share_evidence(
    detector: Detector, hits: F64, trials: F64, say: Callable[[float, float], str], p: Settings
) -> Sequence[Evidence | None]:
    """Evidence of hits among trials, one a cluster: nothing below `least_share`, on fewer than two hits, or where it does not stand out."""
    shares = excess_shares(hits.tolist(), trials.tolist(), floor=p["floor"], by_size=bool(p["by_size"]))
    out: list[Evidence | None] = []
    for k, log_odds in enumerate(shares.log_odds):
        share = hits[k] / trials[k] if trials[k] else 0.0
        shown = hits[k] >= _LEAST_MEMBERS and share >= p["least_share"] and log_odds > 0
        value = min(log_odds, p["most_log_odds"])
        out.append(
            Evidence(
                detector.id,
                detector.layer,
                say(share, shares.baselines[k]),
                share,
                shares.baselines[k],
                value,
            )
            if shown
            else None
        )
    return out


def percent(share: float) -> str:
    """Say a share, without more digits than it has."""
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"
