"""The side tables (accounts, events, networks, edge facts): read whole, typed and checked like exchanges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from excise.errors import BadRow, SchemaMismatch
from excise.ingest.bytes_in import Kind, sniff, unreadable
from excise.ingest.check import faults
from excise.ingest.conform import check_schema
from excise.ingest.ledger import Ledger, enforce_limit
from excise.ingest.records import Stream
from excise.ingest.traffic import Repairs, finish
from excise.ingest.typed import typed_batch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BATCH: Final = 32_768


def read_side(
    files: Sequence[Path], schema: pa.Schema, required: Sequence[str], ledger: Ledger, limit: float
) -> tuple[pa.Table, list[tuple[Path, Kind, int]]]:
    """The table that the files make together, and each file's kind and rows seen. Held in memory.

    Raises `SchemaMismatch`, `UnreadableFile`, and `TooManyBadRows` above `limit` (a share), though never for one row.
    """
    batches: list[Any] = []
    seen: list[tuple[Path, Kind, int]] = []
    for path in files:
        kind, before, good = sniff(path), ledger.rows, 0
        for batch, numbers in _loose(path, kind, schema, required, ledger):
            kept = _kept(batch, numbers, schema, str(path), required, ledger)
            good += kept.num_rows
            batches.append(kept)
        bad = ledger.rows - before
        if bad > 1:
            enforce_limit(bad, good + bad, limit, ledger.close(), str(path))
        seen.append((path, kind, good + bad))
    return pa.Table.from_batches(batches, schema=schema), seen


def _loose(path: Path, kind: Kind, schema: pa.Schema, required: Sequence[str], ledger: Ledger) -> Any:
    if kind.shape == "parquet":
        yield from _parquet(path, schema, required)
        return
    rows: list[Any] = []
    numbers: list[int] = []
    stream = Stream(path, kind, ledger)
    known: set[str] = set()
    for record in stream.records():
        known.update(record)
        rows.append({name: record[name] for name in schema.names if name in record})
        numbers.append(stream.row)
        if len(rows) >= _BATCH:
            yield typed_batch(rows, numbers, schema, str(path), ledger)
            rows, numbers = [], []
    missing = [name for name in required if known and name not in known]
    if missing:
        raise SchemaMismatch(
            f"no column {', '.join(missing)}",
            subject=str(path),
            hint=f"known columns are {', '.join(schema.names)}",
        )
    if rows:
        yield typed_batch(rows, numbers, schema, str(path), ledger)


def _parquet(path: Path, schema: pa.Schema, required: Sequence[str]) -> Any:
    try:
        with pq.ParquetFile(path) as file:
            check_schema(file.schema_arrow, schema, required, str(path))
            columns = [name for name in schema.names if name in file.schema_arrow.names]
            start = 1
            for batch in file.iter_batches(_BATCH, columns=columns):
                yield batch, list(range(start, start + batch.num_rows))
                start += batch.num_rows
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise unreadable(error, path) from error


def _kept(
    batch: Any, numbers: list[int], schema: pa.Schema, source: str, required: Sequence[str], ledger: Ledger
) -> Any:
    repairs = Repairs()
    whole = finish(batch, schema, repairs)
    for how, count in repairs.values.items():
        ledger.repair(how, count)
    keep = np.ones(whole.num_rows, dtype=np.bool_)
    for reason, column, mask in faults(whole, required):
        for position in np.flatnonzero(mask & keep):
            ledger.reject(source, numbers[int(position)], BadRow(reason, column))
        keep &= ~mask
    return whole if keep.all() else whole.filter(pa.array(keep))
