"""Members move to a new model within two days of its release, far more often than others who could have."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.model import schema
from excise.model.clusters import Clusters
from excise.model.tables import I64, Bool, Traffic

HOUR = 3_600_000_000
_RELEASE = schema.EVENT_KINDS.index("model_release")


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark early adopters; known for accounts that were active on both sides of a release."""
    early, could = early_adopters(traffic, within=int(p["within_hours"]) * HOUR)
    return Marks(early, could)


def early_adopters(traffic: Traffic, *, within: int) -> tuple[Bool, Bool]:
    """Return which accounts took up some released model within `within` microseconds, and which could have (active around it)."""
    n = len(traffic.accounts)
    first, last = activity(traffic)
    early, could = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    events = traffic.events
    for i in np.flatnonzero(events.kind == _RELEASE):
        at, model = events.at[i], events.model[i]
        around = (first < at) & (last > at + within)
        taken = (
            (traffic.exchanges.model == model)
            & (traffic.exchanges.at >= at)
            & (traffic.exchanges.at < at + within)
        )
        adopted = np.zeros(n, np.bool_)
        adopted[traffic.exchanges.account[taken]] = True
        could |= around
        early |= around & adopted
    return early, could


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
        **SHARE_PARAMETERS,
        "floor": Parameter(0.02, "share of members", "early adopters exist in every deployment"),
        "least_share": Parameter(
            0.1, "share of members", "references.md L4-L6: part of a pool pivots at once, the rest staggers"
        ),
    },
    statement="{share} of the members that were active around a model release used the new model within two days; in other groups {baseline} did.",
    marks=mark,
)
