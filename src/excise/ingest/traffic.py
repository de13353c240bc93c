"""Traffic that was opened: checked files of exchanges, read again and again in the same order, and the side tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
from numpy.typing import NDArray

from excise.engine.embedded import map_ordered
from excise.ingest.bytes_in import unreadable
from excise.ingest.check import mend
from excise.ingest.conform import conform
from excise.ingest.ledger import Rejected
from excise.ingest.parquet import Decoder, pieces
from excise.ingest.prefetch import prefetched
from excise.model.schema import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from excise.ingest.footer import RowGroup

BATCH_ROWS: Final = 32_768
_AHEAD: Final = 2
Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ExchangeFile:
    """A Parquet file with contract columns. `bad` are positions (sorted) of its `stored_rows` that are left out."""

    path: Path
    source: str
    columns: tuple[str, ...]
    stored_rows: int
    bad: Positions
    footer: tuple[RowGroup, ...]

    @property
    def rows(self) -> int:
        """Rows that count."""
        return self.stored_rows - len(self.bad)

    def stored(self, rows: Positions) -> Positions:
        """Positions in the file of the `rows` that count, given by their number among those."""
        shifted = self.bad - np.arange(len(self.bad), dtype=np.int64)
        return rows + np.searchsorted(shifted, rows, side="right")


@dataclass(frozen=True, slots=True)
class Input:
    """One file that was read. `kind`: exchanges, accounts, events, asn, edge. `sha256` is empty for a database."""

    path: str
    kind: str
    format: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """Contract columns that are there (`present`), and non-null values in them where the files' statistics say so.

    For the two list columns it is the number of list items.
    """

    present: tuple[str, ...]
    non_null: dict[str, int]


@dataclass(frozen=True, slots=True)
class Period:
    """First and last request among the rows that count."""

    first: datetime
    last: datetime


@dataclass(slots=True)
class Repairs:
    """Values that a pass mended, by how (`invalid-utf8`, `negative-count`); owned by the one who makes the pass."""

    values: dict[str, int] = field(default_factory=dict)

    def add(self, how: str, values: int) -> None:
        """Count `values` more."""
        self.values[how] = self.values.get(how, 0) + values


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """What a scan sees. A row number (0 to `rows` - 1) names the same exchange in every pass.

    Rows that failed a check are in `rejected` and in no batch. `files` stand in a fixed order.
    """

    files: tuple[ExchangeFile, ...]
    accounts: Any = None
    events: Any = None
    asn: Any = None
    inputs: tuple[Input, ...] = ()
    rejected: Rejected = field(default_factory=Rejected)
    columns: Coverage = field(default_factory=lambda: Coverage((), {}))
    period: Period | None = None
    threads: int = 1

    @property
    def rows(self) -> int:
        """Exchanges that count."""
        return sum(file.rows for file in self.files)

    def batches(
        self,
        columns: Sequence[str] | None = None,
        batch_rows: int = BATCH_ROWS,
        only: Positions | None = None,
        repairs: Repairs | None = None,
        *,
        dictionaries: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of the asked contract columns, in contract order and types; absent columns are null.

        At most `batch_rows` rows and about 64 MB each (a longer row stands alone). `only`: sorted row numbers; row
        groups without one of them are not decoded. Decoding runs in a thread of its own, two batches ahead.
        With `dictionaries`, text that is stored as a dictionary stays one: a long prompt of many rows stands once.

        Raises `ValueError` for a name that is no contract column, `UnreadableFile` for a damaged file.
        """
        schema = subschema(columns)
        if only is not None:
            only = sorted_rows(only, self.rows)
        decoded = self._decoded(schema, batch_rows, only, repairs, dictionaries=dictionaries)
        return prefetched(decoded, _AHEAD)

    def take(self, rows: Positions, columns: Sequence[str] | None = None) -> pa.Table:
        """The exchanges with these (sorted, distinct) row numbers, in that order; `threads` files are read at once."""
        schema, rows = subschema(columns), sorted_rows(rows, self.rows)

        def read(part: tuple[ExchangeFile, Positions]) -> list[pa.RecordBatch]:
            return list(read_file(part[0], schema, BATCH_ROWS, part[1], None))

        taken = map_ordered(read, self._places(rows), threads=self.threads)
        return pa.Table.from_batches([batch for batches in taken for batch in batches], schema=schema)

    def _places(self, rows: Positions) -> Iterator[tuple[ExchangeFile, Positions]]:
        """Files that hold some of these rows (sorted), and where in them."""
        start = 0
        for file in self.files:
            first, last = np.searchsorted(rows, [start, start + file.rows])
            if last > first:
                yield file, file.stored(rows[first:last] - start)
            start += file.rows

    def _decoded(
        self,
        schema: pa.Schema,
        batch_rows: int,
        only: Positions | None,
        repairs: Repairs | None,
        *,
        dictionaries: bool,
    ) -> Generator[pa.RecordBatch, None, None]:
        parts = ((file, None) for file in self.files) if only is None else self._places(only)
        for file, wanted in parts:
            yield from read_file(file, schema, batch_rows, wanted, repairs, dictionaries=dictionaries)


