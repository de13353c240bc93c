"""What an executor does with a bucket once there are clusters: count uses of their wrappers, and hand out their exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from excise.detect.matching import Held, count_uses, match_rows
from excise.model.clusters import WRAPPED
from excise.model.ragged import Ragged
from excise.model.tables import I64, Bool, Exchanges
from excise.sketch.blocks import Rows
from excise.spark.buckets import PLACE_SHIFT, Bucket, Work
from excise.spark.reading import to_stream


@dataclass(frozen=True, slots=True)
class Uses(Work):
    """How often accounts use a wrapper of clusters that they are not in (`pair long, uses long`)."""

    asked: Any = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Count for the pairs whose accounts are in these buckets."""
        tokens, account, cluster = self.asked.value
        for bucket in self.buckets(batches):
            mine = np.flatnonzero(np.isin(account, bucket.hashes))
            if len(mine):
                code = np.searchsorted(bucket.hashes, account[mine]).astype(np.int32)
                uses = count_uses(bucket.traffic, tokens, code, cluster[mine])
                yield pa.record_batch({"pair": mine, "uses": uses})


@dataclass(frozen=True, slots=True)
class Members(Work):
    """The exchanges of accounts in clusters: how many there are, and an Arrow stream of them.

    Without what only matching and echoes read: marks, runs of words, and the shingles of exchanges that do not hold their
    cluster's wrapper. `clustered` is a broadcast of these accounts' hashes (ascending) and clusters, and of the clusters' tokens.
    """

    clustered: Any = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give those of each bucket."""
        hashes, cluster, tokens = self.clustered.value
        for bucket in self.buckets(batches if len(hashes) else iter(())):
            where = np.minimum(np.searchsorted(hashes, bucket.hashes), len(hashes) - 1)
            label = np.where(hashes[where] == bucket.hashes, cluster[where], -1).astype(np.int32)
            rows = np.flatnonzero(label[bucket.traffic.exchanges.account] >= 0)
            if len(rows):
                table = _table(bucket, rows, match_rows(bucket.traffic, tokens, label))
                counts = {name: len(table[name].combine_chunks().flatten()) for name in _CARRIED}
                one = {"rows": len(rows), **counts}
                yield pa.record_batch(
                    {
                        "bucket": pa.array([int(bucket.places[0] >> PLACE_SHIFT)], pa.int32()),
                        **{name: pa.array([count], pa.int64()) for name, count in one.items()},
                        "data": pa.array([to_stream(table)]),
                    }
                )


_CARRIED: Final = ("shingles", "emitted", "replayed")


def _table(bucket: Bucket, rows: I64, held: Held) -> pa.Table:
    e = bucket.traffic.exchanges
    columns: dict[str, Any] = {"place": bucket.places[rows], "account": bucket.hashes[e.account[rows]]}
    columns["matched"], columns["wrapper"] = (column[rows] for column in held)
    for name in Exchanges.__dataclass_fields__:
        value = getattr(e, name)
        if name in _CARRIED:
            lists = value.take(rows)
            if name == "shingles":
                lists = _emptied(lists, columns["matched"] < WRAPPED)
            columns[name] = pa.LargeListArray.from_arrays(pa.array(lists.offsets), pa.array(lists.values))
        elif not isinstance(value, Ragged) and name != "account":
            columns[name] = value[rows]
    return pa.table(columns)


def _emptied(lists: Ragged, which: Bool) -> Ragged:
    """Return lists of which some hold nothing."""
    sizes = np.where(which, 0, lists.sizes())
    return Ragged(np.append(0, np.cumsum(sizes)), lists.values[np.repeat(~which, lists.sizes())])


def rows_of(table: pa.Table) -> tuple[Rows, I64, Held]:
    """Undo `_table`: rows whose `account` is a hash and whose other lists are empty, their places, and what they hold."""
    flat = {name: table[name].combine_chunks() for name in table.column_names}
    places = flat.pop("place").to_numpy()
    held = flat.pop("matched").to_numpy(), flat.pop("wrapper").to_numpy()
    empty = Ragged(np.zeros(len(places) + 1, np.int64), np.zeros(0, np.uint64))
    lists = {"marks": empty, "wide_in": empty, "wide_out": empty}
    for name in _CARRIED:
        column = flat.pop(name)
        lists[name] = Ragged(column.offsets.to_numpy(), column.values.to_numpy())
    return Rows({name: column.to_numpy() for name, column in flat.items()}, lists), places, held
