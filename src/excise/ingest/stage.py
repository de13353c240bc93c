"""One input to checked Parquet: contract Parquet is checked where it lies, everything else is converted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from excise.errors import BadRow, OutputError
from excise.ingest.check import IDS, faults
from excise.ingest.conform import check_schema
from excise.ingest.footer import read_footer
from excise.ingest.ledger import MAX_SAMPLES, Ledger
from excise.ingest.parquet import MAX_BATCH_BYTES, metadata
from excise.ingest.traffic import BATCH_ROWS, ExchangeFile, Period, Repairs, finish, read_file
from excise.ingest.typed import typed_batch
from excise.model.schema import EXCHANGES, EXCHANGES_REQUIRED

if TYPE_CHECKING:
    from pathlib import Path

    from excise.ingest.reader import Reader, Row
    from excise.ingest.records import Stream

Transform = Callable[[pa.RecordBatch], pa.RecordBatch]
"""What happens to each checked batch of exchanges on its way into staging: facts joined, names replaced."""

_CHECKED: Final = tuple(dict.fromkeys((*EXCHANGES_REQUIRED, *IDS)))
_PLAIN: Final = frozenset(
    {"exchange_id", "started_at", "parent_exchange_id", "user_text", "output_text", "reasoning_text"}
)
"""Nearly every value differs: a dictionary of them is built in vain."""


class Where(Protocol):
    """A stream of rows that knows where it stands: `row` from 1, and the source's `bytes` that were read."""

    row: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A checked file, the rows that were seen in it (bad ones included), and the time they span."""

    file: ExchangeFile
    seen: int
    period: Period | None


class StagedWriter:
    """Writes batches of one schema to a zstd Parquet file. A full disk and the like become `OutputError`."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        dictionary = [
            field.name for field in schema if field.name not in _PLAIN and pa.types.is_string(field.type)
        ]
        with _writing(path):
            self._writer = pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=dictionary)

    def write(self, batch: Any) -> None:
        """Append `batch` as one row group."""
        with _writing(self.path):
            self._writer.write_batch(batch, row_group_size=max(batch.num_rows, 1))
        self.rows += batch.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with _writing(self.path):
            self._writer.close()


class _writing:  # noqa: N801  a context that reads like a word
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise unwritable(error, self._path) from error


def unwritable(error: OSError, path: Path) -> OutputError:
    """An error of the operating system while writing, as the user sees it."""
    what = error.strerror or str(error).splitlines()[0][:200]
    return OutputError(
        f"cannot be written: {what}", subject=str(path), hint="free space, or name another folder"
    )


def check_parquet(path: Path, ledger: Ledger) -> Staged:
    """Check the rows of contract Parquet by its identifiers, times and models, without reading its texts."""
    meta, schema = metadata(path)
    check_schema(schema, EXCHANGES, EXCHANGES_REQUIRED, str(path))
    footer = read_footer(path)
    columns = tuple(name for name in EXCHANGES.names if name in schema.names)
    whole = ExchangeFile(path, str(path), columns, meta.num_rows, np.empty(0, np.int64), footer)
    checked = pa.schema(
        [EXCHANGES.field(name) for name in EXCHANGES.names if name in _CHECKED and name in columns]
    )
    bad: list[Any] = []
    spans: list[Period | None] = []
    start = 0
    for batch in read_file(whole, checked, 8 * BATCH_ROWS, None, None, dictionaries=True):
        keep = _passed(batch, range(start + 1, start + batch.num_rows + 1), str(path), ledger)
        bad.append(np.flatnonzero(~keep) + start)
        spans.append(_span(batch if keep.all() else batch.filter(pa.array(keep))))
        start += batch.num_rows
    positions = np.concatenate(bad).astype(np.int64) if bad else whole.bad
    file = ExchangeFile(path, str(path), columns, meta.num_rows, positions, footer)
    return Staged(file, meta.num_rows, joined(spans))


