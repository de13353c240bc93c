"""A continued scan says what a scan from scratch says, byte for byte; whatever goes wrong, what was kept before is still there."""

import json
import os
import random
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from excise import pipeline
from excise.errors import ExciseError, InputError, OutputError, UnreadableFile, UsageError
from excise.model import schema
from excise.report.canonical import lines
from excise.settings import Settings
from excise.state.folder import open_state, parse_window
from scene import DAY, START, base
from test_scan_command import excise


def said(run):
    return list(lines(run.campaigns)), run.accounts.to_pylist(), run.harvest.to_pylist(), run.info["counts"]


def write(folder, name, rows):
    (folder / "exchanges").mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist(rows, schema=schema.EXCHANGES), folder / "exchanges" / f"{name}.parquet"
    )


@given_settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1 << 30), days=st.integers(1, 4), window=st.sampled_from((None, 3 * DAY, 40 * DAY))
)
def test_going_on_equals_starting_over(tmp_path_factory, seed, days, window):
    """Files come one by one, rows in any order, ids repeat within and across files."""
    rng = random.Random(seed)
    rows = base(seed % 7, each=3)
    rows += [dict(rng.choice(rows), user_text="said again") for _ in range(5)]
    rng.shuffle(rows)
    folder = tmp_path_factory.mktemp("state")
    parts = [rows[k::days] for k in range(days)]
    for k, part in enumerate(parts):
        write(folder / "logs", k, part)
        going_on = pipeline.scan(
            folder / "logs", state=folder / "state", threads=1, window=window, max_bad_rows=1.0
        )
    over = pipeline.scan(folder / "logs", threads=2, window=window, max_bad_rows=1.0)
    assert said(going_on) == said(over)
    assert going_on.info["rejected"]["reasons"] == over.info["rejected"]["reasons"]
    paths = [{i["path"] for i in run.info["inputs"]} for run in (going_on, over)]
    assert paths[0] == paths[1]


@pytest.fixture(scope="module")
def slices(world, tmp_path_factory):
    """The world's exchanges cut in two by time, its other tables beside them."""
    folder = tmp_path_factory.mktemp("slices") / "logs"
    shutil.copytree(world, folder)
    files = sorted((folder / "exchanges").iterdir())
    whole = pa.concat_tables([pq.read_table(f) for f in files])
    for file in files:
        file.unlink()
    middle = pc.quantile(whole["started_at"].cast(pa.int64()), 0.5)[0].as_py()
    early = pc.less(whole["started_at"].cast(pa.int64()), middle)
    return folder, whole.filter(early), whole.filter(pc.invert(early))


def test_campaigns_found_over_two_days_have_their_wrappers(slices, tmp_path):
    folder, first, second = slices
    logs = tmp_path / "logs"
    shutil.copytree(folder, logs)
    pq.write_table(first, logs / "exchanges" / "a.parquet")
    pipeline.scan(logs, state=tmp_path / "state")
    pq.write_table(second, logs / "exchanges" / "b.parquet")
    over = pipeline.scan(logs)
    assert any(c.wrapper for c in over.campaigns)
    assert said(pipeline.scan(logs, state=tmp_path / "state")) == said(over)
    (logs / "exchanges" / "a.parquet").unlink()  # what was read is not needed again
    assert said(pipeline.scan(logs, state=tmp_path / "state")) == said(over)
    for path in (logs / "exchanges").iterdir():
        os.utime(path, (1, 1))
    repeated = pipeline.scan(
        logs, state=tmp_path / "state", max_bad_rows=1.0
    )  # a file that changed is read again
    assert repeated.info["rejected"]["reasons"] == {"duplicate-id": len(second)}
    assert said(repeated)[:3] == said(over)[:3]


def test_old_segments_are_forgotten(tmp_path):
    rows = base(each=3)
    middle = START + 10 * DAY
    write(tmp_path / "logs", "old", [r for r in rows if r["started_at"] < middle])
    pipeline.scan(tmp_path / "logs", state=tmp_path / "state", window=5 * DAY)
    assert [p.name for p in (tmp_path / "state").iterdir() if p.is_dir()] == ["000001"]
    write(tmp_path / "logs", "new", [r for r in rows if r["started_at"] >= middle])
    pipeline.scan(tmp_path / "logs", state=tmp_path / "state", window=5 * DAY)
    assert [p.name for p in (tmp_path / "state").iterdir() if p.is_dir()] == ["000002"]


def test_a_state_of_other_settings_is_refused(tmp_path):
    write(tmp_path / "logs", "a", base(each=1))
    pipeline.scan(tmp_path / "logs", state=tmp_path / "state")
    for other in (Settings(seed=5), Settings(keep_text=False)):
        with pytest.raises(UsageError, match="another") as error:
            pipeline.scan(tmp_path / "logs", state=tmp_path / "state", settings=other)
        assert error.value.hint


