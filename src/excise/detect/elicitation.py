"""What a group asks for, in its wrappers where it has some, is what students are trained on: reasoning, grades, data, trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Parameter, Settings
from excise.detect.groups import count_rows, percent, share_evidence
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import I64, Bool, Traffic


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Compare the share of wrapped exchanges that ask for training material with other groups' shares.

    A group without a wrapper is judged by all its exchanges, against the others without one. Exchanges of one group are copies
    of a few wrappers, not independent: they count as one trial a member.
    """
    wrapped = clusters.wrapped_rows(traffic.exchanges)
    bare = count_rows(traffic, clusters, wrapped) == 0
    grouped = np.flatnonzero(clusters.label[traffic.exchanges.account] >= 0)
    by_wrapper = _evidence(traffic, clusters, wrapped, "the wrapped requests", p)
    by_all = _evidence(traffic, clusters, _of(traffic, clusters, grouped, bare), "the requests", p)
    return [every if none else some for none, some, every in zip(bare, by_wrapper, by_all, strict=True)]


def _of(traffic: Traffic, clusters: Clusters, rows: I64, which: Bool) -> I64:
    """Return the rows of some of the clusters."""
    return rows[which[clusters.label[traffic.exchanges.account[rows]]]]


def _evidence(
    traffic: Traffic, clusters: Clusters, rows: I64, what: str, p: Settings
) -> Sequence[Evidence | None]:
    total = count_rows(traffic, clusters, rows)
    asking = count_rows(traffic, clusters, rows[traffic.exchanges.families[rows] != 0])
    trials = np.minimum(total, clusters.sizes().astype(np.float64))
    hits = np.where(total > 0, asking / np.maximum(total, 1) * trials, 0.0)
    return share_evidence(DETECTOR, hits, trials, partial(_say, what), p)


def _say(what: str, share: float, baseline: float) -> str:
    return f"{percent(share)} of {what} are worded like known ways to elicit training material; in other groups {percent(baseline)} are."


DETECTOR: Final = Detector(
    id="elicitation",
    layer="content",
    question="Do the wrapped requests, or all where none is wrapped, ask for reasoning, grades, data or trajectories as training material?",
    innocent="Teachers, evaluators, auditors and makers of their own data ask the same; hence weak evidence, never alone.",
    source="references.md T1 to T12; docs/families.md",
    needs=frozenset({"content"}),
    parameters={
        **SHARE_PARAMETERS,
        "floor": Parameter(0.1, "share of exchanges", "ordinary work asks for reasons and grades too"),
        "most_log_odds": Parameter(
            1.5, "nats", "references.md, measurements: harvest keywords alone have AUC 0.67"
        ),
    },
    measure=measure,
)
