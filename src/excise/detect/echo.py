"""Our own answers come back in other accounts' requests: traces are being cleaned, graded or replayed."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.pairs import sum_pairs
from excise.engine.keys import common
from excise.model.clusters import Clusters, Ties
from excise.model.tables import I32, I64, U64, Exchanges, Traffic

_PART_BITS: Final = 21
"""Two million runs are sorted at a time: some 100 MB."""


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie the account that got an answer and another one whose later request holds several of its 10-word runs."""
    source, row = echoes(traffic, runs=int(p["runs"]))
    target = traffic.exchanges.account[row]
    weight = np.full(len(source), np.log(max(2.0, len(traffic.accounts) / 2.0)) / 2.0)
    a, b, total = sum_pairs(np.minimum(source, target), np.maximum(source, target), weight)
    return Ties(DETECTOR.id, DETECTOR.layer, a, b, total, alone=False, binds=True)


def echoes_name(runs: int) -> str:
    """Return the name of what `echoes` says (`Traffic.once`)."""
    return f"echo {runs}"


def echoes(traffic: Traffic, *, runs: int) -> tuple[I32, I64]:
    """Return (account that was answered, exchange of another owner's account that sends it back)."""
    return traffic.once(echoes_name(runs), lambda: _find_echoes(traffic, runs))


def _find_echoes(traffic: Traffic, runs: int) -> tuple[I32, I64]:
    e = traffic.exchanges
    run, origin, at = _find_origins(e)
    if not len(run):
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    back = common(e.wide_in.values, run)
    wanted, row = e.wide_in.values[back], e.wide_in.owners_of(back)
    where = np.minimum(np.searchsorted(run, wanted), len(run) - 1)
    hit = (run[where] == wanted) & (origin[where] != e.account[row]) & (at[where] < e.at[row])
    key = row[hit] << 32 | origin[where[hit]].astype(np.int64)
    pair, count = np.unique(key, return_counts=True)
    pair = pair[count >= runs]
    source, back = (pair & 0xFFFFFFFF).astype(np.int32), pair >> 32
    foreign = ~traffic.accounts.one_owner(source, e.account[back])
    return source[foreign], back[foreign]


def rows(traffic: Traffic, clusters: Clusters, p: Settings) -> I64:
    """Return the exchanges that send back an answer given to another member of the cluster."""
    source, row = echoes(traffic, runs=int(p["runs"]))
    label = clusters.label[source]
    return np.unique(row[(label == clusters.label[traffic.exchanges.account[row]]) & (label >= 0)])


def _find_origins(e: Exchanges) -> tuple[U64, I32, I64]:
    """Return, ascending, the runs that may come back and that we said to one account only, with it and the first time.

    Part by part of the runs, so that few of them are sorted at a time.
    """
    said = common(e.wide_out.values, e.wide_in.values)
    runs = e.wide_out.values[said]
    bits = (len(said) >> _PART_BITS).bit_length()
    part = (runs & np.uint64((1 << bits) - 1)).astype(np.uint16)
    found = []
    for k in range(1 << bits):
        mine = np.flatnonzero(part == k)
        found.append(_single_origins(runs[mine], e.wide_out.owners_of(said[mine]), e.account, e.at))
    run, origin, at = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(run)
    return run[order], origin[order], at[order]


def _single_origins(runs: U64, rows: I64, account: I32, at: I64) -> tuple[U64, I32, I64]:
    """Return runs that we said to one account only, with it and the first time: what many were told is nobody's."""
    order = np.argsort(
        runs
    )  # by one number, which processors are quick at; the rest is told by least and largest
    run, row = runs[order], rows[order]
    start = np.flatnonzero(np.append(True, run[1:] != run[:-1])) if len(run) else np.zeros(0, np.int64)
    if not len(start):
        return run, account[:0], at[:0]
    who = account[row]
    lowest = np.minimum.reduceat(who, start)
    single = lowest == np.maximum.reduceat(who, start)
    return run[start][single], lowest[single], np.minimum.reduceat(at[row], start)[single]


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members whose answers other members send back, several in both directions together.

    Who only sends back what members were told may have found it where they published it.
    """
    source, row = echoes(traffic, runs=int(p["runs"]))
    target = traffic.exchanges.account[row]
    inside = (clusters.label[source] == clusters.label[target]) & (clusters.label[source] >= 0)
    told, sent = (np.bincount(each[inside], minlength=len(clusters.label)) for each in (source, target))
    return Marks((told > 0) & (told + sent >= p["least_exchanges"]), np.ones(len(clusters.label), np.bool_))


DETECTOR: Final = Detector(
    id="echo",
    layer="content",
    question="Do answers that we gave to one account come back in requests of another?",
    innocent="Colleagues pass answers on (one owner is not counted); well-known texts are quoted by all (nor is what several accounts were told).",
    source="references.md T6; references.md, measurements (echo index)",
    needs=frozenset({"echo"}),
    parameters={
        "runs": Parameter(
            2,
            "sampled 10-word runs",
            "one run may be a stock phrase; a sample of 1 in 16 leaves two from about 40 words",
        ),
        "least_exchanges": Parameter(
            3, "exchanges", "who grades or discusses answers meets one of another's by chance"
        ),
        **SHARE_PARAMETERS,
    },
    statement="Answers that we gave to {share} of the members come back from other members; in other groups, those to {baseline}.",
    ties=tie,
    marks=mark,
    rows=rows,
)
