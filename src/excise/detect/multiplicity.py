"""The same prompt is put to several accounts within hours: answers are being sampled for one queue."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.pairs import sum_pairs
from excise.detect.pivot import HOUR
from excise.engine.keys import repeated
from excise.model.clusters import Clusters, Ties
from excise.model.tables import I64, Traffic


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie accounts that send the same long text within hours, when few accounts ever send it and all of them then."""
    first, second = coincidences(traffic, p)
    x, y = traffic.exchanges.account[first], traffic.exchanges.account[second]
    weight = np.full(len(x), np.log(max(2.0, len(traffic.accounts) / 2.0)))
    return Ties(
        DETECTOR.id,
        DETECTOR.layer,
        *sum_pairs(np.minimum(x, y), np.maximum(x, y), weight),
        alone=False,
        binds=True,
    )


def coincidences_name(p: Settings) -> str:
    """Return the name of what `coincidences` says (`Traffic.once`)."""
    return f"multiplicity {sorted(p.items())}"


def coincidences(traffic: Traffic, p: Settings) -> tuple[I64, I64]:
    """Neighbouring exchanges of one text by two accounts; a text that comes back after days is a public item, not a queue's."""
    return traffic.once(coincidences_name(p), lambda: _find_coincidences(traffic, p))


def _find_coincidences(traffic: Traffic, p: Settings) -> tuple[I64, I64]:
    e = traffic.exchanges
    rows = repeated(np.where(e.tokens >= p["least_tokens"], e.doc, np.uint64(0)))
    rows = rows[np.lexsort((e.at[rows], e.doc[rows]))]
    doc, at, account = e.doc[rows], e.at[rows], e.account[rows]
    start = np.flatnonzero(np.append(True, doc[1:] != doc[:-1])) if len(rows) else np.zeros(0, np.int64)
    size = np.diff(np.append(start, len(rows)))
    span = np.repeat(at[start + size - 1] - at[start], size) if len(rows) else at
    short = (span <= p["within_hours"] * HOUR) & (np.repeat(size, size) <= p["most_copies"])
    next_to = (
        np.flatnonzero((doc[1:] == doc[:-1]) & (account[1:] != account[:-1]) & short[1:])
        if len(rows)
        else rows
    )
    return rows[next_to], rows[next_to + 1] if len(rows) else rows


def rows(traffic: Traffic, clusters: Clusters, p: Settings) -> I64:
    """Return the exchanges whose text another member of the cluster sent within hours."""
    first, second = coincidences(traffic, p)
    label = clusters.label[traffic.exchanges.account]
    inside = (label[first] == label[second]) & (label[first] >= 0)
    return np.union1d(first[inside], second[inside])


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark the accounts that sent several such texts; one may be a coincidence."""
    e = traffic.exchanges
    found = rows(traffic, clusters, p)
    texts = np.unique(np.stack([e.account[found].astype(np.uint64), e.doc[found]], axis=1), axis=0)[:, 0]
    times = np.bincount(texts.astype(np.int64), minlength=len(clusters.label))
    return Marks(times >= p["least_texts"], np.ones(len(times), np.bool_))


DETECTOR: Final = Detector(
    id="multiplicity",
    layer="content",
    question="Is the same prompt put to several accounts within hours, and never again?",
    innocent="A public item set or a pasted tutorial is sent by many, but over weeks; hence the whole life of the text must be short.",
    source="references.md, what cannot be hidden (verifiability: k > 1 answers); references.md, measurements",
    needs=frozenset({"content"}),
    parameters={
        "least_tokens": Parameter(12, "tokens", "shorter texts coincide by chance"),
        "least_texts": Parameter(2, "texts", "one text in common within hours may be a coincidence"),
        "within_hours": Parameter(
            12, "hours", "resampling happens within the life of a queue, hours (references.md, measurements)"
        ),
        "most_copies": Parameter(
            24, "exchanges", "k of published pipelines is 1 to 16; more is a public text"
        ),
        **SHARE_PARAMETERS,
    },
    statement="{share} of the members sent the very text of another member within hours, a text seen at no other time; in other groups {baseline} did.",
    ties=tie,
    marks=mark,
    rows=rows,
)
