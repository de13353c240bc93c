"""A scan that goes on: what was sketched of earlier files, kept in a folder, so that a new file costs only its own rows.

    STATE/state.json          what the sketches depend on; another seed or version is refused
    STATE/000001/meta.json    the files that one scan read, and what was rejected in them
    STATE/000001/rows.bin     their sketched rows, by range of account hashes; `ranges.npy` says where each range ends
    STATE/000001/accounts.parquet, systems.npz      names of accounts, sketches of system prompts
    STATE/000001/requests.parquet                   ids, and the beginnings of the requests, for examples in reports

A segment appears under its name only when it is complete. Its rows are numbered from `segment << 40` on, in every scan.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from excise.engine.store import Files, Store
from excise.errors import ExciseError, OutputError, UnreadableFile, UsageError
from excise.ingest.ledger import Rejected
from excise.ingest.traffic import Input
from excise.ingest.traffic import Traffic as Opened
from excise.judge.wrapper import MOST_CHARACTERS
from excise.model.ragged import Ragged
from excise.model.tables import I64, Systems
from excise.settings import Settings
from excise.sketch.gathering import MOST_BITS, Gathering

STATE_SCHEMA: Final = 1
SEGMENT_SHIFT: Final = 40
"""Bits for the rows of one segment."""
_TEXTS: Final = ("system_text", "user_text")
_DAY: Final = 24 * 3_600_000_000


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


def parse_window(text: str) -> int:
    """Read `90d` as microseconds. Raises `UsageError`."""
    days = text.strip().lower().removesuffix("d")
    if not days.isdecimal() or not 0 < int(days) < 1_000_000:
        raise UsageError(f"{text[:40]!r} is no number of days", subject="--window", hint="write 90d")
    return int(days) * _DAY


@dataclass(slots=True)
class State:
    """An open state folder; `segments` by number."""

    folder: Path
    keep_text: bool
    segments: dict[int, Meta] = field(default_factory=dict)

    @property
    def files(self) -> frozenset[Seen]:
        """Every file that was read."""
        return frozenset(seen for meta in self.segments.values() for seen in meta.files)

    @property
    def rows(self) -> int:
        """Exchanges that were read."""
        return sum(meta.rows for meta in self.segments.values())

    def knows(self, path: Path, fresh: list[Seen]) -> bool:
        """Return whether a file was read before; if not, note it in `fresh`."""
        seen = seen_of(path)
        if seen in self.files:
            return True
        fresh.append(seen)
        return False

    @contextmanager
    def begin(self, files: Sequence[Seen], opened: Opened) -> Iterator[Segment]:
        """Write the segment of some new files; it is there when the body has ended well."""
        number = max(self.segments, default=0) + 1
        staging = self.folder / f".new-{number:06d}"
        with _writing(self.folder):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                segment = Segment(staging, number, self.keep_text)
                yield segment
                segment.close()
                meta = Meta(
                    tuple(files),
                    tuple(i for i in opened.inputs if i.kind == "exchanges"),
                    opened.rejected,
                    segment.gathered.rows,
                    segment.gathered.latest,
                    segment.gathered.values,
                )
                (staging / "meta.json").write_bytes(msgspec.json.encode(meta))
                for path in (*staging.iterdir(), staging):
                    _sync(path)
                staging.rename(self.folder / f"{number:06d}")
                _sync(self.folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        self.segments[number] = meta

    def gathered(self, store: Store) -> Gathering:
        """Return the rows of all segments, as if they had just been read."""
        folders = [self.folder / f"{number:06d}" for number in self.segments]
        gathered = Gathering(MOST_BITS, store, _buckets=_Segments(tuple(folders)))
        for folder, meta in zip(folders, self.segments.values(), strict=True):
            with _reading(folder):
                accounts = pq.read_table(folder / "accounts.parquet")
                names = accounts["name"].combine_chunks()
                hashes = accounts["hash"].to_numpy()
                with np.load(folder / "systems.npz", allow_pickle=False) as parts:
                    systems = _systems(parts)
            gathered.learn(hashes, names, systems)
            gathered.rows += meta.rows
            gathered.latest = max(gathered.latest, meta.latest)
            for name, count in meta.values.items():
                gathered.values[name] += count
        return gathered

    def rejected(self) -> Rejected:
        """Return what was rejected in all segments."""
        total = Rejected()
        for meta in self.segments.values():
            r = meta.rejected
            total = Rejected(
                total.rows + r.rows,
                _added(total.reasons, r.reasons),
                (*total.samples, *r.samples)[:20],
                _added(total.repaired, r.repaired),
            )
        return total

    def take(self, rows: I64, columns: Sequence[str]) -> pa.Table:
        """Return ids and beginnings of requests of rows (sorted, distinct), in that order."""
        parts = []
        for number in self.segments:
            first, last = np.searchsorted(rows, [number << SEGMENT_SHIFT, (number + 1) << SEGMENT_SHIFT])
            if last > first:
                path = self.folder / f"{number:06d}" / "requests.parquet"
                with _reading(path):
                    parts.append(_take(path, rows[first:last] - (number << SEGMENT_SHIFT), columns))
        return pa.concat_tables(parts)

    def forget(self, since: int) -> None:
        """Remove the segments all of whose rows are older; done last, so that a failed scan forgets nothing."""
        for number in [n for n, meta in self.segments.items() if meta.latest < since]:
            with _writing(self.folder):
                gone = self.folder / f".old-{number:06d}"
                (self.folder / f"{number:06d}").rename(gone)
                shutil.rmtree(gone)
            del self.segments[number]


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
        ends = [0]
        with (self.folder / "rows.bin").open("wb") as file:
            for bucket in range(1 << MOST_BITS):
                ends.append(ends[-1] + sum(file.write(data) for data in self.gathered.buckets.take(bucket)))
        np.save(self.folder / "ranges.npy", np.array(ends, np.int64))
        hashes, names = self.gathered.known()
        pq.write_table(pa.table({"hash": hashes, "name": names}), self.folder / "accounts.parquet")
        s = self.gathered.systems()
        np.savez(
            self.folder / "systems.npz", raw=s.raw, doc=s.doc, tokens=s.tokens, cues=s.cues,
            shingle_offsets=s.shingles.offsets, shingles=s.shingles.values, mark_offsets=s.marks.offsets, marks=s.marks.values,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Segments:
    """The rows of several segments as buckets that are only read."""

    folders: tuple[Path, ...]

    def put(self, bucket: int, data: bytes) -> None:
        raise NotImplementedError

    def take(self, bucket: int) -> list[memoryview]:
        return [self._read(folder, bucket) for folder in self.folders]

    def _read(self, folder: Path, bucket: int) -> memoryview:
        with _reading(folder), (folder / "rows.bin").open("rb") as file:
            start, end = np.load(folder / "ranges.npy", allow_pickle=False)[bucket : bucket + 2].tolist()
            file.seek(start)
            data = np.fromfile(file, np.uint8, end - start)
            if len(data) < end - start:
                raise ValueError("rows.bin is cut off")
            return data.data


@contextmanager
def open_state(folder: Path, settings: Settings, *, version: str, pseudonyms: bool) -> Iterator[State]:
    """Open or begin the state in `folder`; one scan at a time.

    Raises UsageError where it was made with other settings, UnreadableFile where it is damaged.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(lock, folder)
        for left in (*folder.glob(".new-*"), *folder.glob(".old-*")):  # of a scan that was killed
            shutil.rmtree(left, ignore_errors=True)
        _agree(folder, _depends_on(settings, version, pseudonyms=pseudonyms))
        yield State(folder, settings.keep_text, dict(_segments(folder)))
    finally:
        os.close(lock)


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            "another scan is using this state", subject=str(folder), hint="wait until it has ended"
        ) from error


