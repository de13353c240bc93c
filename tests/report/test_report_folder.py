"""The run folder: the same bytes, whole or not at all, and read as if a stranger had made it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import factory
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.errors import InputError, OutputError
from excise.model.findings import Campaign, Evidence, Segment, Wrapper
from excise.model.run import Run
from excise.model.schema import ACCOUNTS_OUT, HARVEST_OUT
from excise.report import canonical, folder, staging

HERE = Path(__file__).parent


def contents(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


@pytest.mark.parametrize(
    "kind", [{"campaigns": 0}, {"campaigns": 1}, {"campaigns": 9}, {"campaigns": 3, "hostile": True}]
)
def test_what_is_written_is_read_back(tmp_path, kind):
    run = factory.run(**kind)
    folder.write(run, tmp_path / "run")
    assert set(contents(tmp_path / "run")) == set(folder.FILES)
    back = folder.read(tmp_path / "run")
    assert back == folder.settled(run)
    assert back.campaigns == run.campaigns
    assert back.info == json.loads(json.dumps(run.info))
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_same_bytes_for_any_order_and_chunking_of_rows_and_noise_of_addition(tmp_path):
    run = factory.run(4)
    chunks = [run.accounts.slice(i, 7) for i in range(0, run.accounts.num_rows, 7)]
    shuffled = pa.concat_tables(chunks[::-1])
    place = shuffled.schema.get_field_index("score")
    noisy = pa.array([x + 1e-15 for x in shuffled["score"].to_pylist()], pa.float64())
    other = replace(
        run,
        accounts=shuffled.set_column(place, "score", noisy).select(ACCOUNTS_OUT.names[::-1]),
        harvest=run.harvest.take(list(range(run.harvest.num_rows))[::-1]),
        campaigns=tuple(replace(c, confidence=c.confidence + 1e-14) for c in run.campaigns),
        info=dict(reversed(run.info.items())),
    )
    folder.write(run, tmp_path / "a")
    folder.write(other, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


names = st.text(st.characters(codec="utf-8"), max_size=20)
shares = st.floats(0, 1)


@settings(max_examples=40, deadline=None)
@given(
    words=st.lists(names, min_size=3, max_size=3),
    confidence=shares,
    odds=st.floats(-1e6, 1e6),
    rows=st.lists(
        st.tuples(names, shares, st.lists(names, max_size=2)), max_size=5, unique_by=lambda r: r[0]
    ),
)
def test_round_trip_of_any_words_and_figures(tmp_path_factory, words, confidence, odds, rows):
    c = Campaign(
        words[0], "relay", confidence, confidence, 1, 1, 1, words[1], words[2], (words[1],),
        (Evidence(words[1], "time", words[2], odds, 0.0, odds),), (), (), wrapper=Wrapper((Segment(words[0], True),), 0.5),
    )  # fmt: skip
    table = [
        {
            "account_id": i,
            "exchanges": 1,
            "score": s,
            "harvest_exchanges": 0,
            "reasons": why,
            "campaign_id": words[0],
        }
        for i, s, why in rows
    ]
    accounts = pa.Table.from_pylist(table, schema=ACCOUNTS_OUT)
    run = Run({"schema": 1, "settings": {words[1]: odds}}, (c,), accounts, HARVEST_OUT.empty_table())
    out = tmp_path_factory.mktemp("any") / "run"
    folder.write(run, out)
    back = folder.read(out)
    assert back == folder.settled(run)
    assert back.campaigns[0].evidence[0].value == pytest.approx(odds, rel=1e-8, abs=1e-11)
    assert sorted(back.accounts["account_id"].to_pylist()) == sorted(i for i, _, _ in rows)


def test_a_number_that_json_cannot_hold_is_named_and_nothing_is_left(tmp_path):
    run = factory.run(1)
    bad = replace(run, campaigns=(replace(run.campaigns[0], q_value=float("nan")),))
    with pytest.raises(ValueError, match="q_value is nan"):
        folder.write(bad, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_canonical_json_has_sorted_keys_few_digits_and_a_last_newline():
    assert canonical.document({"b": 0.1 + 0.2, "a": [-0.0, 1e-16]}).decode().split() == [
        "{", '"a":', "[", "0.0,", "0.0", "],", '"b":', "0.3", "}",
    ]  # fmt: skip
    assert canonical.lines([]) == b"[]\n"
    with pytest.raises(TypeError, match="set"):
        canonical.plain({"a": {1}})


def test_an_occupied_folder_is_refused_and_replaced_only_when_asked(tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    folder.write(factory.run(1), out)  # an empty folder is as good as none
    with pytest.raises(OutputError, match="not empty") as refused:
        folder.write(factory.run(2), out)
    assert "--force" in refused.value.hint
    assert len(folder.read(out).campaigns) == 1
    folder.write(factory.run(2), out, replace=True)
    assert len(folder.read(out).campaigns) == 2
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds more than a run"):
        folder.write(factory.run(1), out, replace=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(OutputError, match="not a folder"):
        folder.check_writable(tmp_path / "run", replace=True)


def test_check_writable_leaves_nothing_not_even_parents(tmp_path):
    folder.check_writable(tmp_path / "a" / "b" / "run")
    assert list(tmp_path.iterdir()) == []
    folder.write(factory.run(0), tmp_path / "a" / "b" / "run")
    assert folder.read(tmp_path / "a" / "b" / "run").campaigns == ()


def fail_half_way(out, problem):
    with staging.staged_folder(out) as inside:
        (inside / "half").write_text("x")
        raise problem


@pytest.mark.parametrize("problem", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_error_or_an_interrupt_on_the_way_leaves_nothing(tmp_path, problem):
    with pytest.raises(problem):
        fail_half_way(tmp_path / "new" / "run", problem)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_swap_puts_the_old_run_back(tmp_path):
    out = tmp_path / "run"
    folder.write(factory.run(1), out)
    with pytest.raises(OutputError), staging.staged_folder(out, replace=True) as inside:
        inside.rmdir()  # somebody removed it under our hands
    assert len(folder.read(out).campaigns) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


WRITER = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
import factory
from excise.report import folder, html
real = html.render
def slow(run):  # the last file: everything else is on disk by now
    print("ready", flush=True)
    time.sleep(60)
    return real(run)
html.render = slow
folder.write(factory.run(1), Path({out!r}))
"""


