"""Members were opened within days of each other: a batch of accounts made for one purpose."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.groups import count_members
from excise.detect.pivot import HOUR
from excise.model.clusters import Clusters
from excise.model.tables import Bool, Traffic


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members created within days of several other members; known where the creation is."""
    created = traffic.accounts.created
    known = created > 0
    member = np.flatnonzero((clusters.label >= 0) & known)
    order = member[np.lexsort((created[member], clusters.label[member]))]
    label, at = clusters.label[order], created[order]
    span = int(p["within_days"]) * 24 * HOUR
    key = label.astype(np.float64) * 1e18  # clusters far apart on one line, so that one search serves all
    line = key + at
    near = (
        np.searchsorted(line, line + span, side="right") - np.searchsorted(line, line - span, side="left") - 1
    )
    shows = np.zeros(len(created), np.bool_)
    shows[order] = near >= p["least_others"]
    return Marks(shows, known)


def opened_together(traffic: Traffic, clusters: Clusters) -> Bool:
    """Return the clusters most of whose members (of those with a known day) were opened within days of several others."""
    marks = mark(traffic, clusters, DETECTOR.settings({}))
    hits, known = count_members(clusters, marks.shows & marks.known), count_members(clusters, marks.known)
    return np.asarray(2 * hits > np.maximum(known, 1), np.bool_)


DETECTOR: Final = Detector(
    id="signup",
    layer="account",
    question="Were the members opened in a burst, within days of each other?",
    innocent="A class, a launch or a campaign of advertising opens many accounts at once; hence the comparison with groups of their size.",
    source="references.md L1-L3; references.md, measurements (creation bursts of real operators last days to weeks)",
    needs=frozenset({"accounts"}),
    parameters={
        **SHARE_PARAMETERS,
        "by_size": Parameter(1, "0 or 1", "in a large group some are always near each other"),
        "floor": Parameter(0.1, "share of members", "groups grow in waves"),
        "within_days": Parameter(
            2,
            "days",
            "references.md, measurements: p10 to p90 of a real operator's first uses is 9 days in the median",
        ),
        "least_others": Parameter(2, "accounts", "two on one day are a coincidence"),
    },
    statement="{share} of the members were opened within two days of several other members; in other groups of that size {baseline} were.",
    marks=mark,
)
