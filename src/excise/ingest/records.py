"""Bytes to records: NDJSON, a JSON array, JSON objects one after the other, CSV, and rows of a foreign Parquet file.

A bad record goes into the ledger and the stream goes on. `Stream.row` is where it stands.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from excise.errors import BadRow, SchemaMismatch
from excise.ingest.bytes_in import (
    CHUNK,
    MAX_RECORD_BYTES,
    ByteSource,
    Counted,
    Kind,
    lines,
    opened,
    unreadable,
)
from excise.ingest.decode import decode, has_json_line, is_json
from excise.ingest.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from excise.ingest.reader import Record

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
_BETWEEN: Final = b" \t\r\n,[]\x1e"
_PARQUET_ROWS: Final = 256


class Stream:
    """The records of one file, in order. `row` counts from 1: the line of NDJSON and CSV, else the record."""

    def __init__(self, path: Path, kind: Kind, ledger: Ledger) -> None:
        self.path = path
        self.kind = kind
        self.row = 0
        self.bytes = 0
        self._ledger = ledger

    def records(self) -> Iterator[Record]:
        """Each record that could be decoded. Raises `UnreadableFile` for a broken stream."""
        if self.kind.shape == "parquet":
            yield from self._parquet()
            return
        with opened(self.path, self.kind.packed) as raw:
            source = Counted(raw)
            if self.kind.shape == "csv":
                yield from self._csv(source)
            elif is_line_based(source.head):
                yield from self._json_lines(source)
            else:
                yield from self._json_objects(source)

    def bad(self, error: BadRow) -> None:
        """Count a bad row where the stream stands."""
        self._ledger.reject(str(self.path), self.row, error)

    def _decoded(self, raw: bytes) -> Iterator[Record]:
        try:
            record, mended = decode(raw)
        except BadRow as error:
            self.bad(error)
            return
        if mended:
            self._ledger.repair("invalid-utf8", 1)
        yield record

    def _json_lines(self, source: Counted) -> Iterator[Record]:
        for line in lines(source):
            self.row += 1
            self.bytes = source.bytes
            if line is None:
                self.bad(BadRow("too-long", f"a line above {MAX_RECORD_BYTES} bytes"))
            elif line and not line.isspace():
                yield from self._decoded(line)

    def _json_objects(self, source: Counted) -> Iterator[Record]:
        for part in json_objects(source):
            self.row += 1
            self.bytes = source.bytes
            if isinstance(part, BadRow):
                self.bad(part)
            else:
                yield from self._decoded(part)

    def _csv(self, source: Counted) -> Iterator[Record]:
        csv.field_size_limit(MAX_RECORD_BYTES)
        rows = csv.reader(self._csv_lines(source), strict=True)
        try:
            header = [name.strip() for name in next(rows, [])]
        except csv.Error as error:
            raise SchemaMismatch(
                f"is no CSV: {error}", subject=str(self.path), hint="docs/formats.md lists what is read"
            ) from error
        while True:
            try:
                values = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                self.row = rows.line_num
                self.bad(BadRow("bad-csv", str(error)))
                continue
            self.row = rows.line_num
            self.bytes = source.bytes
            if len(values) == len(header):
                yield {name: value for name, value in zip(header, values, strict=True) if value != ""}
            elif values:
                self.bad(BadRow("bad-csv", f"{len(values)} fields where the header has {len(header)}"))

    def _csv_lines(self, source: Counted) -> Iterator[str]:
        for line in lines(source):
            if line is None:
                self.bad(BadRow("too-long", f"a line above {MAX_RECORD_BYTES} bytes"))
                continue
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text = line.decode("utf-8", "replace")
                self._ledger.repair("invalid-utf8", 1)
            yield text + "\n"

    def _parquet(self) -> Iterator[Record]:
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(_PARQUET_ROWS):
                    self.bytes += batch.nbytes
                    yield from self._parquet_rows(batch)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(error, self.path) from error

    def _parquet_rows(self, batch: Any) -> Iterator[Record]:
        for position in range(batch.num_rows):
            self.row += 1
            try:
                record = batch.slice(position, 1).to_pylist()[0]
            except (ValueError, OverflowError) as error:
                self.bad(BadRow("bad-value", str(error)))
                continue
            yield {name: value for name, value in record.items() if value is not None}


def is_line_based(head: bytes) -> bool:
    """Whether JSON text is one record a line, judged by its start (without a byte order mark)."""
    text = head.lstrip()
    if text[:1] == b"[":
        first, _, rest = text.partition(b"\n")
        return is_json(first) and has_json_line(rest)
    return b"\n" not in text or has_json_line(text)


def json_objects(source: ByteSource) -> Iterator[bytes | BadRow]:  # noqa: C901  one state machine
    """Split a JSON array, or objects one after the other, into objects. What lies between is bad, but for commas.

    Linear in the input: a string that is cut by the end of the buffer is met again with twice the buffer.
    """
    buffer = b""
    at = begin = depth = floor = 0
    first = True
    inside = ended = False
    while True:
        token = _TOKEN.search(buffer, at)
        if token is None or (token[0] == b'"' and not ended):
            if ended:
                break
            if len(buffer) - begin > MAX_RECORD_BYTES:
                yield BadRow(
                    "too-long", f"a record above {MAX_RECORD_BYTES} bytes; the rest of the file is skipped"
                )
                return
            more = source.read(max(CHUNK, len(buffer) - begin))
            at = (token.start() if token else len(buffer)) - begin
            buffer, begin, ended = buffer[begin:] + more, 0, not more
            continue
        at = token.end()
        mark = token[0]
        if mark == b"{" and depth == floor and not inside:
            if buffer[begin : token.start()].strip(_BETWEEN):
                yield BadRow("bad-json", "text between two records")
            begin, inside = token.start(), True
        if mark in (b"{", b"["):
            floor = 1 if first and mark == b"[" else floor
            depth += 1
        elif mark in (b"}", b"]"):
            depth = max(depth - 1, 0)
        first = False
        if inside and depth == floor:
            yield buffer[begin:at]
            begin, inside = at, False
    if inside or buffer[begin:].strip(_BETWEEN):
        yield BadRow("bad-json", "the last record is cut off" if inside else "text after the last record")


def peek(path: Path, kind: Kind, count: int) -> list[Record]:
    """The first `count` records that can be decoded; empty for a file without any."""
    found: list[Record] = []
    stream = Stream(path, kind, Ledger())
    for record in stream.records():
        found.append(record)
        if len(found) == count:
            break
    return found
