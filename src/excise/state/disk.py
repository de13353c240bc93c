"""Reading and writing the files of a state: what goes wrong becomes an error that says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import msgspec
import pyarrow as pa

from excise.errors import ExciseError, OutputError, UnreadableFile


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the system says while the state is written into an error with a hint."""
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
def reading(path: Path) -> Iterator[None]:
    """Turn any sign of damage into an error with a hint."""
    try:
        yield
    except ExciseError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        BadZipFile,
        pa.ArrowException,
        msgspec.MsgspecError,
    ) as error:
        raise UnreadableFile(
            f"the state is damaged: {str(error).splitlines()[0][:200]}",
            subject=str(path),
            hint="remove the folder and scan from the files again",
        ) from error


def sync(path: Path) -> None:
    """Have a file or folder written to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
