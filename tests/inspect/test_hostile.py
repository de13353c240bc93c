"""Hostile trees, each through the real command in a process that is watched from outside the tool's own walls."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inspect_hostile import CASES, MARKER, one
from repository import ROOT

SECONDS = 60
"""Processor time that a tree may take; the slowest takes a tenth."""
MEMORY = 700_000
"""Resident KiB that a tree may take."""
SMALL = 10_000_000


def content(folder):
    """Names, kinds, times and contents of a tree; of a large file the size."""
    seen = []
    for entry in os.scandir(folder):
        info = entry.stat(follow_symlinks=False)
        held = info.st_size
        if entry.is_dir(follow_symlinks=False):
            held = content(entry.path)
        elif entry.is_file(follow_symlinks=False) and info.st_size < SMALL:
            held = hashlib.sha256(Path(os.fsdecode(entry.path)).read_bytes()).hexdigest()
        seen.append((entry.name, info.st_mode, info.st_mtime_ns, held))
    return sorted(seen)


@pytest.fixture
def run(tmp_path):
    """Run the command on a tree: what it printed, what it did that it must not, and its peak of memory."""
    tree, out, log = tmp_path / "tree", tmp_path / "out", tmp_path / "log"

    def go(fill, *words, act="main()"):
        tree.mkdir()
        out.mkdir()
        log.touch()
        fill(tree)
        before = content(os.fsencode(tree))
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "LC_ALL"}}
        script = ROOT / "tests" / "inspect_watch.py"
        done = subprocess.run(
            [sys.executable, "-B", "-P", script, log, out, tree, str(SECONDS), act, tree, *words],
            cwd=tree, capture_output=True, timeout=SECONDS * 6, check=False,
            env=kept | {"HOME": str(out), "TMPDIR": str(out)},
        )  # fmt: skip
        *events, peak = log.read_text("utf-8", "replace").splitlines()
        assert content(os.fsencode(tree)) == before
        assert not list(tmp_path.rglob(MARKER))
        assert {p.name for p in tmp_path.iterdir()} - {"beyond"} == {"log", "out", "tree"}
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


def test_what_a_file_says_of_itself_changes_nothing(run):
    """The same finding, with the same severity, beside every suppression that another tool would obey."""
    case = next(c for c in CASES if c.name == "suppressions")
    done, _, _ = run(case.fill, "--format", "json")
    (finding,) = [f for f in json.loads(done.stdout)["findings"] if f["weakness"] == "code-execution"]
    assert finding["severity"] in {"high", "critical"}
    assert finding["proven"]


@pytest.mark.parametrize(
    ("act", "event"),
    [
        ("os.system('true')", "os.system"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import socket; socket.socket().close()", "socket.__new__"),
        ("open(WORDS[0] + '/module_of_the_tree.py', 'r+').close()", "open"),
        ("open(WORDS[0] + '/new', 'x').close(); os.remove(WORDS[0] + '/new')", "os.remove"),
        ("sys.path.insert(0, WORDS[0]); import module_of_the_tree", "exec"),
        ("import pickle; pickle.loads(b'cbuiltins\\nset\\n.')", "pickle.find_class"),
    ],
)
def test_the_watch_sees_what_must_not_happen(act, event, run, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "content", lambda _: None)
    _, events, _ = run(one("module_of_the_tree.py", "x = 1\n"), act=act)
    assert event in {line.split()[0] for line in events}
