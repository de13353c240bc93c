"""Run `excise inspect` with a watch of its own: what must not happen is written to a log, which the tool knows nothing of.

    python -B -P inspect_watch.py LOG OUT TREE SECONDS ACT WORD...

`ACT` is what is run, `main()` but for the test of the watch itself.
"""

from __future__ import annotations

import os
import resource
import sys

LOG, OUT, TREE, SECONDS, ACT, *WORDS = sys.argv[1:]
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn"}
TALKS = {
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "socket.__new__",
}
CHANGES = {
    f"os.{what}"
    for what in (
        "remove",
        "rename",
        "rmdir",
        "mkdir",
        "truncate",
        "symlink",
        "link",
        "chmod",
        "chown",
        "utime",
    )
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
log = os.open(LOG, os.O_WRONLY | os.O_APPEND)
status = open("/proc/self/status")  # noqa: PTH123, SIM115  before the walls go up; read again at the end


def inside(path, *folders) -> bool:
    return isinstance(path, str | bytes) and os.path.abspath(os.fsdecode(path)).startswith(folders)  # noqa: PTH100  no Path in a hook


def bad(event, args) -> bool:
    """Whether an audit event is one that an inspection never causes."""
    if event in STARTS or event in TALKS or event == "pickle.find_class":
        return True
    if event in CHANGES:
        return not inside(args[0], OUT)
    if event == "open" and isinstance(args[0], str | bytes):
        mode, flags = args[1] or "", args[2] or 0
        return bool(flags & WRITES or set(mode) & set("wax+")) and not inside(args[0], OUT, "/dev/")
    if event in {"compile", "exec"}:
        return TREE in str(getattr(args[-1], "co_filename", args[-1]))
    return event == "import" and inside(args[1], TREE)


def watch(event, args) -> None:
    if bad(event, args):
        os.write(log, f"{event} {args!r}"[:300].replace("\n", " ").encode("utf-8", "replace") + b"\n")


resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS) + 5))
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from excise.cli.app import main  # noqa: E402, F401  after the limits; ACT calls it

sys.addaudithook(watch)
sys.argv = ["excise", "inspect", *WORDS]
try:
    exec(ACT)
finally:
    # Not ru_maxrss: that starts with what the parent had before it became this program.
    status.seek(0)
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
    os.write(log, f"peak {peak}\n".encode())
