"""Write opened traffic as a folder of the contract's Parquet, whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from excise.errors import OutputError
from excise.ingest.parquet import MAX_BATCH_BYTES
from excise.ingest.stage import StagedWriter, unwritable
from excise.model.schema import ACCOUNTS, EVENTS, EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from excise.ingest.traffic import Traffic

_PART_BYTES: Final = 1 << 30
_GROUP_ROWS: Final = 131_072
"""Rows of a row group: large enough to pack well, small enough that `take` decodes little."""


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` that takes its name at the end, and is removed where something went wrong.

    Raises `OutputError` where `out` exists and is not an empty folder, or nothing can be written there.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise OutputError("exists already", subject=str(out), hint="name a new or an empty folder")
    partial = out.absolute().parent / f".{out.name}.{secrets.token_hex(4)}.partial"
    try:  # the name stands before the folder does, so that a signal in between leaves nothing
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
        yield partial
        partial.rename(out.absolute())
    except OSError as error:
        raise unwritable(error, out) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_tables(traffic: Traffic, folder: Path) -> None:
    """Write `exchanges/part-*.parquet`, `accounts.parquet`, `events.parquet` and `asn_table.csv` into `folder`.

    Raises `OutputError`, e.g. on a full disk. Memory: one row group, about 128 MB.
    """
    parts = folder / "exchanges"
    try:
        parts.mkdir()
        _write_exchanges(traffic, parts)
        for table, schema, name in (
            (traffic.accounts, ACCOUNTS, "accounts"),
            (traffic.events, EVENTS, "events"),
        ):
            if table is not None:
                with StagedWriter(folder / f"{name}.parquet", schema) as writer:
                    writer.write(_one_batch(table))
        if traffic.asn is not None:
            pa_csv.write_csv(traffic.asn, folder / "asn_table.csv")
    except OSError as error:
        raise unwritable(error, folder) from error


def _write_exchanges(traffic: Traffic, parts: Path) -> None:
    groups = _groups(traffic)
    number, more = 0, True
    while more:
        with StagedWriter(parts / f"part-{number:04d}.parquet", EXCHANGES) as writer:
            size = 0
            for group in groups:
                writer.write(group)
                size += group.nbytes
                if size >= _PART_BYTES:
                    break
            else:
                more = False
        number += 1


def _groups(traffic: Traffic) -> Iterator[Any]:
    held: list[Any] = []
    rows = size = 0
    for batch in traffic.batches():
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= MAX_BATCH_BYTES:
            yield _one_batch(pa.Table.from_batches(held))
            held, rows, size = [], 0, 0
    if held:
        yield _one_batch(pa.Table.from_batches(held))


def _one_batch(table: Any) -> Any:
    columns = [
        pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
        for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
