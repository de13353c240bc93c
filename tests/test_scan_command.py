"""`excise scan` as a user meets it: exit statuses, messages, and no half-written output whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from excise.cli.app import app

FILES = {"run.json", "campaigns.json", "accounts.parquet", "harvest.parquet", "report.html"}
EXCISE = [sys.executable, "-c", "from excise.cli.app import main; main()"]


def excise(*words, **more):
    return subprocess.run(
        [*EXCISE, *map(str, words)], capture_output=True, text=True, timeout=180, check=False, **more
    )


def test_a_scan_ends_with_a_run_folder_and_a_table(world, tmp_path):
    out = tmp_path / "run"
    done = excise("scan", world, "--out", out)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.iterdir()} == FILES
    assert "distillation" in done.stdout
    assert json.loads((out / "run.json").read_text())["product"] == "excise"


def test_json_and_fail_on(world, tmp_path):
    done = excise("scan", world, "--out", tmp_path / "run", "--json", "--fail-on", "0.9")
    assert done.returncode == 10
    assert json.loads(done.stdout)["campaigns"]


def test_a_run_is_not_overwritten_unless_told(world, tmp_path):
    out = tmp_path / "run"
    assert excise("scan", world, "--out", out).returncode == 0
    first = (out / "accounts.parquet").read_bytes()
    refused = excise("scan", world, "--out", out)
    assert refused.returncode == 4
    assert "Traceback" not in refused.stderr
    assert excise("scan", world, "--out", out, "--force").returncode == 0
    assert (out / "accounts.parquet").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["/nowhere/at/all"], 3, "hint"),
        (["{world}", "--settings", "{bad}"], 2, "did you mean"),
        (["{world}", "--max-bad-rows", "lots"], 2, ""),
        (["{cut}"], 3, "hint"),
    ],
)
def test_mistakes_end_with_a_message_and_nothing_written(world, tmp_path, words, status, said):
    bad, cut = tmp_path / "bad.toml", tmp_path / "cut.parquet"
    bad.write_text("[link]\nedge_natts = 3\n")
    cut.write_bytes(next((world / "exchanges").iterdir()).read_bytes()[:5000])
    out = tmp_path / "run"
    done = excise("scan", *[w.format(world=world, bad=bad, cut=cut) for w in words], "--out", out)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def leftovers(folder):
    return [p for p in folder.iterdir() if p.name != "keep"]


@pytest.mark.parametrize("delay", [0.3, 1.2, 2.0, 2.8])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_at_any_moment_it_leaves_no_run(world, tmp_path, delay, how):
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        [*EXCISE, "scan", str(world), "--out", str(folder / "run")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(delay)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    if (folder / "run").exists():  # it was quicker: then the run is whole
        assert {p.name for p in (folder / "run").iterdir()} == FILES
        return
    if how != signal.SIGKILL:
        assert process.returncode in (130, -how)
        assert leftovers(folder) == []
        assert "Traceback" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told_and_leaves_nothing(world, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        done = excise("scan", world, "--out", small / "run")
        assert done.returncode == 4, done.stderr
        assert "Traceback" not in done.stderr
        assert leftovers(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_pseudonyms_replace_every_identifier(world, tmp_path):
    key = tmp_path / "case.key"
    plain, hidden = tmp_path / "plain", tmp_path / "hidden"
    assert excise("scan", world, "--out", plain).returncode == 0
    done = excise("scan", world, "--out", hidden, "--pseudonymise", key)
    assert done.returncode == 0, done.stderr
    assert key.stat().st_mode & 0o777 == 0o600
    names = set(pq.read_table(plain / "accounts.parquet")["account_id"].to_pylist())
    assert not names & set(pq.read_table(hidden / "accounts.parquet")["account_id"].to_pylist())
    said = (hidden / "report.html").read_text() + (hidden / "campaigns.json").read_text()
    assert not [n for n in names if n in said]
    sizes = [
        sorted(
            c["accounts"]
            for c in json.loads((d / "campaigns.json").read_text())
            if c["verdict"] == "distillation"
        )
        for d in (plain, hidden)
    ]
    assert sizes[0] == sizes[1]


def test_every_command_is_there():
    assert {c.name for c in app.registered_commands} >= {
        "scan",
        "ingest",
        "simulate",
        "report",
        "explain",
        "diff",
        "export",
    }
