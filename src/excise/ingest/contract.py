"""The contract's own columns as a log format, so that NDJSON, CSV and JSON of them go the way of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from excise.errors import BadRow, SchemaMismatch, UsageError
from excise.ingest.formats import READERS
from excise.ingest.reader import Reader, Record, Row
from excise.model.schema import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa


def _matches(record: Record) -> bool:
    return "exchange_id" in record or ("account_id" in record and "started_at" in record)


def _convert(records: Iterable[Record]) -> Iterator[Row | BadRow]:
    for record in records:
        yield dict(record)


CONTRACT: Final = Reader(
    id="contract",
    title="Excise's own columns",
    carries=tuple(EXCHANGES.names),
    lacks="nothing that the file's writer has",
    matches=_matches,
    convert=_convert,
)


def reader_named(name: str) -> Reader:
    """The reader with this id. Raises `UsageError` for an unknown one."""
    for reader in (CONTRACT, *READERS):
        if reader.id == name:
            return reader
    known = ", ".join(reader.id for reader in (CONTRACT, *READERS))
    raise UsageError(f"unknown format {name!r}", subject="--format", hint=f"known are {known}")


def detect(head: Iterable[Record], subject: str) -> Reader:
    """The first reader that knows one of the first records. Raises `SchemaMismatch` where none does."""
    keys: list[str] = []
    for record in head:
        for reader in (CONTRACT, *READERS):
            if reader.matches(record):
                return reader
        keys = keys or [str(key)[:40] for key in list(record)[:12]]
    seen = f"its first record has {', '.join(map(ascii, keys))}" if keys else "no record of it can be decoded"
    raise SchemaMismatch(
        f"is in no known log format: {seen}",
        subject=subject,
        hint="name it with --format, or export the contract's columns; `docs/formats.md` lists both",
    )


def has_contract_columns(schema: pa.Schema) -> bool:
    """Whether a Parquet file is meant to be in the contract's columns, rather than an export of another format."""
    return _matches(dict.fromkeys(schema.names))
