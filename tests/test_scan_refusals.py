"""Places that cannot be written, inputs that cannot be read: one message with a hint, the contract's exit status, nothing left."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise.model import schema

EXCISE = [sys.executable, "-c", "from excise.cli.app import main; main()"]
FILES = {"run.json", "campaigns.json", "accounts.parquet", "harvest.parquet", "report.html"}
ROWS = [
    {
        "exchange_id": f"x{i}",
        "started_at": 1_767_225_600_000_000 + i * 1_000_000,
        "account_id": f"a{i % 5}",
        "model": "m",
        "user_text": f"question number {i} about something",
    }
    for i in range(200)
]


def excise(*words, **more):
    return subprocess.run(
        [*EXCISE, *map(str, words)], capture_output=True, text=True, timeout=180, check=False, **more
    )


def refused(done, status):
    """A message, a hint, no traceback."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("excise: ")
    assert "hint: " in done.stderr
    assert done.stdout == ""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in" / "exchanges.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS, schema.EXCHANGES), path)
    return path


def ndjson(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@contextlib.contextmanager
def disk(where, options):
    """A file system of its own, where one may be mounted."""
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_read_only_place_is_told_before_the_scan(source, tmp_path):
    with disk(tmp_path / "ro", "ro,size=1m") as place:
        refused(excise("scan", source, "--out", place / "run"), 4)
        assert not list(place.iterdir())


def test_a_full_temporary_folder_is_told(tmp_path):
    """NDJSON is converted into the temporary folder first; when that is full the message names a way out."""
    path = ndjson(tmp_path / "big.ndjson", [{**r, "output_text": os.urandom(6000).hex()} for r in ROWS])
    with disk(tmp_path / "small", "size=256k") as place:
        done = excise("scan", path, "--out", tmp_path / "run", env={**os.environ, "TMPDIR": str(place)})
        refused(done, 4)
        assert not (tmp_path / "run").exists()
        assert not list(place.iterdir())


def test_a_disk_that_fills_at_the_end_leaves_nothing(world, tmp_path):
    """There is room for the rehearsal, and not for the run."""
    with disk(tmp_path / "small", "size=80k") as place:
        refused(excise("scan", world, "--out", place / "run"), 4)
        assert not list(place.iterdir())


@pytest.mark.parametrize("what", ["a file", "a folder of something else", "a broken link"])
def test_a_name_that_is_taken_is_refused_with_force_too(source, tmp_path, what):
    out = tmp_path / "run"
    if what == "a file":
        out.write_text("mine")
    elif what == "a broken link":
        out.symlink_to(tmp_path / "nowhere")
    else:
        out.mkdir()
        (out / "thesis.txt").write_text("mine")
    for force in ([], ["--force"]):
        done = excise("scan", source, "--out", out, *force)
        if what == "a broken link" and done.returncode == 0:
            assert {p.name for p in out.iterdir()} == FILES
            continue
        refused(done, 4)
        assert not list(tmp_path.glob(".*"))
    if what == "a file":
        assert out.read_text() == "mine"
    if what == "a folder of something else":
        assert (out / "thesis.txt").read_text() == "mine"


def broken(path, how):
    """A source that cannot be read, made of rows that can."""
    table = pa.Table.from_pylist(ROWS, schema.EXCHANGES)
    if how == "no footer":
        pq.write_table(table, path)
        path.write_bytes(path.read_bytes()[:-40])
    elif how == "no rows":
        pq.write_table(table.slice(0, 0), path)
    elif how == "no bytes":
        path.write_bytes(b"")
    elif how == "no account_id":
        pq.write_table(table.drop_columns(["account_id"]), path)
    elif how == "a number for a name":
        odd = table.set_column(0, "started_at", pa.array([[1]] * len(ROWS)))
        pq.write_table(odd.drop_columns([odd.column_names[2]]), path)
    elif how == "too many bad rows":
        bad = [{**r, "account_id": None} if i % 3 == 0 else r for i, r in enumerate(ROWS)]
        return ndjson(path.with_suffix(".ndjson"), bad)
    elif how == "too many repeats":
        pq.write_table(pa.concat_tables([table, table]), path)
    elif how == "a cut stream":
        path = path.with_suffix(".ndjson.gz")
        whole = subprocess.run(
            ["gzip", "-c"], input=json.dumps(ROWS[0]).encode() * 50, capture_output=True, check=True
        )
        path.write_bytes(whole.stdout[:-12])
    return path


@pytest.mark.parametrize(
    "how",
    [
        "no footer", "no rows", "no bytes", "no account_id", "a number for a name", "too many bad rows", "too many repeats",
        "a cut stream",
    ],
)  # fmt: skip
def test_input_that_cannot_be_read_is_told(tmp_path, how):
    path = broken(tmp_path / "x.parquet", how)
    done = excise("scan", path, "--out", tmp_path / "run")
    refused(done, 3)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if how == "no account_id":
        assert "account_id" in done.stderr


def test_bad_rows_are_left_out_up_to_the_share_that_is_allowed(tmp_path):
    bad = [{**r, "account_id": None} if i % 10 == 0 else r for i, r in enumerate(ROWS)]
    path = ndjson(tmp_path / "x.ndjson", bad)
    assert excise("scan", path, "--out", tmp_path / "run").returncode == 3
    done = excise("scan", path, "--out", tmp_path / "run", "--max-bad-rows", "10%")
    assert done.returncode == 0, done.stderr
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["rejected"]["rows"] == 20
    assert info["counts"]["exchanges"] == 180
    assert info["rejected"]["samples"]


@pytest.mark.parametrize("value", ["-1", "2", "nan", "many", "101%"])
def test_a_share_that_is_none_is_wrong_usage(source, tmp_path, value):
    for option in ("--max-bad-rows", "--fail-on"):
        done = excise("scan", source, "--out", tmp_path / "run", f"{option}={value}")
        assert done.returncode == 2, (option, done.stderr)
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "run").exists()


def test_fail_on_counts_accusations_only(source, tmp_path):
    """Nothing is accused in ordinary traffic, so even the lowest bar is not reached."""
    done = excise("scan", source, "--out", tmp_path / "run", "--fail-on", "0")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_while_it_reads_a_slow_source(tmp_path, how):
    """The first stage converts text into the temporary folder: the signal comes as soon as there is a file in it."""
    path = tmp_path / "big.ndjson"
    with path.open("w") as out:
        for i in range(60_000):
            out.write(
                json.dumps({**ROWS[i % 200], "exchange_id": f"y{i}", "output_text": "word " * 200}) + "\n"
            )
    place, staging = tmp_path / "place", tmp_path / "staging"
    place.mkdir()
    staging.mkdir()
    process = subprocess.Popen(
        [*EXCISE, "scan", str(path), "--out", str(place / "run")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(staging)},
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(staging.glob("*/*.parquet")):
        time.sleep(0.02)
    assert any(staging.glob("*/*.parquet"))
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert not list(place.iterdir())
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert said.startswith("excise: interrupted")
        assert not list(staging.iterdir())
    shutil.rmtree(staging)
