"""The command as a user runs it: its output, its files, its exit status."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import exchange, write_parquet
from excise.model.schema import ACCOUNTS, EXCHANGES


def excise(*arguments, **how):
    command = [
        sys.executable,
        "-c",
        "from excise.cli.app import main; main()",
        "ingest",
        *map(str, arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **how)


def leftovers(folder):
    return [path.name for path in folder.iterdir() if ".partial" in path.name]


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    rows = [exchange(n) for n in range(300)]
    lines = [json.dumps({**row, "started_at": row["started_at"].isoformat()}) for row in rows]
    (folder / "exchanges.ndjson").write_text("\n".join([*lines, '{"cut', ""]))
    (folder / "accounts.csv").write_text("account_id,verified\na1,true\na2,false\n")
    (folder / "asn_table.csv").write_text("asn,kind,country\n64500,hosting,DE\n")
    return folder


def test_logs_become_a_folder_of_the_contract(logs, tmp_path):
    done = excise(logs, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "300 exchanges" in done.stdout
    assert "1 bad rows left out" in done.stdout
    written = pq.read_table(tmp_path / "out" / "exchanges")
    assert written.schema.equals(EXCHANGES)
    assert written.num_rows == 300
    assert pq.read_table(tmp_path / "out" / "accounts.parquet").schema.equals(ACCOUNTS)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "accounts.parquet",
        "asn_table.csv",
        "exchanges",
    ]
    again = excise(tmp_path / "out", "--out", tmp_path / "again", "--json")
    assert json.loads(again.stdout) == {
        "schema": 1,
        "out": str(tmp_path / "again"),
        "rows": 300,
        "rejected": {"rows": 0, "reasons": {}, "samples": [], "repaired": {}},
    }
    assert pq.read_table(tmp_path / "again" / "exchanges").equals(written)


def test_explain_says_what_is_there_and_what_it_allows(logs):
    said = json.loads(excise(logs / "exchanges.ndjson", "--explain", "--json").stdout)
    assert said["rows"] == 300
    assert said["duplicate_ids"] == 0
    assert said["inputs"][0]["format"] == "json"
    assert said["columns"]["user_text"] == {"non_null": 300, "share": 1.0}
    assert said["columns"]["output_text"] == {"non_null": 0, "share": 0.0}
    assert said["rejected"]["reasons"] == {"bad-json": 1}
    evidence = {one["evidence"]: one for one in said["evidence"]}
    assert evidence["content"]["available"]
    assert evidence["echo"]["why"] == "exchanges have no output_text"
    assert evidence["accounts"]["why"] == "there is no accounts table"
    text = excise(logs, "--explain").stdout
    assert "exchanges.ndjson: exchanges, json, 301 rows" in text
    assert "no  echo" in text
    assert "yes accounts" in text
    assert "row 301: bad-json" in text


def test_names_are_replaced_at_the_door(logs, tmp_path):
    key = tmp_path / "case.key"
    assert excise(logs, "--out", tmp_path / "out", "--pseudonymise", key).returncode == 0
    written = pq.read_table(tmp_path / "out" / "exchanges")["account_id"].to_pylist()
    known = pq.read_table(tmp_path / "out" / "accounts.parquet")["account_id"].to_pylist()
    assert all(name.startswith("acct_") for name in written)
    assert set(known) < set(written)
    key.chmod(0o644)
    refused = excise(logs, "--out", tmp_path / "more", "--pseudonymise", key)
    assert refused.returncode == 2
    assert "hint: chmod 600" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["{logs}"], 2, "needs either --out or --explain"),
        (["{logs}", "--out", "{tmp}/out", "--explain"], 2, "needs either"),
        (["{logs}", "--out", "{tmp}/out", "--max-bad-rows", "2"], 2, "no share"),
        (["{logs}", "--out", "{tmp}/out", "--format", "none"], 2, "unknown format"),
        (["{logs}", "--out", "{tmp}/out", "--max-bad-rows", "0.1%"], 3, "1 of 301 rows are bad"),
        (["{tmp}/missing", "--out", "{tmp}/out"], 3, "no such file"),
        (["{tmp}/text", "--out", "{tmp}/out"], 3, "no known log format"),
        (["{logs}", "--out", "{logs}"], 4, "exists already"),
        (["{logs}", "--out", "{tmp}/text/out"], 4, "cannot be written"),
    ],
)
def test_mistakes_end_with_a_hint_and_write_nothing(logs, tmp_path, arguments, status, said):
    (tmp_path / "text").write_text("dear diary\n\x1b[31mnothing\n")
    done = excise(*(one.format(logs=logs, tmp=tmp_path) for one in arguments))
    assert done.returncode == status
    assert said in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert leftovers(tmp_path) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    rows = [exchange(n, user_text=os.urandom(2000).hex()) for n in range(500)]
    source = write_parquet(tmp_path / "t.parquet", rows)

    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = excise(source, "--out", tmp_path / "out", preexec_fn=little_room)
    assert done.returncode == 4
    assert "cannot be written" in done.stderr
    assert not (tmp_path / "out").exists()
    assert leftovers(tmp_path) == []


def test_an_export_in_many_batches_keeps_order_and_empty_tables_work(tmp_path):
    pq.write_table(pa.Table.from_pylist([], EXCHANGES), tmp_path / "t.parquet")
    assert excise(tmp_path / "t.parquet", "--out", tmp_path / "none").returncode == 0
    assert pq.read_table(tmp_path / "none" / "exchanges").num_rows == 0
    rows = [exchange(n) for n in range(140_000)]
    write_parquet(tmp_path / "many.parquet", rows)
    assert excise(tmp_path / "many.parquet", "--out", tmp_path / "many").returncode == 0
    ids = pq.read_table(tmp_path / "many" / "exchanges", columns=["exchange_id"])
    assert ids["exchange_id"].to_pylist() == [row["exchange_id"] for row in rows]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_nothing_behind(tmp_path, number):
    """It is stopped in the midst of its work: the hidden folder is there already, the result is not."""
    logs = tmp_path / "logs.ndjson"
    lines = [
        json.dumps({**exchange(n), "started_at": exchange(n)["started_at"].isoformat()})
        for n in range(60_000)
    ]
    logs.write_text("\n".join(lines))
    out = tmp_path / "out"
    code = "from excise.cli.app import main; main()"
    running = subprocess.Popen(
        [sys.executable, "-c", code, "ingest", str(logs), "--out", str(out)], stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not leftovers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(number)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert leftovers(tmp_path) == []
    assert not out.exists()
