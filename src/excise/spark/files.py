"""Which files a scan on a cluster reads: under a path that every machine sees, or in an object store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa

from excise.errors import UnreadableFile
from excise.ingest.layout import files_at, find_layout
from excise.ingest.ledger import plain
from excise.ingest.pseudonym import Pseudonymiser
from excise.ingest.source import open_traffic
from excise.ingest.traffic import Traffic as Opened

_SIDES: Final = ("accounts", "events", "asn_table")
_HINT: Final = (
    "give a folder that every machine of the cluster sees under one path, or an object store's address "
    "(s3://, gs://, abfs://, hdfs://)"
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A file of exchanges: `number` in reading order, `place` to open it at, its name as `shown` in the run, `size` in bytes."""

    number: int
    place: str
    shown: str
    size: int


@dataclass(frozen=True, slots=True)
class Options:
    """How files are opened."""

    format: str | None = None
    pseudonymise: Pseudonymiser | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a source and its side tables."""

    units: tuple[Unit, ...]
    sides: Opened


def is_remote(place: str) -> bool:
    """Whether a place is an address rather than a path."""
    return "://" in place


def find(source: str, staging: Path, options: Options, **sides: str | None) -> Found:
    """List the exchanges of `source` and open its side tables (`accounts`, `events`, `asn`: those named by the user).

    Raises `UnreadableFile` where nothing is there or the store does not let us in.
    """
    if not is_remote(source):
        paths = find_layout(source, **sides).exchanges
        units = tuple(Unit(n, str(p.resolve()), str(p), p.stat().st_size) for n, p in enumerate(paths))
        return Found(units, _sides(source, staging, options, sides))
    units, beside = _listed(source)
    named = {
        "accounts": beside.get("accounts"),
        "events": beside.get("events"),
        "asn": beside.get("asn_table"),
    }
    wanted = {name: given or named[name] for name, given in sides.items()}
    local = {name: _brought(place, staging / name) for name, place in wanted.items() if place}
    nothing = staging / "exchanges.ndjson"
    nothing.touch()
    return Found(units, _sides(str(nothing), staging, options, local))


def _sides(source: str, staging: Path, options: Options, sides: Any) -> Opened:
    return open_traffic(
        source, staging=staging, pseudonymise=options.pseudonymise, skip=lambda _: True, **sides
    )


def _brought(place: str, folder: Path) -> str:
    """Copy a file from a store into a folder of its own; a path stays where it is."""
    if not is_remote(place):
        return place
    folder.mkdir(exist_ok=True)
    target = folder / PurePosixPath(place).name
    with reaching(place) as (store, path), store.open_input_stream(path) as inside, target.open("wb") as out:
        shutil.copyfileobj(inside, out, 1 << 20)
    return str(target)


def _listed(source: str) -> tuple[tuple[Unit, ...], dict[str, str]]:
    """Return the files of exchanges at an address, sorted by name, and the side tables beside them by name."""
    from pyarrow.fs import FileSelector, FileType  # noqa: PLC0415  heavy, and for addresses only

    scheme = source.partition("://")[0]
    with reaching(source) as (store, path):
        if store.get_file_info(path).type == FileType.File:
            found = [store.get_file_info(path)]
        else:
            found = store.get_file_info(FileSelector(path, recursive=True))
    files = sorted((f.path, f.size) for f in found if f.type == FileType.File and _wanted(f.path, path))
    beside = {name: f"{scheme}://{p}" for p, _ in files if (name := _side_name(p, path))}
    inside = [(p, size) for p, size in files if p.startswith(f"{path.rstrip('/')}/exchanges/")]
    rest = inside or [(p, size) for p, size in files if not _side_name(p, path)]
    if not rest:
        raise UnreadableFile("holds no exchanges", subject=plain(source), hint=_HINT)
    return tuple(
        Unit(n, f"{scheme}://{p}", f"{scheme}://{p}", size) for n, (p, size) in enumerate(rest)
    ), beside


def _wanted(path: str, root: str) -> bool:
    parts = PurePosixPath(path[len(root) :]).parts or (path,)
    hidden = any(part.startswith((".", "_")) for part in parts)
    return not hidden and PurePosixPath(path).suffix.lower() in _SUFFIXES


_SUFFIXES: Final = frozenset((".parquet", ".pq", ".ndjson", ".jsonl", ".json", ".csv", ".log", ".gz", ".zst"))


def _side_name(path: str, root: str) -> str | None:
    name = PurePosixPath(path).name.partition(".")[0]
    return name if name in _SIDES and str(PurePosixPath(path).parent) == root.rstrip("/") else None


@contextmanager
def reaching(place: str) -> Iterator[tuple[Any, str]]:
    """Give the store of an address and the path in it. Credentials are those of the machine (its role, its environment)."""
    from pyarrow.fs import FileSystem  # noqa: PLC0415  heavy, and for addresses only

    try:
        store, path = FileSystem.from_uri(place)
        yield store, path
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFile(
            f"cannot be read: {plain(str(error), 200)}", subject=plain(place, 200), hint=_HINT
        ) from error


@contextmanager
def opened(unit: Unit, options: Options) -> Iterator[Opened]:
    """Open one file as the embedded engine would, with the same checks; a copy of what lies in a store is made first."""
    with TemporaryDirectory(prefix="excise-") as name:
        staging = Path(name)
        path = _brought(unit.place, staging / "copy")
        if not is_remote(unit.place):
            files_at(path)  # says in words of ours where this machine does not see it
        yield open_traffic(
            path,
            staging=staging,
            format=options.format,
            max_bad_rows=1.0,
            pseudonymise=options.pseudonymise,
        )