def test_one_scan_at_a_time(tmp_path):
    write(tmp_path / "logs", "a", base(each=1))
    with (
        open_state(tmp_path / "state", Settings(), version="0", pseudonyms=False),
        pytest.raises(UsageError, match="another scan"),
    ):
        pipeline.scan(tmp_path / "logs", state=tmp_path / "state")


@pytest.mark.parametrize("name", ["meta.json", "rows.bin", "ranges.npy", "accounts.parquet", "systems.npz"])
@pytest.mark.parametrize("damage", [b"nonsense"])
def test_damage_is_said(tmp_path, name, damage):
    write(tmp_path / "logs", "a", base(each=1))
    pipeline.scan(tmp_path / "logs", state=tmp_path / "state")
    (tmp_path / "state" / "000001" / name).write_bytes(damage)
    with pytest.raises(UnreadableFile) as error:
        pipeline.scan(tmp_path / "logs", state=tmp_path / "state")
    assert error.value.hint


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Logs, their state, and what a scan of them says."""
    folder = tmp_path_factory.mktemp("kept")
    write(folder / "logs", "a", base(each=1))
    return folder, said(pipeline.scan(folder / "logs", state=folder / "state"))


FILES = ("meta.json", "rows.bin", "ranges.npy", "accounts.parquet", "systems.npz", "requests.parquet")


@given_settings(max_examples=24, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_said_or_makes_no_difference_and_nothing_is_lost(
    kept, tmp_path_factory, name, where, bit
):
    """Bits that say nothing (padding, a library's own name) may be any; no others change a result unseen."""
    folder, expected = kept
    state = tmp_path_factory.mktemp("flipped") / "state"
    shutil.copytree(folder / "state", state)
    path = state / "000001" / name
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        found, hint = said(pipeline.scan(folder / "logs", state=state)), "none is needed"
    except (UnreadableFile, UsageError) as error:
        found, hint = expected, error.hint
    assert found == expected
    assert hint
    assert {p.name for p in path.parent.iterdir()} == set(FILES)
    assert path.read_bytes() == data


def test_a_flipped_byte_of_the_rows_is_said(kept, tmp_path):
    folder, _ = kept
    shutil.copytree(folder / "state", tmp_path / "state")
    path = tmp_path / "state" / "000001" / "rows.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(UnreadableFile, match=r"rows\.bin") as error:
        pipeline.scan(folder / "logs", state=tmp_path / "state")
    assert "000001" in error.value.subject


def test_a_database_cannot_be_gone_on_from(tmp_path):
    with pytest.raises(UsageError, match="database") as error:
        pipeline.scan("postgresql://nobody@localhost:1/none", state=tmp_path / "state")
    assert "export" in error.value.hint
    assert not (tmp_path / "state").exists()


def test_what_a_killed_scan_left_is_swept_and_a_failed_one_keeps_nothing(tmp_path, monkeypatch):
    write(tmp_path / "logs", "a", base(each=1))
    state = tmp_path / "state"
    (state / ".new-000001").mkdir(parents=True)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("numpy.savez", full)
        with pytest.raises(OutputError, match="no space") as error:
            pipeline.scan(tmp_path / "logs", state=state)
    assert "--state" in error.value.hint
    assert [p.name for p in state.iterdir()] == ["state.json"]
    run = pipeline.scan(tmp_path / "logs", state=state)
    assert said(run) == said(pipeline.scan(tmp_path / "logs"))


def test_nothing_at_all_is_an_error(tmp_path):
    write(tmp_path / "logs", "a", [])
    with pytest.raises(InputError):
        pipeline.scan(tmp_path / "logs", state=tmp_path / "state")


@pytest.mark.parametrize(("text", "days"), [("90d", 90), (" 7D", 7), ("3", 3)])
def test_windows(text, days):
    assert parse_window(text) == days * DAY


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1.5d", "90h", "9" * 9, "²d"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(ExciseError):
        parse_window(text)


def test_the_command_goes_on(tmp_path):
    write(tmp_path / "logs", "a", base(each=1))
    for name in ("one", "two"):
        done = excise("scan", tmp_path / "logs", "--out", tmp_path / name, "--state", tmp_path / "state", "--window", "90d", "--memory", "2GiB", "--spill", tmp_path)  # fmt: skip
        assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two"))
    assert one["inputs"] == two["inputs"]
    small = excise("scan", tmp_path / "logs", "--out", tmp_path / "three", "--memory", "1M")
    assert small.returncode == 2
    assert "need about" in small.stderr