def start_slow_writer(out: Path) -> subprocess.Popen[str]:
    code = textwrap.dedent(WRITER).format(here=str(HERE), out=str(out))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_kill_9_leaves_no_run_and_the_next_write_sweeps(tmp_path):
    out = tmp_path / "run"
    child = start_slow_writer(out)
    left = tmp_path / f".run.excise-{child.pid}"
    assert left.is_dir()
    folder.write(factory.run(0), tmp_path / "run2")  # another name: not its business
    assert left.is_dir()
    folder.check_writable(out)  # a living writer's folder is let be
    assert left.is_dir()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not out.exists()
    assert left.is_dir()
    folder.write(factory.run(2), out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "run2"]


def test_ctrl_c_in_another_process_leaves_nothing(tmp_path):
    child = start_slow_writer(tmp_path / "run")
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    child.wait(20)
    child.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_a_killed_swap_had_moved_aside_comes_back(tmp_path):
    out = tmp_path / "run"
    folder.write(factory.run(1), out)
    out.rename(tmp_path / ".run.excise-999999999.old")
    with pytest.raises(OutputError, match=r"appeared|not empty"):
        folder.write(factory.run(2), out)
    assert len(folder.read(out).campaigns) == 1


def limit_file_size(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_file_size_limit_is_exit_4_with_nothing_left(tmp_path):
    code = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(HERE)!r})
        import factory
        from excise.report import folder
        folder.write(factory.run(1), Path({str(tmp_path / "run")!r}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        preexec_fn=lambda: limit_file_size(2_000),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OutputError" in done.stderr
    assert "too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def tiny_disk(tmp_path):
    at = tmp_path / "disk"
    at.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(at)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"cannot mount a small disk: {made.stderr.decode().strip()}")
    yield at
    subprocess.run(["umount", str(at)], check=True)


def test_a_full_disk_is_an_output_error_with_nothing_left(tiny_disk):
    with pytest.raises(OutputError, match="no space left") as full:
        folder.write(factory.run(9), tiny_disk / "run")
    assert "free some space" in full.value.hint
    assert full.value.exit_status == 4
    assert list(tiny_disk.iterdir()) == []
    folder.write(factory.run(0, bystanders=3), tiny_disk / "run")
    with pytest.raises(OutputError, match="no space left"):
        folder.write(factory.run(9), tiny_disk / "run", replace=True)
    assert folder.read(tiny_disk / "run").campaigns == ()


def test_a_full_disk_is_known_before_the_scan(tiny_disk):
    (tiny_disk / "full").write_bytes(bytes(250_000))
    with pytest.raises(OutputError, match="no space left"):
        folder.check_writable(tiny_disk / "run")


def test_a_read_only_disk_is_known_before_the_scan(tiny_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(OutputError, match="read-only") as refused:
        folder.check_writable(tiny_disk / "run")
    assert "--out" in refused.value.hint


def test_no_permission_is_an_output_error(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission"):
        folder.check_writable(tmp_path / "run")


def broken(path: Path, name: str, data: bytes | None) -> None:
    if data is None:
        (path / name).unlink()
    else:
        (path / name).write_bytes(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        *((name, None) for name in folder.FILES if name != folder.REPORT_HTML),
        *((name, b"") for name in folder.FILES if name != folder.REPORT_HTML),
        ("run.json", b"[1]"),
        ("run.json", b'{"schema": 99}'),
        ("run.json", b'{"schema": 1, "counts": {"exchanges": "many"}}'),
        ("run.json", b'{"a":' * 100_000),
        ("campaigns.json", b"{}"),
        ("campaigns.json", b"[" * 100_000),
        ("campaigns.json", b"\xff\xfe"),
        ("accounts.parquet", b"PAR1 and nothing else PAR1"),
    ],
)
def test_a_broken_folder_is_an_input_error(tmp_path, name, data):
    folder.write(factory.run(1), tmp_path / "run")
    broken(tmp_path / "run", name, data)
    with pytest.raises(InputError) as said:
        folder.read(tmp_path / "run")
    assert name in said.value.subject or data is not None
    assert said.value.hint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("verdict", "guilty"),
        ("confidence", 1.5),
        ("q_value", -0.1),
        ("accounts", -1),
        ("campaign_id", None),
        ("evidence", [{"detector": "x"}]),
        ("timeline", {"first_day": "2026-01-01", "exchanges": [1], "harvest": [], "active_accounts": [1]}),
        ("timeline", {"first_day": "soon", "exchanges": [1], "harvest": [1], "active_accounts": [1]}),
        ("timeline", {"first_day": "9999-12-31", "exchanges": [1], "harvest": [1], "active_accounts": [1]}),
        ("timeline", {"first_day": "2026-01-01", "exchanges": [-1], "harvest": [1], "active_accounts": [1]}),
        ("graph", {"accounts": ["a"], "of": 1, "links": [{"a": 0, "b": 7, "weight": 1.0, "layers": []}]}),
        ("graph", {"accounts": ["a"], "of": 1, "links": [{"a": -1, "b": 0, "weight": 1.0, "layers": []}]}),
    ],
)
def test_campaigns_that_do_not_hang_together_are_refused(tmp_path, field, value):
    folder.write(factory.run(1), tmp_path / "run")
    path = tmp_path / "run" / "campaigns.json"
    found = json.loads(path.read_text())
    found[0][field] = value
    path.write_text(json.dumps(found))
    with pytest.raises(InputError):
        folder.read(tmp_path / "run")


