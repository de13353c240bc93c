"""The state folder: one scan at a time opens it, adds a segment of what is new, and forgets what is old."""

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

import numpy as np
import pyarrow as pa

from excise.engine.store import Store
from excise.errors import UnreadableFile, UsageError
from excise.ingest.ledger import Rejected
from excise.ingest.traffic import Traffic as Opened
from excise.model.tables import I64
from excise.settings import Settings
from excise.sketch.gathering import MOST_BITS, Gathering
from excise.state.disk import reading, sync, writing
from excise.state.rows import SegmentRows
from excise.state.segment import (
    SEGMENT_SHIFT,
    Meta,
    Seen,
    Segment,
    read_known,
    read_meta,
    take_requests,
    write_meta,
)

STATE_SCHEMA: Final = 2
_DAY: Final = 24 * 3_600_000_000


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
        with writing(self.folder):
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
                write_meta(staging, meta)
                for path in (*staging.iterdir(), staging):
                    sync(path)
                staging.rename(self.folder / f"{number:06d}")
                sync(self.folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        self.segments[number] = meta

    def gathered(self, store: Store) -> Gathering:
        """Return the rows of all segments, as if they had just been read."""
        folders = [self.folder / f"{number:06d}" for number in self.segments]
        gathered = Gathering(MOST_BITS, store, source=SegmentRows(tuple(folders)))
        for folder, meta in zip(folders, self.segments.values(), strict=True):
            gathered.learn(*read_known(folder))
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
                mine = rows[first:last] - (number << SEGMENT_SHIFT)
                parts.append(take_requests(self.folder / f"{number:06d}", mine, columns))
        return pa.concat_tables(parts)

    def forget(self, since: int) -> None:
        """Remove the segments all of whose rows are older; done last, so that a failed scan forgets nothing."""
        for number in [n for n, meta in self.segments.items() if meta.latest < since]:
            with writing(self.folder):
                gone = self.folder / f".old-{number:06d}"
                (self.folder / f"{number:06d}").rename(gone)
                shutil.rmtree(gone)
            del self.segments[number]


@contextmanager
def open_state(folder: Path, settings: Settings, *, version: str, pseudonyms: bool) -> Iterator[State]:
    """Open or begin the state in `folder`; one scan at a time.

    Raises UsageError where it was made with other settings, UnreadableFile where it is damaged.
    """
    with writing(folder):
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
        with writing(folder):
            staging = folder / ".new-state.json"
            staging.write_text(json.dumps(wanted), encoding="utf-8")
            sync(staging)
            staging.rename(path)
        return
    with reading(folder):
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
        yield int(path.name), read_meta(path)


def seen_of(path: Path) -> Seen:
    """Return what tells a file from others."""
    found = path.stat()
    return Seen(str(path.resolve()), found.st_size, found.st_mtime_ns)


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *other)}
