"""Files to which lines are only ever added, each bound to all before it by a hash.

`hash` of a line is the SHA-256 of the hash before it (64 zeros at the start) and of the line's bytes without its own hash,
so that no line can be changed, dropped or moved without every later one showing it. A process that is killed while it
writes leaves a torn last line; the next writer takes it away.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any, Final

import msgspec

from excise.errors import InputError, OutputError, UnreadableFile, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, Self

START: Final = "0" * 64
LINE_LIMIT: Final = 16 << 20
"""Bytes of one line that are read at most."""
_MARK: Final = b',"hash":"'


def link(record: Any, before: str) -> tuple[bytes, str]:
    """The line for `record` (a struct with fields) after the line with hash `before`, with its line feed, and its hash."""
    body = msgspec.json.encode(record)
    digest = hashlib.sha256(before.encode() + body).hexdigest()
    return body[:-1] + _MARK + digest.encode() + b'"}\n', digest


def whole_lines(path: Path) -> tuple[list[bytes], int]:
    """The finished lines of a file, and how many bytes an unfinished last one has. Raises `UnreadableFile`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFile(
                "not a plain file", subject=str(path), hint="name a file that this program wrote"
            )
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            (error.strerror or str(error)).lower(),
            subject=str(path),
            hint="name a file that this program wrote",
        ) from error
    *whole, rest = data.split(b"\n")
    return whole, len(rest)


def checked(path: Path, number: int, text: bytes, before: str) -> tuple[bytes, str]:
    """What line `number` says, without its hash, and that hash, which is what it must be after `before`."""
    body, mark, tail = text.rpartition(_MARK)
    digest = hashlib.sha256(before.encode() + body + b"}").hexdigest()
    if len(text) > LINE_LIMIT or not mark or tail != digest.encode() + b'"}':
        raise broken(path, number, "its hash is not that of what it says after the lines before it")
    return body + b"}", digest


def broken(path: Path, number: int, why: str) -> InputError:
    """The error for a line that does not hold."""
    return InputError(
        f"line {number} does not hold: {why}",
        subject=str(path),
        hint="fetch the file again whole; one that was changed proves nothing",
    )


class Appender:
    """Adds records to a file, each on disk before the call returns. One process at a time. Use as a context manager.

    Raises `UsageError` where another process is writing, `OutputError` where the system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = START
        self._file = _locked(path)

    def cut(self) -> None:
        """Take an unfinished last line away."""
        try:
            self._file.truncate(self.path.stat().st_size - whole_lines(self.path)[1])
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def add(self, record: Any) -> None:
        """Append `record` and wait until it is on disk."""
        text, self.digest = link(record, self.digest)
        try:
            self._file.write(text)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def close(self) -> None:
        """Let others write."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _locked(path: Path) -> BinaryIO:
    try:
        file = path.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UsageError(
            "another run is writing it", subject=str(path), hint="wait for it, or stop it"
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    return file


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot be written: {(error.strerror or str(error)).lower()}",
        subject=str(path),
        hint="free some space or permit it; what was written so far is kept, and the same command goes on there",
    )