def subschema(columns: Sequence[str] | None) -> pa.Schema:
    """The contract's exchange schema, narrowed to `columns`; `ValueError` for a name that is none of its."""
    if columns is None:
        return EXCHANGES
    unknown = sorted(set(columns) - set(EXCHANGES.names))
    if unknown:
        raise ValueError(f"no contract column: {', '.join(unknown)}")
    return pa.schema([column for column in EXCHANGES if column.name in set(columns)])


def sorted_rows(rows: Positions, total: int) -> Positions:
    """`rows` as int64; `ValueError` unless they are sorted, distinct and from 0 to `total` - 1."""
    numbers = np.asarray(rows, dtype=np.int64)
    if len(numbers) and (numbers[0] < 0 or numbers[-1] >= total or (np.diff(numbers) <= 0).any()):
        raise ValueError("row numbers must be sorted, distinct and in range")
    return numbers


def read_file(
    file: ExchangeFile,
    schema: pa.Schema,
    batch_rows: int,
    wanted: Positions | None,
    repairs: Repairs | None,
    *,
    dictionaries: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Conformed batches of one file: all rows that count, or those at the `wanted` positions in the file.

    With `dictionaries`, text that is stored as a dictionary stays one.
    """
    present = [name for name in schema.names if name in file.columns]
    probe = present or ["exchange_id"]
    try:
        with Decoder(file.path, file.footer, probe, batch_rows) as decoder:
            for groups in decoder.groups():
                if wanted is not None and not len(_within(wanted, groups.start, groups.rows)):
                    continue
                for position, batch in decoder.batches(groups):
                    kept = _kept(batch, position, file.bad, wanted)
                    for piece in pieces(kept, batch_rows):
                        yield finish(piece, schema, repairs, dictionaries=dictionaries)
    except pa.ArrowException as error:
        raise unreadable(error, file.path) from error


def finish(
    batch: Any, schema: pa.Schema, repairs: Repairs | None, *, dictionaries: bool = False
) -> pa.RecordBatch:
    """A decoded batch in the contract's types, mended; columns that it lacks are null."""
    names = set(batch.schema.names)
    columns = [
        _finished(batch.column(field.name), field, repairs, dictionaries=dictionaries)
        if field.name in names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


def _finished(array: Any, field: pa.Field, repairs: Repairs | None, *, dictionaries: bool) -> Any:
    if dictionaries and pt.is_dictionary(array.type) and pt.is_string(field.type):
        values = _finished(array.dictionary, field, repairs, dictionaries=False)
        return pa.DictionaryArray.from_arrays(array.indices, values)
    array, how, count = mend(conform(array, field.type), field.name)
    if count and repairs is not None:
        repairs.add(how, count)
    return array


def _within(positions: Positions, start: int, rows: int) -> Positions:
    first, last = np.searchsorted(positions, [start, start + rows])
    return positions[first:last] - start


def _kept(batch: Any, start: int, bad: Positions, wanted: Positions | None) -> Any:
    if wanted is not None:
        here = _within(wanted, start, batch.num_rows)
        return batch if len(here) == batch.num_rows else batch.take(pa.array(here))
    here = _within(bad, start, batch.num_rows)
    if not len(here):
        return batch
    keep = np.ones(batch.num_rows, dtype=np.bool_)
    keep[here] = False
    return batch.filter(pa.array(keep))
