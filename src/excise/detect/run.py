"""Run the detectors: first their ties, then, once there are clusters, their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from excise.detect.detector import Detector, Marks, Settings
from excise.detect.groups import measure_marks
from excise.engine.memory import forget
from excise.model.clusters import Clusters, Ties
from excise.model.findings import Evidence
from excise.model.tables import I64, Traffic

Overrides = Mapping[str, Settings]


def usable(detectors: Sequence[Detector], traffic: Traffic) -> tuple[Detector, ...]:
    """Return the detectors whose evidence the input allows."""
    return tuple(d for d in detectors if d.needs <= traffic.available)


def find_ties(detectors: Sequence[Detector], traffic: Traffic, overrides: Overrides) -> list[Ties]:
    """Return the ties of each detector that has some."""
    found = []
    for d in detectors:
        if d.ties is not None:
            found.append(d.ties(traffic, d.settings(overrides.get(d.id, {}))))
            forget(traffic.exchanges)
    return found


def find_marks(
    detectors: Sequence[Detector], traffic: Traffic, clusters: Clusters, overrides: Overrides
) -> dict[str, Marks]:
    """Return, by detector, which accounts show its signal."""
    found = {}
    for d in detectors:
        if d.marks is not None:
            found[d.id] = d.marks(traffic, clusters, d.settings(overrides.get(d.id, {})))
            forget(traffic.exchanges)
    return found


def find_rows(
    detectors: Sequence[Detector], traffic: Traffic, clusters: Clusters, overrides: Overrides
) -> dict[str, I64]:
    """Return, by detector, the exchanges that show its signal within a cluster."""
    return {
        d.id: d.rows(traffic, clusters, d.settings(overrides.get(d.id, {})))
        for d in detectors
        if d.rows is not None
    }


def measure(
    detectors: Sequence[Detector],
    traffic: Traffic,
    clusters: Clusters,
    marks: Mapping[str, Marks],
    overrides: Overrides,
) -> list[list[Evidence]]:
    """Return the evidence on each cluster, in the order of the detectors; `marks` as `find_marks` gives them.

    Content comes last: it is compared with the groups against which no other layer speaks, so that campaigns are not what is
    usual. The layers are independent of each other for the innocent, so this choice does not favour the content.
    """
    content = [d for d in detectors if d.layer == "content"]
    found = _measure([d for d in detectors if d.layer != "content"], traffic, clusters, marks, overrides)
    strongest = [
        max((e.log_odds for evidence in found.values() if (e := evidence[k]) is not None), default=0.0)
        for k in range(len(clusters))
    ]
    plain = replace(clusters, plain=np.array(strongest, np.float64) < SPEAKS)
    found |= _measure(content, traffic, plain, marks, overrides)
    return [[e for d in detectors if (e := found[d.id][k]) is not None] for k in range(len(clusters))]


SPEAKS: Final = 1.5
"""Nats from which evidence speaks against a group (a Bayes factor of 4.5)."""


def _measure(
    detectors: Sequence[Detector],
    traffic: Traffic,
    clusters: Clusters,
    marks: Mapping[str, Marks],
    overrides: Overrides,
) -> dict[str, Sequence[Evidence | None]]:
    out: dict[str, Sequence[Evidence | None]] = {}
    for detector in detectors:
        p = detector.settings(overrides.get(detector.id, {}))
        out[detector.id] = (
            detector.measure(traffic, clusters, p)
            if detector.measure
            else measure_marks(detector, clusters, marks[detector.id], p)
        )
        forget(traffic.exchanges)
    return out
