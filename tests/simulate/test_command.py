"""`excise simulate` as a command: exit statuses, JSON, and what a refused command leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def run(*arguments: str, cwd) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from excise.cli.app import main; main()", "simulate", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_a_world_is_written_and_summed_up_as_json(tmp_path):
    done = run("--exchanges", "2000", "--level", "2", "--out", "w", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["campaigns"] == 1
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == [
        "accounts.parquet", "asn_table.csv", "events.parquet", "exchanges",
    ]  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "w-labels").iterdir()) == [
        "account_labels.parquet", "campaigns.json", "exchange_labels.parquet", "world.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        ("--level", "9"),
        ("--kinds", "cot,nonsense"),
        ("--kinds", ""),
        ("--exchanges", "5"),
        ("--seed", "-1"),
        ("--campaigns", "900"),
    ],
)
def test_wrong_usage_is_2(tmp_path, wrong):
    done = run("--out", "w", *wrong, cwd=tmp_path)
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["w", ".", "/"])
def test_a_place_that_is_taken_is_4(tmp_path, out):
    (tmp_path / "w").mkdir()
    done = run("--exchanges", "2000", "--out", out, cwd=tmp_path)
    assert done.returncode == 4
    assert "hint" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_a_place_that_cannot_be_written_is_4(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run("--exchanges", "1000", "--level", "none", "--out", "file/w", cwd=tmp_path)
    assert done.returncode == 4
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
