"""Decode Parquet in bounded memory: which columns to keep as dictionaries, how many rows at a time, how to cut batches.

A dictionary-encoded column can expand without limit (one long system prompt, a million rows), so such columns are
decoded to dictionaries first and written out in pieces of at most `MAX_BATCH_BYTES`. Items of lists cannot be: the
library does not read nested dictionaries across row groups.
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

    from excise.ingest.footer import Chunk, RowGroup

MAX_BATCH_BYTES: Final = 64 << 20
"""A batch of text that stays in the order of the processor's cache and lets a few batches wait in a queue."""

_DICTIONARY_BYTES_A_ROW: Final = 16.0
"""Below this a text column is nearly all dictionary; above, decoding to a dictionary costs more than it saves."""

_REPEATS: Final = 8
"""Text that packs to less than this part is long and comes again and again, beyond what a writer's dictionary holds (1 MB)."""

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
            found = file.metadata, file.schema_arrow
            leaves(found[0])
            str(found[1])
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise unreadable(error, path) from error
    return found


def leaves(meta: Any) -> list[str]:
    """For each stored column, the name of the table's column that it belongs to."""
    return [meta.schema.column(number).path.split(".", 1)[0] for number in range(meta.num_columns)]


class Decoder:
    """One Parquet file, some of its columns. Use as a context; every read error becomes `UnreadableFile`."""

    def __init__(
        self, path: Path, footer: tuple[RowGroup, ...], columns: Sequence[str], batch_rows: int
    ) -> None:
        self._path = path
        self._footer = footer
        self._columns = list(columns)
        self._batch_rows = batch_rows
        meta, schema = metadata(path)
        names = leaves(meta)
        self._leaves = {name: [n for n, leaf in enumerate(names) if leaf == name] for name in columns}
        text = [f.name for f in schema if f.name in self._leaves and _is_plain_text(f.type)]
        packed = max((sum(chunk.packed for chunk in self._chunks(group)) for group in footer), default=0)
        try:
            self._file = pq.ParquetFile(
                path,
                read_dictionary=[name for name in text if self._is_dictionary(name)],
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
        for number, group in enumerate(self._footer):
            numbers.append(number)
            rows += group.rows
            if rows >= self._batch_rows:
                yield Groups(tuple(numbers), start, rows)
                numbers, start, rows = [], start + rows, 0
        if rows:
            yield Groups(tuple(numbers), start, rows)

    def batches(self, groups: Groups) -> Iterator[tuple[int, Any]]:
        """`position of the first row in the file, batch` for these row groups, as stored (not conformed)."""
        size = sum(
            chunk.unpacked for number in groups.numbers for chunk in self._chunks(self._footer[number])
        )
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

    def _chunks(self, group: RowGroup) -> Iterator[Chunk]:
        return (group.chunks[leaf] for numbers in self._leaves.values() for leaf in numbers)

    def _is_dictionary(self, name: str) -> bool:
        leaf = self._leaves[name][0]
        return bool(self._footer) and all(_is_dictionary(group.chunks[leaf]) for group in self._footer)


def _is_dictionary(chunk: Chunk) -> bool:
    if not chunk.dictionary:
        return False
    mostly = chunk.dictionary >= chunk.packed / 2 or chunk.unpacked >= _REPEATS * chunk.packed
    return mostly or chunk.unpacked <= _DICTIONARY_BYTES_A_ROW * max(chunk.values, 1)


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
    if not pt.is_dictionary(column.type):
        return int(column.nbytes)
    if not _is_plain_text(column.type.value_type):
        return 8 * len(column)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0) + 4 * len(column)


def _is_plain_text(found: Any) -> bool:
    text = pt.is_string(found) or pt.is_large_string(found)
    return bool(text or pt.is_binary(found) or pt.is_large_binary(found))
