"""Bytes of one file: what kind of file it is, unpacked as it is read, and split into lines that have a limit."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import pyarrow as pa

from excise.errors import UnreadableFile
from excise.ingest.decode import has_json_line
from excise.ingest.ledger import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FileShape = Literal["parquet", "json", "csv"]
CHUNK: Final = 1 << 20
MAX_RECORD_BYTES: Final = 256 << 20
"""A line or record beyond this is a bad row: five times the largest prompt that is still fine (50 MB)."""

_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BOM: Final = b"\xef\xbb\xbf"


class ByteSource(Protocol):
    """Anything with `read`: an open file, or pyarrow's unpacking stream."""

    def read(self, nbytes: int, /) -> bytes:
        """At most `nbytes` bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is: its shape, and `gzip`, `zstd` or nothing around it."""

    shape: FileShape
    packed: str | None

    def __str__(self) -> str:
        return f"{self.shape}+{self.packed}" if self.packed else self.shape


def sniff(path: Path) -> Kind:
    """Tell a file's kind by its content. Raises `UnreadableFile` where it cannot be opened or is none of ours."""
    with opened(path, None) as source:
        start = source.read(4)
    if start == b"PAR1":
        return Kind("parquet", None)
    packed = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    with opened(path, packed) as source:
        head = source.read(CHUNK)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile("is UTF-16 text", subject=str(path), hint="convert it to UTF-8")
    if head.startswith(b"PAR1"):
        raise UnreadableFile(
            "is a compressed Parquet file", subject=str(path), hint=f"unpack the {packed} first"
        )
    text = head.removeprefix(_BOM).lstrip()
    is_json = text[:1] in (b"{", b"[") or has_json_line(text)
    return Kind("json" if is_json else "csv", packed)


@contextmanager
def opened(path: Path, packed: str | None) -> Iterator[ByteSource]:
    """The file's bytes, unpacked. Every error of the operating system or the codec becomes `UnreadableFile`."""
    try:
        with pa.OSFile(str(path), "rb") as raw:
            if packed is None:
                yield _Guarded(raw, path)
            else:
                with pa.CompressedInputStream(raw, packed) as stream:
                    yield _Guarded(stream, path)
    except OSError as error:
        raise unreadable(error, path) from error


def unreadable(error: Exception, path: Path) -> UnreadableFile:
    """`error` as the user sees it."""
    if isinstance(error, FileNotFoundError):
        return UnreadableFile("no such file", subject=str(path), hint="check the path")
    if isinstance(error, PermissionError):
        return UnreadableFile("permission denied", subject=str(path), hint="check who may read it")
    what = plain(str(error), 200) or type(error).__name__
    return UnreadableFile(
        f"cannot be read: {what}",
        subject=str(path),
        hint="it may be cut off or damaged: copy or export it again",
    )


class _Guarded:
    """A stream whose read errors are already the user's, so that an error of the writer is not taken for one."""

    def __init__(self, raw: Any, path: Path) -> None:
        self._raw = raw
        self._path = path

    def read(self, nbytes: int, /) -> bytes:
        try:
            data: bytes = self._raw.read(nbytes)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(error, self._path) from error
        return data


class Counted:
    """A stream that counts the bytes read from it, and starts after a byte order mark."""

    def __init__(self, raw: ByteSource) -> None:
        self._raw = raw
        self._head = raw.read(CHUNK).removeprefix(_BOM)
        self.bytes = len(self._head)

    @property
    def head(self) -> bytes:
        """The first piece, before anything was read."""
        return self._head

    def read(self, nbytes: int, /) -> bytes:
        """At most `nbytes` bytes; none at the end."""
        if self._head:
            data, self._head = self._head[:nbytes], self._head[nbytes:]
            return data
        data = self._raw.read(nbytes)
        self.bytes += len(data)
        return data


def lines(source: ByteSource) -> Iterator[bytes | None]:
    """The lines, without their newline; `None` for one beyond `MAX_RECORD_BYTES`. Memory: one line."""
    held: list[bytes] = []
    size = 0
    while chunk := source.read(CHUNK):
        first, *rest = chunk.split(b"\n")
        size += len(first)
        if size <= MAX_RECORD_BYTES:
            held.append(first)
        if not rest:
            continue
        yield b"".join(held) if size <= MAX_RECORD_BYTES else None
        yield from rest[:-1]
        held, size = [rest[-1]], len(rest[-1])
    if size:
        yield b"".join(held) if size <= MAX_RECORD_BYTES else None


def sha256(path: Path) -> str:
    """Hex digest of the file as it lies on disk; hashlib lets other threads run meanwhile."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(error, path) from error
