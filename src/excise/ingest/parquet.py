"""Decode Parquet in bounded memory: which columns to keep as dictionaries, how many rows at a time, how to cut batches.

A dictionary-encoded column can expand without limit (one long system prompt, a million rows), so such columns are
decoded to dictionaries first and written out in pieces of at most `MAX_BATCH_BYTES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from excise.ingest.bytes_in import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_BATCH_BYTES: Final = 64 << 20
"""A batch of text that stays in the order of the processor's cache and lets a few batches wait in a queue."""

_DICTIONARY_BYTES_A_ROW: Final = 16.0
"""Below this a text column is nearly all dictionary; above, decoding to a dictionary costs more than it saves."""

_PREFETCH_BYTES: Final = 128 << 20
"""Row groups up to this many packed bytes are fetched at once, larger ones in small reads."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Neighbouring row groups that are decoded together: their numbers, first row in the file, and rows."""

    numbers: tuple[int, ...]
    start: int
    rows: int


def metadata(path: Path) -> tuple[Any, Any]:
    """Parquet metadata and Arrow schema. Raises `UnreadableFile` for a file without a sound footer."""
    try:
        with pq.ParquetFile(path) as file:
            return file.metadata, file.schema_arrow
    except (OSError, pa.ArrowException) as error:
        raise unreadable(error, path) from error


class Decoder:
    """One Parquet file, some of its columns. Use as a context; every read error becomes `UnreadableFile`."""

    def __init__(self, path: Path, columns: Sequence[str], batch_rows: int) -> None:
        self._path = path
        self._columns = list(columns)
        self._batch_rows = batch_rows
        self._meta, schema = metadata(path)
        self._leaves = self._leaf_numbers(set(columns))
        text = [f.name for f in schema if f.name in self._leaves and _holds_text(f.type)]
        packed = max(
            (self._sum("total_compressed_size", g) for g in range(self._meta.num_row_groups)), default=0
        )
        try:
            self._file = pq.ParquetFile(
                path,
                read_dictionary=[self._leaf_path(name) for name in text if self._is_dictionary(name)],
                pre_buffer=packed <= _PREFETCH_BYTES,
                buffer_size=0 if packed <= _PREFETCH_BYTES else 1 << 20,
            )
        except (OSError, pa.ArrowException) as error:
            raise unreadable(error, path) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def groups(self) -> Iterator[Groups]:
        """The file's row groups in order; small ones are put together up to a batch."""
        numbers: list[int] = []
        start = rows = 0
        for number in range(self._meta.num_row_groups):
            numbers.append(number)
            rows += self._meta.row_group(number).num_rows
            if rows >= self._batch_rows:
                yield Groups(tuple(numbers), start, rows)
                numbers, start, rows = [], start + rows, 0
        if rows:
            yield Groups(tuple(numbers), start, rows)

    def batches(self, groups: Groups) -> Iterator[tuple[int, Any]]:
        """`position of the first row in the file, batch` for these row groups, as stored (not conformed)."""
        size = sum(self._sum("total_uncompressed_size", number) for number in groups.numbers)
        rows = max(1, min(self._batch_rows, int(MAX_BATCH_BYTES / max(size / max(groups.rows, 1), 1.0))))
        position = groups.start
        try:
            for batch in self._file.iter_batches(
                rows, row_groups=list(groups.numbers), columns=self._columns
            ):
                yield position, batch
                position += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise unreadable(error, self._path) from error

    def _leaf_numbers(self, columns: set[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {name: [] for name in columns}
        for number in range(self._meta.num_columns):
            name = self._meta.schema.column(number).path.split(".", 1)[0]
            if name in columns:
                found[name].append(number)
        return found

    def _leaf_path(self, name: str) -> str:
        path: str = self._meta.schema.column(self._leaves[name][0]).path
        return path

    def _sum(self, what: str, group: int) -> int:
        row_group = self._meta.row_group(group)
        return sum(getattr(row_group.column(n), what) for leaves in self._leaves.values() for n in leaves)

    def _is_dictionary(self, name: str) -> bool:
        for number in range(self._meta.num_row_groups):
            chunk = self._meta.row_group(number).column(self._leaves[name][0])
            first = chunk.dictionary_page_offset
            if not chunk.has_dictionary_page or first is None:
                return False
            mostly = chunk.data_page_offset - first >= chunk.total_compressed_size / 2
            if not mostly and chunk.total_uncompressed_size > _DICTIONARY_BYTES_A_ROW * max(
                chunk.num_values, 1
            ):
                return False
        return True


def pieces(batch: Any, rows: int) -> Iterator[Any]:
    """`batch` in slices of at most `rows` rows and `MAX_BATCH_BYTES` once written out; a longer row stands alone."""
    if batch.num_rows > rows or (batch.num_rows > 1 and _expanded_bytes(batch) > MAX_BATCH_BYTES):
        half = (batch.num_rows + 1) // 2 if batch.num_rows <= rows else rows
        yield from pieces(batch.slice(0, half), rows)
        yield from pieces(batch.slice(half), rows)
    elif batch.num_rows:
        yield batch


def _expanded_bytes(batch: Any) -> int:
    return sum(_column_bytes(column) for column in batch.columns)


def _column_bytes(column: Any) -> int:
    if _is_list(column.type) and pt.is_dictionary(column.type.value_type):
        return _column_bytes(column.flatten()) + 4 * len(column)
    if not pt.is_dictionary(column.type):
        return int(column.nbytes)
    if not _is_plain_text(column.type.value_type):
        return 8 * len(column)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0) + 4 * len(column)


def _is_plain_text(found: Any) -> bool:
    text = pt.is_string(found) or pt.is_large_string(found)
    return bool(text or pt.is_binary(found) or pt.is_large_binary(found))


def _is_list(found: Any) -> bool:
    return bool(pt.is_list(found) or pt.is_large_list(found))


def _holds_text(found: Any) -> bool:
    return _is_plain_text(found.value_type if _is_list(found) else found)