def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path):
    folder.write(factory.run(1), tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    os.mkfifo(tmp_path / "run" / "run.json")
    with pytest.raises(InputError, match="not a plain file"):
        folder.read(tmp_path / "run")


@pytest.mark.parametrize(
    "bad", [{"account_id": None}, {"score": 7.0}, {"score": float("nan")}, {"reasons": [None]}]
)
def test_account_rows_that_make_no_sense_are_refused(tmp_path, bad):
    run = factory.run(1)
    folder.write(run, tmp_path / "run")
    rows = run.accounts.to_pylist()
    rows[0] |= bad
    pq.write_table(pa.Table.from_pylist(rows, schema=ACCOUNTS_OUT), tmp_path / "run" / "accounts.parquet")
    with pytest.raises(InputError):
        folder.read(tmp_path / "run")


def test_extra_fields_and_absent_optional_ones_are_fine(tmp_path):
    folder.write(factory.run(1), tmp_path / "run")
    path = tmp_path / "run" / "campaigns.json"
    found = json.loads(path.read_text())
    for name in ("timeline", "marks", "wrapper", "graph"):
        del found[0][name]
    found[0]["of_tomorrow"] = 1
    path.write_text(json.dumps(found))
    assert folder.read(tmp_path / "run").campaigns[0].graph is None


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match="no such run folder"):
        folder.read(tmp_path / "none")
