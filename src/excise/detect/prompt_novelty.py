"""Every wrapped request brings material that no member has sent before: a queue is being worked off, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import numba
import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Parameter, Settings
from excise.detect.groups import count_rows, percent, share_evidence
from excise.detect.repeats import first_slot, pack_key
from excise.engine.memory import forget
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import F64, I32, I64, U64, Bool, Exchanges, Traffic

NEW: Final = "wrapped with new material"
"""Name of what `count_new` says (`Traffic.ask`)."""


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Compare the share of wrapped exchanges with new material with other groups' (one trial a member)."""
    total, new = traffic.ask(NEW, lambda: count_new(traffic, clusters, int(p["fresh_runs"])))
    trials = np.minimum(total, clusters.sizes().astype(np.float64))
    return share_evidence(
        DETECTOR, np.where(total > 0, new / np.maximum(total, 1) * trials, 0.0), trials, _say, p
    )


def count_new(traffic: Traffic, clusters: Clusters, fresh_runs: int) -> tuple[F64, F64]:
    """Return each cluster's wrapped exchanges, and those of them that are `novel`."""
    rows = clusters.wrapped_rows(traffic.exchanges)
    new = rows[novel(traffic, clusters, rows, fresh_runs)]
    return count_rows(traffic, clusters, rows), count_rows(traffic, clusters, new)


def novel(traffic: Traffic, clusters: Clusters, rows: I64, fresh_runs: int) -> Bool:
    """Return which of these exchanges bring at least so many sampled word runs that no wrapped exchange of their cluster had before.

    In order of time; the very first of each cluster is new by nature. Linear in the sampled runs, after the sort.
    """
    e = traffic.exchanges
    group = clusters.label[e.account[rows]]
    by_time = np.lexsort((e.id[rows], e.at[rows], group))
    order, label = rows[by_time], group[by_time].astype(np.uint64)
    enough = np.zeros(len(rows), np.bool_)
    for start, end in _whole_groups(label):
        fresh = _count_fresh(order[start:end], label[start:end], e.shingles.offsets, e.shingles.values)
        enough[by_time[start:end]] = fresh >= fresh_runs
        forget(e)
    return enough


def first_holders(e: Exchanges, rows: I64, label: I32) -> tuple[U64, I64]:
    """Return what some wrapped exchanges, of these clusters, hold of sampled word runs, and which of them had each first in its cluster.

    A run of a cluster is one key, whose lowest bits are the cluster. `novel` are the exchanges that had enough runs first.
    """
    lists, pack = e.shingles.take(rows), cast("Any", pack_key)
    owner = lists.owners()
    key = pack.py_func(lists.values, label[owner].astype(np.uint64)) | np.uint64(1) << np.uint64(63)
    row = rows[owner]
    order = np.lexsort((e.id[row], e.at[row], key))
    key, row = key[order], row[order]
    first = np.append(True, key[1:] != key[:-1])[: len(key)]
    return key[first], row[first]


_ROWS: Final = 1 << 13
"""Rows, about, whose runs are in memory at a time, where tables lie in files: each brings the 64 KiB around it."""


def _whole_groups(label: U64) -> Iterator[tuple[int, int]]:
    """Cut sorted labels into pieces of at least `_ROWS` that end where a group ends."""
    start = 0
    while start < len(label):
        end = min(start + _ROWS, len(label))
        end = int(np.searchsorted(label, label[end - 1], side="right"))
        yield start, end
        start = end


@numba.njit(cache=True, nogil=True)
def _count_fresh(rows: I64, label: U64, offsets: I64, values: U64) -> I64:
    """For each row, its tokens that were not seen before with its label; equal labels stand together."""
    fresh = np.zeros(len(rows), np.int64)
    start = 0
    while start < len(rows):
        end, most, size = start, 0, 4
        while end < len(rows) and label[end] == label[start]:
            most += offsets[rows[end] + 1] - offsets[rows[end]]
            end += 1
        while size < 2 * most:
            size *= 2
        seen, mask = np.zeros(size, np.uint64), np.uint64(size - 1)
        for i in range(start, end):
            for j in range(offsets[rows[i]], offsets[rows[i] + 1]):
                key = pack_key(values[j], label[i]) | np.uint64(1) << np.uint64(63)
                slot = first_slot(key, mask)
                while seen[slot] != 0 and seen[slot] != key:
                    slot = (slot + np.uint64(1)) & mask
                if seen[slot] == 0:
                    seen[slot] = key
                    fresh[i] += 1
        start = end
    return fresh


def _say(share: float, baseline: float) -> str:
    return (
        f"{percent(share)} of the wrapped requests bring material that no member had sent before; "
        f"in other groups {percent(baseline)} do."
    )


DETECTOR: Final = Detector(
    id="prompt-novelty",
    layer="content",
    question="Does every wrapped request bring new material, as when a list of tasks is worked off once?",
    innocent="Evaluations, labellers and makers of their own data work lists off too; hence weak evidence, never alone.",
    source="references.md, what cannot be hidden (a student learns from different examples); PRADA (Juuti et al. 2019), idea",
    needs=frozenset({"content"}),
    parameters={
        **SHARE_PARAMETERS,
        "fresh_runs": Parameter(
            3, "sampled runs of 4 words", "about twelve new words: more than a date or a name"
        ),
        "floor": Parameter(0.5, "share of exchanges", "ordinary work brings new material as often as not"),
        "most_log_odds": Parameter(0.7, "nats", "every batch job is like this: at most a factor of two"),
    },
    measure=measure,
)
