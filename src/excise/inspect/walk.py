"""List a tree without following anything: links are named and left, devices are named and left, budgets end it.

Everything goes through one directory descriptor with `O_NOFOLLOW`, so that a folder which turns into a link between
the listing and the reading is not followed either. Folders of version control objects (`.git/objects`) are not listed:
they hold the same files again, compressed; the rest of `.git` is, since hooks and settings there execute.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from excise.errors import UnreadableFile
from excise.inspect.finding import Gap
from excise.inspect.tree import Entry, Source

MAX_FILES = 400_000
"""Names listed; the rest is a gap."""
MAX_DEPTH = 64
"""Folders below each other."""
MAX_BYTES = 5_000_000
"""Bytes of one file that are read as text; a larger one is a gap, artifacts have their own limit."""
SKIPPED = frozenset({".git/objects", ".git/lfs"})


@dataclass(frozen=True)
class Listing:
    """The names of a tree in the order of their paths, and what was not listed."""

    root: Path
    entries: tuple[Entry, ...]
    gaps: tuple[Gap, ...]
    replaced: Mapping[str, bytes] = field(default_factory=dict)
    """Contents that stand in for those on disk: how a change is tried without being written."""


def walk(root: Path, exclude: Iterable[str] = ()) -> Listing:
    """List the tree below `root` (a folder, or a single file), without the paths of `exclude` and what is below them.

    Raises `UnreadableFile` where there is none.
    """
    try:
        info = root.lstat()
        if stat.S_ISREG(info.st_mode):
            entry = Entry(root.name, "file", info.st_size, stat.S_IMODE(info.st_mode))
            return Listing(root.parent, (entry,), ())
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UnreadableFile(why, subject=str(root), hint="give a folder or a file to inspect") from error
    entries: list[Entry] = []
    gaps: list[Gap] = []
    try:
        for found in _below(fd, "", 0, SKIPPED | {e.strip("/") for e in exclude}):
            if isinstance(found, Gap):
                gaps.append(found)
            elif len(entries) >= MAX_FILES:
                gaps.append(Gap("", "budget", f"more than {MAX_FILES:,} names"))
                break
            else:
                entries.append(found)
    finally:
        os.close(fd)
    return Listing(root, tuple(sorted(entries, key=lambda e: e.path)), tuple(gaps))


def _below(fd: int, prefix: str, level: int, skipped: frozenset[str]) -> Iterator[Entry | Gap]:
    try:
        found = sorted(os.scandir(fd), key=lambda e: e.name)
    except OSError as error:
        yield Gap(prefix.rstrip("/"), "unreadable", errno.errorcode.get(error.errno or 0, "error"))
        return
    for item in found:
        path = prefix + item.name
        if path in skipped:
            continue
        try:
            info = item.stat(follow_symlinks=False)
            if stat.S_ISLNK(info.st_mode):
                yield Entry(path, "link", 0, 0, os.readlink(item.name, dir_fd=fd))
            elif stat.S_ISDIR(info.st_mode):
                if level >= MAX_DEPTH:
                    yield Gap(path, "too-deep", f"more than {MAX_DEPTH} folders below each other")
                    continue
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(item.name, flags, dir_fd=fd)
                try:
                    yield from _below(inner, path + "/", level + 1, skipped)
                finally:
                    os.close(inner)
            elif stat.S_ISREG(info.st_mode):
                yield Entry(path, "file", info.st_size, stat.S_IMODE(info.st_mode))
            else:
                yield Entry(path, "special", 0, stat.S_IMODE(info.st_mode))
        except OSError as error:
            yield Gap(path, "unreadable", errno.errorcode.get(error.errno or 0, "error"))


def read(listing: Listing, entry: Entry, limit: int = MAX_BYTES, *, head: bool = False) -> Source | Gap:
    """The content of one listed file, or why there is none. Follows no link and reads at most `limit` bytes.

    With `head`, a larger file gives its first `limit` bytes; otherwise it is a gap.
    """
    if entry.path in listing.replaced:
        data = listing.replaced[entry.path]
        return Source(entry.path, data[:limit], entry.mode, len(data))
    if entry.size > limit and not head:
        return Gap(entry.path, "too-large", f"{entry.size:,} bytes, {limit:,} are read")
    try:
        fd = _open(listing.root, entry.path)
    except OSError as error:
        return Gap(entry.path, "unreadable", errno.errorcode.get(error.errno or 0, "error"))
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return Gap(entry.path, "special", "no regular file any more")
        try:
            data = file.read(limit + 1)
        except OSError as error:
            return Gap(entry.path, "unreadable", errno.errorcode.get(error.errno or 0, "error"))
    if len(data) > limit and not head:
        return Gap(entry.path, "too-large", f"grew beyond {limit:,} bytes")
    return Source(entry.path, data[:limit], entry.mode, max(entry.size, len(data)))


def _open(root: Path, path: str) -> int:
    """Open `path` below `root` one part at a time, following no link on the way."""
    *folders, name = path.split("/")
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)
