"""One segment of a state: the sketches of the files that one scan read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from excise.engine.store import Files
from excise.ingest.ledger import Rejected
from excise.ingest.traffic import Input
from excise.judge.wrapper import MOST_CHARACTERS
from excise.model.ragged import Ragged
from excise.model.tables import I64, U64, Systems
from excise.sketch.gathering import MOST_BITS, Gathering
from excise.state.disk import reading
from excise.state.rows import write_rows

SEGMENT_SHIFT: Final = 40
"""Bits for the rows of one segment."""
_TEXTS: Final = ("system_text", "user_text")


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that was read: the same path, size and time of change mean the same content."""

    path: str
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class Meta:
    """What a segment says of itself. `first`, `latest`: times of its rows in microseconds; `values`: of each list."""

    files: tuple[Seen, ...]
    inputs: tuple[Input, ...]
    rejected: Rejected
    rows: int
    latest: int
    values: dict[str, int]


class _Sealed(msgspec.Struct):
    """`meta.json`: the meta and the checksum of its bytes."""

    crc32: int
    meta: msgspec.Raw


def write_meta(folder: Path, meta: Meta) -> None:
    """Write `meta.json`."""
    body = msgspec.json.encode(meta)
    (folder / "meta.json").write_bytes(msgspec.json.encode(_Sealed(crc32(body), msgspec.Raw(body))))


def read_meta(folder: Path) -> Meta:
    """Read `meta.json`. Raises UnreadableFile where it is damaged."""
    with reading(folder):
        sealed = msgspec.json.decode((folder / "meta.json").read_bytes(), type=_Sealed)
        if crc32(sealed.meta) != sealed.crc32:
            raise ValueError("meta.json was changed")
        return msgspec.json.decode(sealed.meta, type=Meta)


@dataclass(slots=True)
class Segment:
    """A segment that is being written; `gathered` collects its pieces."""

    folder: Path
    number: int
    keep_text: bool
    gathered: Gathering = field(init=False)
    _requests: pq.ParquetWriter = field(init=False)

    def __post_init__(self) -> None:
        self.gathered = Gathering(MOST_BITS, Files(self.folder))
        fields = [
            pa.field(name, pa.string()) for name in ("exchange_id", *(_TEXTS if self.keep_text else ()))
        ]
        self._requests = pq.ParquetWriter(
            self.folder / "requests.parquet",
            pa.schema(fields),
            compression="zstd",
            use_dictionary=["system_text"],
            write_page_checksum=True,
        )

    def note(self, batch: pa.RecordBatch) -> None:
        """Keep the ids and the beginnings of the requests of a batch; batches come in order."""
        columns = []
        for name in self._requests.schema.names:
            text = batch.column(name)
            text = text.dictionary_decode() if pa.types.is_dictionary(text.type) else text
            columns.append(
                text if name == "exchange_id" else pc.utf8_slice_codeunits(text, 0, MOST_CHARACTERS)
            )
        self._requests.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._requests.schema))

    def close(self) -> None:
        """Write everything but `meta.json`."""
        self._requests.close()
        write_rows(self.folder, self.gathered.filled, 1 << MOST_BITS)
        hashes, names = self.gathered.known()
        pq.write_table(
            pa.table({"hash": hashes, "name": names}),
            self.folder / "accounts.parquet",
            write_page_checksum=True,
        )
        s = self.gathered.systems()
        np.savez(
            self.folder / "systems.npz", raw=s.raw, doc=s.doc, tokens=s.tokens, cues=s.cues,
            shingle_offsets=s.shingles.offsets, shingles=s.shingles.values, mark_offsets=s.marks.offsets, marks=s.marks.values,
        )  # fmt: skip


def read_known(folder: Path) -> tuple[U64, pa.Array, Systems]:
    """Return hashes and names of the accounts, and the system prompts, of a segment. Raises UnreadableFile."""
    with reading(folder):
        accounts = pq.read_table(folder / "accounts.parquet", page_checksum_verification=True)
        # opened here: numpy leaves a file open whose archive it cannot read
        with (folder / "systems.npz").open("rb") as file, np.load(file, allow_pickle=False) as parts:
            systems = _systems(parts)
        return accounts["hash"].to_numpy(), accounts["name"].combine_chunks(), systems


def take_requests(folder: Path, rows: I64, columns: Sequence[str]) -> pa.Table:
    """Return ids and beginnings of requests of a segment's rows (from 0, sorted, distinct), in that order. Raises UnreadableFile."""
    with (
        reading(folder),
        pq.ParquetFile(folder / "requests.parquet", page_checksum_verification=True) as file,
    ):
        sizes = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
        ends = np.cumsum([0, *sizes])
        parts = []
        for group in np.unique(np.searchsorted(ends, rows, side="right") - 1).tolist():
            mine = rows[(rows >= ends[group]) & (rows < ends[group + 1])] - ends[group]
            parts.append(file.read_row_group(group, columns=list(columns)).take(pa.array(mine)))
        return pa.concat_tables(parts)


def _systems(parts: Any) -> Systems:
    shingles = Ragged(parts["shingle_offsets"], parts["shingles"])
    return Systems(
        parts["raw"],
        parts["doc"],
        parts["tokens"],
        parts["cues"],
        shingles,
        Ragged(parts["mark_offsets"], parts["marks"]),
    )
