"""Hostile trees, each through the real command in a process that is watched from outside the tool's own walls."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap

import pytest

from inspect_hostile import CASES, MARKER

SECONDS = 60
"""Processor time a tree may take; the slowest takes a tenth."""
MEMORY = 700_000
"""Resident KiB a tree may take."""
WATCHED = textwrap.dedent("""
    import os, resource, sys
    resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds} + 5))
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    out, tree, log = {out!r}, {tree!r}, os.open({log!r}, os.O_WRONLY | os.O_APPEND)
    STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn")
    TALKS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.__new__")
    CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.symlink", "os.link", "os.chmod", "os.chown", "os.utime")
    def watch(event, args):
        bad = event in STARTS or event in TALKS or event in ("pickle.find_class", "marshal.loads.untrusted")
        if event in CHANGES:
            bad = not str(args[0]).startswith(out)
        if event == "open" and isinstance(args[0], (str, bytes)):
            name, mode, flags = os.fsdecode(args[0]), args[1] or "", args[2] or 0
            writes = any(c in mode for c in "wax+") if isinstance(mode, str) else False
            writes = writes or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
            bad = writes and not name.startswith((out, "/dev/"))
        if event in ("compile", "exec") and tree in str(getattr(args[-1], "co_filename", args[-1])):
            bad = True
        if event == "import" and isinstance(args[1], str) and args[1].startswith(tree):
            bad = True
        if bad:
            os.write(log, (event + " " + repr(args)[:300] + "\\n").encode("utf-8", "replace"))
    sys.path = [p for p in sys.path if p not in ("", tree)]
    from excise.cli.app import main
    sys.addaudithook(watch)
    sys.argv = ["excise", "inspect", *{words!r}]
    try:
        main()
    finally:
        os.write(log, ("peak %d\\n" % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss).encode())
""")


def content(folder):
    """Names, kinds, targets and contents of a tree; a large file by its size."""
    seen = []
    for path, folders, names in os.walk(os.fsencode(folder)):
        for name in sorted(folders) + sorted(names):
            whole = os.path.join(path, name)
            info = os.lstat(whole)
            small = os.path.isfile(whole) and not os.path.islink(whole) and info.st_size < 10_000_000
            held = (
                hashlib.sha256(open(whole, "rb").read()).hexdigest()
                if small
                else info.st_size * (not os.path.isdir(whole))
            )
            seen.append((whole, info.st_mode, info.st_mtime_ns, held))
    return seen


@pytest.fixture
def run(tmp_path):
    """Run the command on a tree and say what it printed, what it did beside that, and its peak of memory."""

    def go(fill, *words):
        tree, out, log = tmp_path / "tree", tmp_path / "out", tmp_path / "log"
        for folder in (tree, out):
            folder.mkdir()
        log.touch()
        fill(tree)
        before = content(tree)
        code = WATCHED.format(
            seconds=SECONDS, out=str(out), tree=str(tree), log=str(log), words=[str(tree), *words]
        )
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "LC_ALL", "PYTHONPATH"}}
        done = subprocess.run(
            [sys.executable, "-B", "-P", "-c", code],
            cwd=tree, capture_output=True, timeout=SECONDS * 6, check=False,
            env=kept | {"HOME": str(out), "TMPDIR": str(out)},
        )  # fmt: skip
        *events, peak = log.read_text("utf-8", "replace").splitlines()
        assert content(tree) == before
        assert not [p for p in tmp_path.rglob(MARKER)]
        assert sorted(p.name for p in tmp_path.iterdir() if p.name != "beyond") == ["log", "out", "tree"]
        return done, events, int(peak.split()[1])

    return go


def test_there_are_enough_trees():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_hostile_tree_has_no_effect(case, run):
    done, events, peak = run(case.fill, "--format", "json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == b""
    assert events == []
    assert peak < MEMORY
    report = json.loads(done.stdout)
    found = {f["weakness"] for f in report["findings"]}
    gaps = {g["reason"] for g in report["coverage"]["gaps"]}
    assert "analyser" not in gaps, report["coverage"]["gaps"]
    assert case.says in found | {""}
    assert case.gap in gaps | {""}
    assert not [f for f in report["findings"] if "beyond" in f["path"]]


def test_the_watch_sees_what_it_should(run, monkeypatch):
    """The watch itself is no blind one: a command that does what it must not is seen."""
    import inspect_hostile

    bad = "import excise.cli.app, os; excise.cli.app.main = lambda: (os.system('true'), open('x', 'w').close(), os.remove('x'))"
    monkeypatch.setattr(
        sys.modules[__name__],
        "WATCHED",
        WATCHED.replace("    from excise.cli", "    from excise.cli").replace(
            "import main\n", f"import main\n{bad}\nmain = excise.cli.app.main\n"
        ),
    )
    with pytest.raises(AssertionError):
        run(inspect_hostile.one("a.py", ""))
