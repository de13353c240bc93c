"""The second process of a very first scan: it compiles what comes after the texts, and nothing is left of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from excise import warm
from excise.sketch import kernel


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the kernels that the helper compiles, by module."""
    kept, folder = tmp_path_factory.mktemp("kernels"), tmp_path_factory.mktemp("world")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(kept)}
    subprocess.run(
        [sys.executable, "-P", "-m", "excise.warm", str(folder)], check=True, env=environment, timeout=300
    )
    return {path.name.split("-")[0] for path in kept.rglob("*.nbi")}


def test_it_compiles_kernels_of_every_later_stage(compiled: set[str]) -> None:
    wanted = {
        "repeats.say_repeated",
        "shared_wrapper._accumulate",
        "communities._move",
        "cores._peel_all",
        "matching._match",
    }
    assert wanted <= compiled


def test_it_leaves_the_kernels_that_read_texts_to_the_scan(compiled: set[str]) -> None:
    assert not [name for name in compiled if name.startswith(("kernel.", "marks.", "sampling."))]


def test_it_is_started_only_where_nothing_is_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    kept = type("Stats", (), {"cache_path": str(tmp_path)})
    monkeypatch.setattr(kernel, "sketch_rows", type("Kernel", (), {"stats": kept}))
    (tmp_path / "kernel.sketch_rows-1.py311.nbi").touch()
    with warm.compiling():
        assert not started
    (tmp_path / "kernel.sketch_rows-1.py311.nbi").unlink()
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with warm.compiling():
        assert not started


def test_a_scan_goes_on_where_no_process_can_be_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    kept = type("Stats", (), {"cache_path": str(tmp_path)})
    monkeypatch.setattr(kernel, "sketch_rows", type("Kernel", (), {"stats": kept}))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(subprocess, "Popen", refused)
    with warm.compiling():
        pass


def test_it_ends_with_the_scan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = type("Stats", (), {"cache_path": str(tmp_path)})
    monkeypatch.setattr(kernel, "sketch_rows", type("Kernel", (), {"stats": kept}))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    children: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def sleeping(_: list[str], **options: int) -> subprocess.Popen[bytes]:
        children.append(begin(["/bin/sleep", "600"], **options))
        return children[-1]

    monkeypatch.setattr(subprocess, "Popen", sleeping)
    with pytest.raises(KeyboardInterrupt), warm.compiling():
        raise KeyboardInterrupt
    assert children[0].returncode is not None
