"""Nobody reads the answers: wrapped requests are single shots, without a follow-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Parameter, Settings
from excise.detect.groups import count_rows, percent, share_evidence
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import F64, Traffic

SINGLE: Final = "wrapped single shots"
"""Name of what `count_single` says (`Traffic.ask`)."""


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Compare the share of wrapped exchanges that open a conversation with other groups' (one trial a member)."""
    total, single = traffic.ask(SINGLE, lambda: count_single(traffic, clusters))
    trials = np.minimum(total, clusters.sizes().astype(np.float64))
    return share_evidence(
        DETECTOR, np.where(total > 0, single / np.maximum(total, 1) * trials, 0.0), trials, _say, p
    )


def count_single(traffic: Traffic, clusters: Clusters) -> tuple[F64, F64]:
    """Return each cluster's wrapped exchanges, and those of them that open a conversation."""
    rows = clusters.wrapped_rows(traffic.exchanges)
    single = rows[traffic.exchanges.messages[rows] <= 1]
    return count_rows(traffic, clusters, rows), count_rows(traffic, clusters, single)


def _say(share: float, baseline: float) -> str:
    return f"{percent(share)} of the wrapped requests are single shots that nobody follows up; in other groups {percent(baseline)} are."


DETECTOR: Final = Detector(
    id="no-consumer",
    layer="content",
    question="Are the wrapped requests single shots, with no one who reads and follows up?",
    innocent="Batch jobs, evaluations and pipelines have no reader either; hence weak evidence.",
    source="references.md, what cannot be hidden (no consumer)",
    needs=frozenset({"conversation"}),
    parameters={
        **SHARE_PARAMETERS,
        "floor": Parameter(0.5, "share of exchanges", "most API traffic is single shots"),
        "most_log_odds": Parameter(0.7, "nats", "every batch job is like this: at most a factor of two"),
    },
    measure=measure,
)
