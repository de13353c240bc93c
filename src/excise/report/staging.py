"""A folder or a file that appears whole or not at all.

A folder is built under a hidden name beside its final one, `.NAME.excise-PID`, and renamed at the end. Its writer
holds a lock on it; a staging folder without a living holder was left by a killed process, and the next write sweeps it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from typing import TYPE_CHECKING

from excise.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HINTS = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder with --out",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another folder with --out",
    errno.EFBIG: "the file size limit is reached: raise it (ulimit -f) or choose another folder with --out",
    errno.EACCES: "no permission: choose a folder that you may write to with --out",
    errno.EPERM: "no permission: choose a folder that you may write to with --out",
    errno.EROFS: "the file system is read-only: choose another folder with --out",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one with --out",
    errno.ENOTEMPTY: "it appeared while the scan ran: choose another folder with --out, or replace it with --force",
    errno.EEXIST: "it exists: choose another with --out, or replace it with --force",
}
PROBE_BYTES = 1 << 16


def cannot_write(out: Path, error: OSError) -> OutputError:
    """The error to raise for a failed system call on the way to `out`."""
    said = (error.strerror or str(error)).lower()
    hint = HINTS.get(error.errno or 0, "choose another folder with --out")
    return OutputError(f"cannot be written: {said}; nothing was left behind", subject=str(out), hint=hint)


def sync(path: Path) -> None:
    """Ask the system to put a file or a folder on disk; a file system that cannot is let be."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(fd)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock on folder `path`, or None when somebody alive holds it."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:  # a file system without locks on folders: go by the process id in the name
        pid = int(path.name.rsplit("-", 1)[1].split(".")[0])
        if pid != os.getpid() and _alive(pid):
            os.close(fd)
            return None
    return fd


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def sweep(out: Path) -> None:
    """Remove what killed writers of `out` left beside it; bring back a run that one had moved aside."""
    name = re.compile(re.escape(f".{out.name}.excise-") + r"[0-9]{1,9}(\.old)?")
    for left in sorted(p for p in out.parent.iterdir() if name.fullmatch(p.name)):
        if left.is_symlink() or not left.is_dir():
            continue
        fd = _lock(left)
        if fd is None:
            continue
        try:
            if left.name.endswith(".old") and not out.exists():
                left.rename(out)
            else:
                shutil.rmtree(left)
        finally:
            os.close(fd)


def _make(path: Path) -> int:
    """Create and lock the staging folder; again if another process swept it before it was locked."""
    while True:
        path.mkdir(mode=0o777)
        with contextlib.suppress(FileNotFoundError):
            fd = _lock(path)
            if fd is not None and path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
                return fd
            if fd is not None:
                os.close(fd)


@contextlib.contextmanager
def _ancestors(folder: Path, keep: bool) -> Iterator[None]:
    """Create `folder` and what lies above it; take away again what was created unless `keep` and the body ends well."""
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    done = False
    try:
        yield
        done = keep
    finally:
        for path in () if done else made:
            with contextlib.suppress(OSError):
                path.rmdir()


def _publish(staging: Path, out: Path, replace: bool) -> None:
    """Give the finished folder its name. With `replace` the old one steps aside, and comes back if that fails."""
    if not (replace and out.exists()):
        staging.rename(out)
        return
    old = staging.with_name(staging.name + ".old")
    out.rename(old)
    try:
        staging.rename(out)
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def staged_folder(out: Path, *, replace: bool = False, keep: bool = True) -> Iterator[Path]:
    """Give a hidden folder to fill; it becomes `out` when the body ends well, and is removed otherwise.

    With `keep` false it is removed in any case: a rehearsal. Raises `OutputError` where the system refuses.
    """
    out = out.resolve()
    staging = out.with_name(f".{out.name}.excise-{os.getpid()}")
    try:
        with _ancestors(out.parent, keep):
            sweep(out)
            fd = _make(staging)
            try:
                yield staging
                if keep:
                    sync(staging)
                    _publish(staging, out, replace)
                    sync(out.parent)
            finally:
                os.close(fd)
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise cannot_write(out, error) from error


def rehearse(out: Path) -> None:
    """Find out now whether a folder can be written at `out` later; leaves nothing. Raises `OutputError`."""
    with staged_folder(out, keep=False) as staging:
        write_file(staging / "probe", bytes(PROBE_BYTES))


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to a new file and sync it. Raises `OSError`."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` under `path` in one step, over what is there. Raises `OutputError`; the old file then stays."""
    staging = path.with_name(f".{path.name}.excise-{os.getpid()}")
    try:
        staging.unlink(missing_ok=True)
        try:
            write_file(staging, data)
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
        sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
