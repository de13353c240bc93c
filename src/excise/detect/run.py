"""Run the detectors: first their ties, then, once there are clusters, their evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np

from excise.detect.detector import Detector, Marks, Settings
from excise.detect.groups import measure_marks
from excise.engine.embedded import map_ordered
from excise.engine.memory import forget
from excise.model.clusters import Clusters, Ties
from excise.model.findings import Evidence
from excise.model.tables import I64, Traffic

Overrides = Mapping[str, Settings]
Item = TypeVar("Item")
Result = TypeVar("Result")


def usable(detectors: Sequence[Detector], traffic: Traffic) -> tuple[Detector, ...]:
    """Return the detectors whose evidence the input allows."""
    return tuple(d for d in detectors if d.needs <= traffic.available)


def find_ties(
    detectors: Sequence[Detector], traffic: Traffic, overrides: Overrides, *, threads: int = 1
) -> list[Ties]:
    """Return the ties of each detector that has some."""
    makers = [(d, d.ties) for d in detectors if d.ties is not None]
    return _each(lambda m: m[1](traffic, _chosen(m[0], overrides)), makers, traffic, threads)


def find_marks(
    detectors: Sequence[Detector],
    traffic: Traffic,
    clusters: Clusters,
    overrides: Overrides,
    *,
    threads: int = 1,
) -> dict[str, Marks]:
    """Return, by detector, which accounts show its signal."""
    makers = [(d, d.marks) for d in detectors if d.marks is not None]
    found = _each(
        lambda m: m[1](traffic, clusters, _chosen(m[0], overrides)),
        makers,
        traffic,
        threads,
        ahead=len(makers),
    )
    return dict(zip((d.id for d, _ in makers), found, strict=True))


def find_rows(
    detectors: Sequence[Detector], traffic: Traffic, clusters: Clusters, overrides: Overrides
) -> dict[str, I64]:
    """Return, by detector, the exchanges that show its signal within a cluster."""
    return {d.id: d.rows(traffic, clusters, _chosen(d, overrides)) for d in detectors if d.rows is not None}


def measure(
    detectors: Sequence[Detector],
    traffic: Traffic,
    clusters: Clusters,
    marks: Mapping[str, Marks],
    overrides: Overrides,
    *,
    threads: int = 1,
) -> list[list[Evidence]]:
    """Return the evidence on each cluster, in the order of the detectors; `marks` as `find_marks` gives them.

    Content that is `compared` comes last: with the groups against which no other layer speaks, so that campaigns are not what is
    usual. The layers are independent of each other for the innocent, so this choice does not favour the content.
    """
    first = [d for d in detectors if not d.compared]
    found = _measure(first, traffic, clusters, marks, overrides, threads)
    other = [found[d.id] for d in first if d.layer != "content"]
    strongest = [
        max((e.log_odds for evidence in other if (e := evidence[k]) is not None), default=0.0)
        for k in range(len(clusters))
    ]
    plain = replace(clusters, plain=np.array(strongest, np.float64) < SPEAKS)
    last = [d for d in detectors if d.compared]
    found |= _measure(last, traffic, plain, marks, overrides, threads)
    return [[e for d in detectors if (e := found[d.id][k]) is not None] for k in range(len(clusters))]


SPEAKS: Final = 1.5
"""Nats from which evidence speaks against a group (a Bayes factor of 4.5)."""


def _measure(
    detectors: Sequence[Detector],
    traffic: Traffic,
    clusters: Clusters,
    marks: Mapping[str, Marks],
    overrides: Overrides,
    threads: int,
) -> dict[str, Sequence[Evidence | None]]:
    def evidence(detector: Detector) -> Sequence[Evidence | None]:
        p = _chosen(detector, overrides)
        if detector.measure is not None:
            return detector.measure(traffic, clusters, p)
        return measure_marks(detector, clusters, marks[detector.id], p)

    found = _each(evidence, detectors, traffic, threads, ahead=len(detectors))
    return {d.id: e for d, e in zip(detectors, found, strict=True)}


def _chosen(detector: Detector, overrides: Overrides) -> Settings:
    return detector.settings(overrides.get(detector.id, {}))


def _each(
    work: Callable[[Item], Result], items: Sequence[Item], traffic: Traffic, threads: int, *, ahead: int = 1
) -> list[Result]:
    """Do the work of several detectors at once; they read the traffic and know nothing of each other. `ahead`: as in `map_ordered`."""

    def alone(item: Item) -> Result:
        result = work(item)
        forget(traffic.exchanges)
        return result

    return list(map_ordered(alone, items, threads=threads, ahead=ahead))
