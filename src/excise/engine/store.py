"""Where tables lie: in memory, or in files without a name, which vanish with the process however it ends.

A file is opened and unlinked at once (`TemporaryFile`), so that a killed scan leaves nothing behind. Written tables come
back as mapped arrays: pages of the file, which the system may drop and read again, and `memory.forget` gives back. They
are never written to, but look writable, so that kernels see the same kind of array as in memory.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from excise.errors import OutputError

Array = npt.NDArray[Any]


class Column(Protocol):
    """A column that grows at its end and is then read."""

    def append(self, values: Array) -> None:
        """Put values after those that are there."""

    def finish(self) -> Array:
        """Return all values; nothing can be appended afterwards."""


class Readable(Protocol):
    """Heaps of bytes by number, to be taken out one by one."""

    def take(self, bucket: int) -> Iterable[bytes | memoryview]:
        """Return what a bucket holds, in pieces as they were put or joined. It may be empty afterwards."""


class Buckets(Readable, Protocol):
    """Heaps that are filled first, in any order."""

    def put(self, bucket: int, data: bytes) -> None:
        """Put bytes behind those that the bucket holds."""


class Store(Protocol):
    """What makes columns and buckets."""

    def column(self, dtype: npt.DTypeLike, size: int) -> Column:
        """Begin a column of at most `size` values."""

    def buckets(self, count: int) -> Buckets:
        """Begin `count` empty buckets."""


class Memory:
    """Everything in memory."""

    def column(self, dtype: npt.DTypeLike, size: int) -> Column:
        """Begin a column of at most `size` values."""
        return _MemoryColumn(np.empty(size, dtype))

    def buckets(self, count: int) -> Buckets:
        """Begin `count` empty buckets."""
        return _MemoryBuckets([[] for _ in range(count)])


@dataclass(slots=True)
class _MemoryColumn:
    values: Array
    used: int = 0

    def append(self, values: Array) -> None:
        self.values[self.used : self.used + len(values)] = values
        self.used += len(values)

    def finish(self) -> Array:
        return self.values[: self.used]


@dataclass(frozen=True, slots=True)
class _MemoryBuckets:
    held: list[list[bytes]]

    def put(self, bucket: int, data: bytes) -> None:
        self.held[bucket].append(data)

    def take(self, bucket: int) -> list[bytes]:
        taken, self.held[bucket] = self.held[bucket], []
        return taken


@dataclass(frozen=True, slots=True)
class Files:
    """Everything in files of `folder` that have no name. A full disk and the like become `OutputError`."""

    folder: Path

    def column(self, dtype: npt.DTypeLike, size: int) -> Column:  # noqa: ARG002  a file grows as it must
        """Begin a column."""
        return _FileColumn(self, np.dtype(dtype), self._file())

    def buckets(self, count: int) -> Buckets:
        """Begin `count` empty buckets."""
        return _FileBuckets(self, [self._file() for _ in range(count)])

    def _file(self) -> IO[bytes]:
        with self.writing():
            return tempfile.TemporaryFile(dir=self.folder, prefix="excise-", buffering=0)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what the system says into an error with a hint."""
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"cannot be written: {(error.strerror or str(error)).lower()}",
                subject=str(self.folder),
                hint="tables that do not fit into memory lie there: free space, name another folder with --spill, or allow more memory with --memory",
            ) from error


@dataclass(frozen=True, slots=True)
class _FileColumn:
    files: Files
    dtype: np.dtype[Any]
    file: IO[bytes]

    def append(self, values: Array) -> None:
        write_all(self.files, self.file, np.ascontiguousarray(values, self.dtype).data.cast("B"))

    def finish(self) -> Array:
        with self.file as file:
            size = file.seek(0, 2)
            if not size:
                return np.empty(0, self.dtype)
            pages = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
        return np.frombuffer(pages, self.dtype)


@dataclass(frozen=True, slots=True)
class _FileBuckets:
    files: Files
    held: list[IO[bytes]]

    def put(self, bucket: int, data: bytes) -> None:
        write_all(self.files, self.held[bucket], memoryview(data))

    def take(self, bucket: int) -> list[memoryview]:
        with self.held[bucket] as file, self.files.writing():
            size = file.seek(0, 2)
            file.seek(0)
            return [np.fromfile(file, np.uint8, size).data]


def write_all(files: Files, file: IO[bytes], data: memoryview) -> None:
    """Write every byte; a raw file may take fewer at once."""
    with files.writing():
        while len(data):
            data = data[file.write(data) :]