def _depends_on(settings: Settings, version: str, *, pseudonyms: bool) -> dict[str, Any]:
    """What sketches and kept requests depend on."""
    return {
        "schema": STATE_SCHEMA,
        "version": version,
        "seed": settings.as_dict()["seed"],
        "keep_text": settings.keep_text,
        "pseudonyms": pseudonyms,
    }


def _agree(folder: Path, wanted: dict[str, Any]) -> None:
    path = folder / "state.json"
    if not path.exists():
        if any(p.name.isdecimal() for p in folder.iterdir()):
            raise UnreadableFile(
                "there is no state.json", subject=str(folder), hint="name another folder with --state"
            )
        with _writing(folder):
            staging = folder / ".new-state.json"
            staging.write_text(json.dumps(wanted), encoding="utf-8")
            _sync(staging)
            staging.rename(path)
        return
    with _reading(folder):
        found = json.loads(path.read_text(encoding="utf-8"))
    other = [name for name in wanted if not isinstance(found, dict) or found.get(name) != wanted[name]]
    if other:
        raise UsageError(
            f"the state was made with another {', '.join(other)}",
            subject=str(folder),
            hint="use the settings that it was made with, or begin another folder with --state",
        )


def _segments(folder: Path) -> Iterator[tuple[int, Meta]]:
    for path in sorted(p for p in folder.iterdir() if p.name.isdecimal()):
        with _reading(path):
            yield int(path.name), msgspec.json.decode((path / "meta.json").read_bytes(), type=Meta)


def seen_of(path: Path) -> Seen:
    """Return what tells a file from others."""
    found = path.stat()
    return Seen(str(path.resolve()), found.st_size, found.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The inputs of a continued scan, as the report of any scan reads them."""

    state: State
    opened: Opened

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every file of exchanges that was read by now, and this scan's other tables."""
        old = tuple(i for meta in self.state.segments.values() for i in meta.inputs)
        return (*(i for i in self.opened.inputs if i.kind != "exchanges"), *old)

    @property
    def events(self) -> Any:
        """The events table."""
        return self.opened.events

    def take(self, rows: I64, columns: Sequence[str]) -> pa.Table:
        """Return rows (sorted, distinct), in that order."""
        return self.state.take(rows, columns)


def _take(path: Path, rows: I64, columns: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(path) as file:
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


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *other)}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except ExciseError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot be written: {(error.strerror or str(error)).lower()}",
            subject=str(folder),
            hint="free space, or name another folder with --state; what was kept before is still there",
        ) from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except ExciseError:
        raise
    except (OSError, ValueError, KeyError, EOFError, pa.ArrowException, msgspec.MsgspecError) as error:
        raise UnreadableFile(
            f"the state is damaged: {str(error).splitlines()[0][:200]}",
            subject=str(path),
            hint="remove the folder and scan from the files again",
        ) from error


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
