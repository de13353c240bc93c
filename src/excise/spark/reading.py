"""What an executor does with a file: every text is read once, there, and leaves as packed numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from excise.errors import ExciseError, InputError, OutputError, SchemaMismatch, UnreadableFile, UsageError
from excise.ingest.ledger import Rejected
from excise.ingest.traffic import Input
from excise.ingest.traffic import Traffic as Opened
from excise.model.ragged import Ragged
from excise.model.tables import I64, U64, Systems
from excise.sketch.exchanges import COLUMNS, sketch_batch
from excise.sketch.gathering import Gathering
from excise.sketch.lexicon import load_pack
from excise.spark.files import Options, Unit, opened
from excise.state.segment import SEGMENT_SHIFT

READ: Final = "kind int, key long, data binary"
"""Schema of what reading leaves: packed rows of a bucket, an account's name, a system prompt's sketch, or a `Told` of a file."""
ROWS, ACCOUNT, SYSTEM, FILE = range(4)
_HELD: Final = 128 << 20
"""Bytes of packed rows that are held before they are handed to Spark; of a file that holds less, a bucket has one block."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says of itself, or the error that it ended in (`error`: name of the class, message, subject, hint)."""

    inputs: tuple[Input, ...] = ()
    rejected: Rejected = field(default_factory=Rejected)
    rows: int = 0
    latest: int = 0
    error: tuple[str, str, str, str] | None = None


_ERRORS: Final = {
    e.__name__: e for e in (UnreadableFile, SchemaMismatch, InputError, OutputError, UsageError)
}


def raise_told(told: Told) -> None:
    """Raise the error of a file, if it has one."""
    if told.error is not None:
        name, message, subject, hint = told.error
        raise _ERRORS.get(name, InputError)(message, subject=subject, hint=hint)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files by their numbers (`mapInArrow` of `READ`). The same files give the same rows, whoever reads them."""

    units: tuple[Unit, ...]
    options: Options
    seed: int
    bits: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read the files of these numbers."""
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from self._file(self.units[number])

    def _file(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        gathered = Gathering(self.bits)
        try:
            with opened(unit, self.options) as traffic:
                yield from self._rows(unit, traffic, gathered)
                told = Told(traffic.inputs, traffic.rejected, gathered.rows, gathered.latest)
        except ExciseError as error:
            told = Told(error=(type(error).__name__, error.message, error.subject, error.hint))
        hashes, names = gathered.known()
        yield _batch(ACCOUNT, signed(hashes), names.cast(pa.binary()))
        systems = gathered.systems()
        yield _batch(SYSTEM, signed(systems.raw), pa.array(each_system(systems), pa.binary()))
        yield _batch(FILE, [unit.number], pa.array([msgspec.json.encode(_shown(told, unit))]))

    def _rows(self, unit: Unit, traffic: Opened, gathered: Gathering) -> Iterator[pa.RecordBatch]:
        cues = load_pack().cue_table(self.seed)
        row, held = unit.number << SEGMENT_SHIFT, 0
        for batch in traffic.batches(COLUMNS, dictionaries=True):
            piece = sketch_batch(batch, row, seed=self.seed, cues=cues, bits=self.bits)
            gathered.add(piece)
            row += len(batch)
            held += sum(len(block) for _, block in piece.blocks)
            if held >= _HELD:
                yield from self._blocks(gathered)
                held = 0
        yield from self._blocks(gathered)

    def _blocks(self, gathered: Gathering) -> Iterator[pa.RecordBatch]:
        for bucket in range(1 << self.bits):
            data = b"".join(gathered.buckets.take(bucket))
            if data:
                yield _batch(ROWS, [bucket], pa.array([data]))


@dataclass(frozen=True, slots=True)
class Taker:
    """Reads columns of a few rows again (`mapInArrow` of `row long, data binary`, each an Arrow stream of one file's rows)."""

    units: tuple[Unit, ...]
    options: Options
    rows: I64
    columns: tuple[str, ...]
    trim: Callable[[pa.Table], pa.Table]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read rows of the files of these numbers."""
        for batch in batches:
            for number in batch.column(0).to_pylist():
                first, last = np.searchsorted(
                    self.rows, [number << SEGMENT_SHIFT, number + 1 << SEGMENT_SHIFT]
                )
                wanted = self.rows[first:last] - (number << SEGMENT_SHIFT)
                with opened(self.units[number], self.options) as traffic:
                    table = self.trim(traffic.take(wanted, list(self.columns)))
                yield pa.record_batch({"row": pa.array([number], pa.int64()), "data": [to_stream(table)]})


def to_stream(table: pa.Table) -> bytes:
    """Return a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def from_stream(data: bytes) -> pa.Table:
    """Return the table of an Arrow stream."""
    return pa.ipc.open_stream(data).read_all()


def signed(values: U64) -> I64:
    """Return hashes as Spark holds them, in signed numbers of the same bits."""
    return values.view(np.int64)


def unsigned(values: I64) -> U64:
    """Undo `signed`."""
    return np.ascontiguousarray(values).view(np.uint64)


def _batch(kind: int, keys: Sequence[int] | I64, data: pa.Array) -> pa.RecordBatch:
    kinds = pa.array(np.full(len(keys), kind, np.int32))
    return pa.record_batch({"kind": kinds, "key": pa.array(keys, pa.int64()), "data": data})


def _shown(told: Told, unit: Unit) -> Told:
    """Name the file as the user did, wherever it was opened."""
    samples = tuple(replace(s, path=unit.shown) for s in told.rejected.samples)
    error = told.error
    if error and not error[2].startswith("--"):
        error = (*error[:2], unit.shown, error[3])
    return replace(
        told,
        inputs=tuple(replace(i, path=unit.shown) for i in told.inputs),
        rejected=replace(told.rejected, samples=samples),
        error=error,
    )


def each_system(systems: Systems) -> list[bytes]:
    """Pack each system prompt's sketch by itself."""
    s, m = systems.shingles, systems.marks
    return [
        b"".join(
            (
                np.array([systems.doc[k], systems.tokens[k], systems.cues[k], s.offsets[k + 1] - s.offsets[k]], np.uint64).tobytes(),
                s.values[s.offsets[k] : s.offsets[k + 1]].tobytes(),
                m.values[m.offsets[k] : m.offsets[k + 1]].tobytes(),
            )
        )
        for k in range(len(systems.raw))
    ]  # fmt: skip


def unpack_systems(raw: U64, packed: Sequence[bytes]) -> Systems:
    """Join packed system prompts, ascending by the hash of their bytes."""
    order = np.argsort(raw)
    parts = [np.frombuffer(packed[k], np.uint64) for k in order.tolist()]
    heads = np.array([p[:4] for p in parts], np.uint64).reshape(-1, 4)
    shingles = [p[4 : 4 + int(n)] for p, n in zip(parts, heads[:, 3], strict=True)]
    marks = [p[4 + int(n) :] for p, n in zip(parts, heads[:, 3], strict=True)]
    return Systems(
        raw[order], heads[:, 0], heads[:, 1].astype(np.uint32), heads[:, 2], ragged(shingles), ragged(marks)
    )


def ragged(lists: Sequence[U64]) -> Ragged:
    """Join lists."""
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(values) for values in lists], out=offsets[1:])
    return Ragged(offsets, np.concatenate([np.zeros(0, np.uint64), *lists]))


def decode_told(data: Any) -> Told:
    """Read what a file said of itself."""
    return msgspec.json.decode(bytes(data), type=Told)
