"""Notes of files that did not change, kept between runs in a file that the user names.

What a file gave is known by its path, its content (SHA-256) and the engine: the digest of the analysers' own sources,
so that a changed rule never meets old notes. The file is MessagePack: it holds data and nothing that could run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from excise.inspect.collector import uncollected
from excise.inspect.finding import Gap
from excise.inspect.tree import Source

Notes = Any


@dataclass(frozen=True)
class FileNotes:
    """What one file gave: the notes of each analyser by its id, its gaps, its number of lines, its content's key."""

    path: str
    notes: tuple[tuple[str, Notes], ...]
    gaps: tuple[Gap, ...] = ()
    lines: int = 0
    key: str = ""


class _Entry(msgspec.Struct, array_like=True):
    key: str
    notes: list[tuple[str, Any]]
    gaps: list[Gap]
    lines: int


Proof = tuple[bool, list[str]]
"""Whether a finding replayed, and the words of its steps."""


class _Book(msgspec.Struct, array_like=True):
    engine: str
    entries: dict[str, _Entry]
    proofs: dict[str, Proof]


class Cache:
    """The notes of an earlier run in `path`, nothing where it is None; `keeping` those of this run, for `encoded`."""

    def __init__(self, path: Path | None = None, *, keeping: bool = False) -> None:
        self.keeping = keeping or path is not None
        book = _load(path) if path is not None else _Book("", {}, {})
        self.known, self.proofs = book.entries, book.proofs
        self._kept: dict[str, _Entry] = {}
        self._proved: dict[str, Proof] = {}

    def get(self, source: Source) -> FileNotes | None:
        """The notes of the same content under the same path, if they are known."""
        entry = self.known.get(source.path)
        if entry is None or entry.key != source.key:
            return None
        return FileNotes(source.path, tuple(entry.notes), tuple(entry.gaps), entry.lines, entry.key)

    def kept(self, results: Iterable[FileNotes]) -> Iterator[FileNotes]:
        """Pass `results` on, remembering them."""
        for result in results:
            if self.keeping and result.key:
                self._kept[result.path] = _Entry(
                    result.key, list(result.notes), list(result.gaps), result.lines
                )
            yield result

    def proved(self, mark: str, proof: Proof) -> None:
        """Remember a proof under the mark of its finding and of the files that it was replayed on."""
        self._proved[mark] = proof

    def encoded(self) -> bytes:
        """What to write under `path`."""
        try:
            return msgspec.msgpack.encode(_Book(engine(), self._kept, self._proved))
        except (
            UnicodeEncodeError
        ):  # names and notes that are no text, which MessagePack cannot hold, are not kept
            kept, proved = _texts(self._kept), _texts(self._proved)
            return msgspec.msgpack.encode(_Book(engine(), kept, proved))

    def after(self) -> Cache:
        """A memory of what this run kept, for a later run of the same process."""
        new = Cache()
        new.known, new.proofs = self._kept, self._proved
        return new

    def notes(self, analyser: str) -> dict[str, Notes]:
        """What this run kept of one analyser, by path."""
        return {p: n for p, e in self._kept.items() for k, n in e.notes if k == analyser}


Held = TypeVar("Held")


def _texts(book: dict[str, Held]) -> dict[str, Held]:
    """The entries that can be written."""
    return {key: value for key, value in book.items() if _writable(key, value)}


def _writable(*values: object) -> bool:
    try:
        msgspec.msgpack.encode(values)
    except UnicodeEncodeError:
        return False
    return True


def _load(path: Path) -> _Book:
    """What a cache file holds; nothing where there is none, or one that is not ours or of another engine."""
    try:
        with uncollected():
            book = msgspec.msgpack.decode(path.read_bytes(), type=_Book)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return _Book("", {}, {})
    return book if book.engine == engine() else _Book("", {}, {})


@cache
def engine() -> str:
    """The digest of the analysers' sources."""
    digest = hashlib.sha256()
    pending = [files("excise.inspect")]
    while pending:
        folder = pending.pop()
        for item in sorted(folder.iterdir(), key=lambda i: i.name):
            if item.is_dir() and item.name != "__pycache__":
                pending.append(item)
            elif item.name.endswith(".py"):
                digest.update(item.name.encode() + b"\0" + item.read_bytes())
    return digest.hexdigest()