def rewrite(staged: Staged, target: Path, transform: Transform, ledger: Ledger) -> Staged:
    """Copy checked contract Parquet into staging through `transform`."""
    repairs = Repairs()
    with StagedWriter(target, EXCHANGES) as writer:
        for batch in read_file(staged.file, EXCHANGES, BATCH_ROWS, None, repairs):
            writer.write(transform(batch))
    for how, count in repairs.values.items():
        ledger.repair(how, count)
    return Staged(_whole(target, staged.file.source, writer.rows), staged.seen, staged.period)


def convert(
    stream: Stream, reader: Reader, target: Path, transform: Transform | None, ledger: Ledger
) -> Staged:
    """Convert one file of another kind into staging."""
    return write_rows(reader.convert(stream.records()), stream, str(stream.path), target, transform, ledger)


def write_rows(
    items: Iterable[Row | BadRow],
    where: Where,
    source: str,
    target: Path,
    transform: Transform | None,
    ledger: Ledger,
) -> Staged:
    """Type, check, transform and write rows as they come. Memory: one batch, at most about 64 MB of input."""
    before = ledger.rows
    spans: list[Period | None] = []
    with StagedWriter(target, EXCHANGES) as writer:
        for rows, numbers in _bunches(items, where, source, ledger):
            batch = _checked(rows, numbers, source, ledger)
            if batch.num_rows:
                spans.append(_span(batch))
                writer.write(transform(batch) if transform else batch)
    seen = writer.rows + ledger.rows - before
    return Staged(_whole(target, source, writer.rows), seen, joined(spans))


def joined(spans: Iterable[Period | None]) -> Period | None:
    """The period from the first start to the last end."""
    known = [span for span in spans if span is not None]
    return Period(min(span.first for span in known), max(span.last for span in known)) if known else None


def _bunches(
    items: Iterable[Row | BadRow], where: Where, source: str, ledger: Ledger
) -> Iterator[tuple[list[Row], list[int]]]:
    rows: list[Row] = []
    numbers: list[int] = []
    read = 0
    for item in items:
        if isinstance(item, BadRow):
            ledger.reject(source, where.row, item)
            continue
        rows.append(item)
        numbers.append(where.row)
        if len(rows) >= BATCH_ROWS or where.bytes - read >= MAX_BATCH_BYTES:
            yield rows, numbers
            rows, numbers, read = [], [], where.bytes
    if rows:
        yield rows, numbers


def _checked(rows: list[Row], numbers: list[int], source: str, ledger: Ledger) -> Any:
    typed, kept = typed_batch(rows, numbers, EXCHANGES, source, ledger)
    repairs = Repairs()
    batch = finish(typed, EXCHANGES, repairs)
    for how, count in repairs.values.items():
        ledger.repair(how, count)
    keep = _passed(batch, kept, source, ledger)
    return batch if keep.all() else batch.filter(pa.array(keep))


def _passed(batch: Any, numbers: range | list[int], source: str, ledger: Ledger) -> Any:
    keep = np.ones(batch.num_rows, dtype=np.bool_)
    for reason, column, mask in faults(batch, EXCHANGES_REQUIRED):
        fresh = np.flatnonzero(mask & keep)
        for position in fresh[:MAX_SAMPLES]:
            ledger.reject(source, numbers[int(position)], BadRow(reason, column))
        if len(fresh) > MAX_SAMPLES:
            ledger.count(reason, len(fresh) - MAX_SAMPLES)
        keep &= ~mask
    return keep


def _span(batch: Any) -> Period | None:
    if not batch.num_rows:
        return None
    ends = pc.min_max(batch.column("started_at")).as_py()
    return Period(ends["min"], ends["max"])


def _whole(path: Path, source: str, rows: int) -> ExchangeFile:
    return ExchangeFile(path, source, tuple(EXCHANGES.names), rows, np.empty(0, np.int64), read_footer(path))
