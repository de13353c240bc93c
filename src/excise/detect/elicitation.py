"""What a group asks for, in its wrappers where it has some, is what students are trained on: reasoning, grades, data, trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Parameter, Settings
from excise.detect.groups import count_rows, percent, share_evidence
from excise.model.clusters import WRAPPED, Clusters
from excise.model.findings import Evidence
from excise.model.tables import F64, I64, Traffic

ASKING: Final = "asking for training material"
"""Name of what `count_asking` says (`Traffic.ask`)."""


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Compare the share of wrapped exchanges that ask for training material with other groups' shares.

    A group without a wrapper is judged by all its exchanges, against the others without one. Exchanges of one group are copies
    of a few wrappers, not independent: they count as one trial a member.
    """
    wrapped, asking, every, all_asking = traffic.ask(ASKING, lambda: count_asking(traffic, clusters))
    bare, sizes = wrapped == 0, clusters.sizes()
    by_wrapper = _evidence(wrapped, asking, sizes, "the wrapped requests", p)
    by_all = _evidence(np.where(bare, every, 0.0), all_asking, sizes, "the requests", p)
    return [every if none else some for none, some, every in zip(bare, by_wrapper, by_all, strict=True)]


def count_asking(traffic: Traffic, clusters: Clusters) -> tuple[F64, F64, F64, F64]:
    """Return each cluster's wrapped exchanges and those of them that ask for training material; the same of all its exchanges."""
    e, member = traffic.exchanges, clusters.label >= 0
    worded = np.flatnonzero(e.families)
    worded = worded[member[e.account[worded]]]
    volume = traffic.accounts.volume()[member].astype(np.float64)
    every = np.bincount(clusters.label[member], volume, len(clusters)).astype(np.float64)
    return (
        count_rows(traffic, clusters, clusters.wrapped_rows(e)),
        count_rows(traffic, clusters, worded[clusters.matched[worded] >= WRAPPED]),
        every,
        count_rows(traffic, clusters, worded),
    )


def _evidence(total: F64, asking: F64, sizes: I64, what: str, p: Settings) -> Sequence[Evidence | None]:
    trials = np.minimum(total, sizes.astype(np.float64))
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
