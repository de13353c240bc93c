"""An inspection starts no process, opens no socket, imports nothing of the tree and writes nowhere but where it was told.

Two walls. The audit hook (PEP 578) sees what Python code asks for and refuses by an exception; it cannot be removed.
Landlock (Linux 5.13 and later, called through libc) lets the kernel refuse writes below everything but the named
folders, to this process and to all that it starts. Neither is a wall against hostile machine code: none runs here.

A process that talks to an agent's endpoint (`agent`) is behind the same walls with one gap, a host and a port (`reach`);
it does not read the tree: another process, without that gap, does.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

FORBIDDEN: Final = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn",
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "pickle.find_class", "ctypes.dlopen", "code.__new__", "ftplib.connect", "http.client.connect",
    "urllib.Request", "smtplib.connect", "webbrowser.open", "os.symlink", "os.link", "os.chmod", "os.chown",
)  # fmt: skip
"""Audit events that end an inspection."""
WRITING: Final = (
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.truncate",
    "shutil.rmtree",
    "shutil.move",
)
"""Audit events whose paths must lie below an allowed folder."""


REACHING: Final = ("socket.getaddrinfo", "socket.connect", "http.client.connect")
"""Audit events that name whom a process talks to."""
BETWEEN_WORKERS: Final = ("excise.inspect", "concurrent.futures", "functools", "multiprocessing.reduction")
"""Modules whose classes the processes of one inspection send each other; no other pickle is read."""


class Refused(Exception):
    """Something asked for what an inspection never does."""


class _Wall:
    """The state of the hook: hooks cannot be removed, so it is switched."""

    def __init__(self) -> None:
        self.on = False
        self.installed = False
        self.compiling = sys.dont_write_bytecode
        self.writable: tuple[str, ...] = ()
        self.root = ""
        self.reach: tuple[str, int] | None = None

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in FORBIDDEN and not self._permits(event, args):
            raise Refused(f"{event} {args[:2]}"[:200])
        if event == "open" and _for_writing(args):
            self._below(event, args[0])
        elif event in WRITING:
            for path in args[:2] if event in ("os.rename", "shutil.move") else args[:1]:
                self._below(event, path)
        elif event == "exec" and self.root and _inside(getattr(args[0], "co_filename", None), self.root):
            raise Refused(f"code of {args[0].co_filename}")

    def _permits(self, event: str, args: tuple[Any, ...]) -> bool:
        """What is forbidden but for one module, host or port. A connection names its number, not its host."""
        if event == "pickle.find_class":
            return str(args[0]).startswith(BETWEEN_WORKERS)
        if self.reach is None or event not in REACHING:
            return False
        if event == "socket.connect":
            return isinstance(args[1], tuple) and args[1][1] == self.reach[1]
        host, port = args[:2] if event == "socket.getaddrinfo" else args[1:3]
        return (host, port) == self.reach

    def _below(self, event: str, path: Any) -> None:
        if isinstance(path, int):
            return
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  no method of Path may run inside the hook
        if not any(name == top or name.startswith(top + os.sep) for top in self.writable):
            raise Refused(f"{event} of {name}")


def _for_writing(args: tuple[Any, ...]) -> bool:
    mode, flags = args[1], args[2]
    if isinstance(mode, str):
        return any(c in mode for c in "wax+")
    return bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _inside(file: Any, root: str) -> bool:
    """Whether a file of code is one of the tree; this program's own is not, also where it inspects itself."""
    if not isinstance(file, str) or file.startswith(_OWN):
        return False
    return os.path.abspath(file).startswith(root + os.sep)  # noqa: PTH100


_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120


_WALL = _Wall()


def enter(root: Path, writable: Iterable[Path] = (), reach: tuple[str, int] | None = None) -> None:
    """Raise the audit hook's wall in this process: writes below `writable` only, no import from below `root`.

    `reach` is the only host and port that it may talk to. A module that is loaded late leaves no compiled file behind.
    """
    _WALL.reach = reach
    _WALL.writable = tuple(str(p.resolve()) for p in writable)
    _WALL.root = str(root.resolve())
    if not _WALL.installed:
        sys.addaudithook(_WALL)
        _WALL.installed = True
    _WALL.compiling, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    _WALL.on = True


def leave() -> None:
    """Lower the audit hook's wall (Landlock stays: it cannot be lowered)."""
    _WALL.on = False
    sys.dont_write_bytecode = _WALL.compiling


_CREATE, _ADD, _RESTRICT = 444, 445, 446  # landlock_* system calls, the same number on every architecture
_ACCESS_V1 = (1 << 13) - 1
_READS = (1 << 2) | (1 << 3)  # READ_FILE, READ_DIR
_EXECUTE = 1 << 0
_PR_SET_NO_NEW_PRIVS = 38
_NET_V4 = 0b11  # BIND_TCP, CONNECT_TCP
_CONNECT_TCP = 0b10
_RULE_PATH, _RULE_PORT = 1, 2


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_fs", ctypes.c_uint64), ("handled_net", ctypes.c_uint64))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def landlock(writable: Iterable[Path] = (), port: int | None = None) -> int:
    """Let the kernel refuse writing and executing from now on, but below `writable`, and TCP where it knows how.

    `port` is the only one that connections may go to, None for none.

    Returns the version of Landlock's interface, 0 where the kernel has none (then nothing is restricted). It cannot
    be undone and is inherited: call it in a process made for the inspection.
    """
    if sys.platform != "linux":
        return 0
    libc = _libc()
    version = int(libc.syscall(_CREATE, None, 0, 1))
    if version < 1:
        return 0
    handled = _ACCESS_V1 & ~_READS | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)
    net = _NET_V4 if version >= 4 else 0
    rules = _Ruleset(handled, net)
    size = 16 if net else 8
    fd = int(libc.syscall(_CREATE, ctypes.byref(rules), size, 0))
    if fd < 0:
        return 0
    try:
        for path in writable:
            _allow(libc, fd, path, handled & ~_EXECUTE)
        if net and port is not None:
            libc.syscall(_ADD, fd, _RULE_PORT, ctypes.byref(_Port(_CONNECT_TCP, port)), 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return version if libc.syscall(_RESTRICT, fd, 0) == 0 else 0
    finally:
        os.close(fd)


def _allow(libc: Any, ruleset: int, path: Path, access: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        beneath = _Beneath(access, parent)
        libc.syscall(_ADD, ruleset, _RULE_PATH, ctypes.byref(beneath), 0)
    finally:
        os.close(parent)


@contextmanager
def walls(
    root: Path, writable: Iterable[Path], *, jobs: int = 1, reach: tuple[str, int] | None = None
) -> Iterator[int]:
    """Both walls for the length of the body; gives the version of Landlock's interface, 0 where there is none.

    Landlock stays afterwards. With more than one process the semaphores between them need `/dev/shm`.
    """
    folders = [p for p in writable if p.is_dir()]
    shared = [Path("/dev/shm")] if jobs > 1 and Path("/dev/shm").is_dir() else []  # noqa: S108  not a file of ours
    version = landlock([*folders, *shared], reach[1] if reach else None)
    enter(root, folders, reach)
    try:
        yield version
    finally:
        leave()
