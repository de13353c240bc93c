"""The same prompt is put to several accounts within hours: answers are being sampled for one queue."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.pairs import sum_pairs
from excise.detect.pivot import HOUR
from excise.model.clusters import Clusters, Ties
from excise.model.tables import F64, I32, Traffic


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie accounts that send the same long text within hours, when few accounts ever send it and all of them then."""
    a, b, weight = _coincidences(traffic, p)
    return Ties(DETECTOR.id, DETECTOR.layer, *sum_pairs(a, b, weight), alone=False)


def _coincidences(traffic: Traffic, p: Settings) -> tuple[I32, I32, F64]:
    """Neighbouring senders of one text; a text that comes back after days is a public item, not a queue's."""
    e = traffic.exchanges
    rows = np.flatnonzero((e.tokens >= p["least_tokens"]) & (e.doc != 0))
    rows = rows[np.lexsort((e.at[rows], e.doc[rows]))]
    doc, at, account = e.doc[rows], e.at[rows], e.account[rows]
    start = np.flatnonzero(np.append(True, doc[1:] != doc[:-1])) if len(rows) else np.zeros(0, np.int64)
    size = np.diff(np.append(start, len(rows)))
    span = np.repeat(at[start + size - 1] - at[start], size) if len(rows) else at
    short = (span <= p["within_hours"] * HOUR) & (np.repeat(size, size) <= p["most_copies"])
    next_to = np.flatnonzero((doc[1:] == doc[:-1]) & (account[1:] != account[:-1]) & short[1:]) if len(rows) else rows
    x, y = account[next_to], account[next_to + 1]
    weight = np.full(len(x), np.log(max(2.0, len(traffic.accounts) / 2.0)))
    return np.minimum(x, y), np.maximum(x, y), weight


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark accounts that sent such a text within hours of another member of their cluster."""
    a, b, _ = _coincidences(traffic, p)
    inside = (clusters.label[a] == clusters.label[b]) & (clusters.label[a] >= 0)
    out = np.zeros(len(clusters.label), np.bool_)
    out[a[inside]] = True
    out[b[inside]] = True
    return Marks(out, np.ones(len(out), np.bool_))


DETECTOR: Final = Detector(
    id="multiplicity",
    layer="content",
    question="Is the same prompt put to several accounts within hours, and never again?",
    innocent="A public item set or a pasted tutorial is sent by many, but over weeks; hence the whole life of the text must be short.",
    source="threat.md 5.4 (verifiability: k > 1 answers); methods.md 5.4",
    needs=frozenset({"content"}),
    parameters={
        "least_tokens": Parameter(12, "tokens", "shorter texts coincide by chance"),
        "within_hours": Parameter(12, "hours", "resampling happens within the life of a queue, hours (methods.md 5.4)"),
        "most_copies": Parameter(24, "exchanges", "k of published pipelines is 1 to 16; more is a public text"),
        **SHARE_PARAMETERS,
    },
    statement="{share} of the members sent the very text of another member within hours, a text seen at no other time; in other groups {baseline} did.",
    ties=tie,
    marks=mark,
)
