"""The parts of the Spark engine that need no cluster, and what a user's mistake is told."""

import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.errors import UnreadableFile, UsageError
from excise.ingest.ledger import Rejected, Sample
from excise.model.ragged import Ragged
from excise.model.tables import Systems
from excise.spark import reading
from excise.spark.buckets import PLACE_SHIFT, bare
from excise.spark.files import Options, find, opened
from excise.spark.frames import by_bucket, rejected_by
from excise.spark.reading import Told, raise_told, unpack_systems
from excise.spark.scan import bits_for, scan
from excise.spark.sharing import Fact, grouped, some

HASH = st.integers(1, (1 << 64) - 1)


def excise(*words, **env):
    code = "from excise.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", env.pop("first", "") + code, *words],
        env=os.environ | env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


# What goes from an executor to the driver


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(HASH, st.lists(HASH, max_size=4), st.lists(HASH, max_size=4)), unique_by=lambda x: x[0]
    )
)
def test_systems_come_back_as_they_were_sent_ascending(rows):
    raw = np.array([r[0] for r in rows], np.uint64)
    shingles, marks = (reading.ragged([np.array(r[k], np.uint64) for r in rows]) for k in (1, 2))
    sent = Systems(
        raw, raw ^ np.uint64(1), np.arange(len(rows), dtype=np.uint32), raw ^ np.uint64(2), shingles, marks
    )
    got = unpack_systems(raw, reading.each_system(sent))
    order = np.argsort(raw)
    assert got.raw.tolist() == sorted(raw.tolist())
    for name in ("doc", "tokens", "cues"):
        assert getattr(got, name).tolist() == getattr(sent, name)[order].tolist()
    for name in ("shingles", "marks"):
        one, other = getattr(got, name), getattr(sent, name).take(order)
        assert (one.offsets.tolist(), one.values.tolist()) == (other.offsets.tolist(), other.values.tolist())


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), HASH)))
def test_values_are_grouped_by_place(pairs):
    place, values = np.array([p for p, _ in pairs], np.int64), np.array([v for _, v in pairs], np.uint64)
    places, first, lists = grouped(place, values)
    slow = {p: [v for q, v in pairs if q == p] for p in sorted({p for p, _ in pairs})}
    assert places.tolist() == list(slow)
    assert place[first].tolist() == list(slow)
    assert [
        lists.values[a:b].tolist() for a, b in zip(lists.offsets, lists.offsets[1:], strict=False)
    ] == list(slow.values())


@settings(deadline=None)
@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 9))))
def test_places_are_buckets_and_positions(pairs):
    places = np.array([b << PLACE_SHIFT | p for b, p in pairs], np.int64)
    found = by_bucket(places)
    assert {(b, p) for b, positions in found.items() for p in positions.tolist()} == pairs


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=20), st.sets(st.integers(0, 30)))
def test_a_fact_is_told_of_the_exchanges_that_are_there(pairs, there):
    places = np.array(sorted(there), np.int64)
    first, second = (np.array([p[k] for p in pairs], np.int64) for k in (0, 1))
    none = np.zeros(len(pairs), np.int32)
    empty = Ragged(np.zeros(1, np.int64), np.zeros(0, np.uint64))
    nobody = np.zeros(0, np.uint64)
    systems = Systems(nobody, nobody, np.zeros(0, np.uint32), nobody, empty, empty)
    traffic = bare(some(len(places)), systems, nobody, np.zeros(1, np.int64))
    Fact("f", (first, second), (none, none)).tell(traffic, places)
    told = traffic.once("f", lambda: None)
    assert [(places[a], places[b]) for a, b in zip(*told, strict=True)] == [
        p for p in pairs if set(p) <= there
    ]
    Fact("g", (first,), (none,), second.astype(np.int32)).tell(traffic, places)
    who, where = traffic.once("g", lambda: None)
    assert list(zip(places[where].tolist(), who.tolist(), strict=True)) == [p for p in pairs if p[0] in there]


def test_rejected_rows_add_up_in_reading_order():
    one = Rejected(2, {"bad-json": 2}, (Sample("a", 1, "bad-json", ""),), {"invalid-utf8": 1})
    two = Rejected(3, {"no-account": 3}, (Sample("b", 1, "no-account", ""),) * 30, {"invalid-utf8": 2})
    total = rejected_by((Told(rejected=one), Told(rejected=two)), Rejected(1, {"no-account": 1}))
    assert total.rows == 6
    assert total.reasons == {"no-account": 4, "bad-json": 2}
    assert list(total.reasons) == ["no-account", "bad-json"]
    assert [s.path for s in total.samples] == ["a"] + ["b"] * 19
    assert total.repaired == {"invalid-utf8": 3}


def test_buckets_grow_with_the_files_and_have_a_limit():
    assert [bits_for(size) for size in (0, 1 << 30, 1 << 34, 1 << 60)] == [4, 7, 11, 16]


# Files


def test_an_address_and_a_path_name_the_same_files(world, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    nothing = {"accounts": None, "events": None, "asn": None}
    path = find(str(world), tmp_path / "a", Options(), **nothing)
    address = find(world.as_uri(), tmp_path / "b", Options(), **nothing)
    assert [(u.number, u.place, u.size) for u in path.units] == [
        (u.number, u.place.removeprefix("file://"), u.size) for u in address.units
    ]
    assert path.sides.accounts.equals(address.sides.accounts)
    assert path.sides.events.equals(address.sides.events)
    with opened(path.units[0], Options()) as one, opened(address.units[0], Options()) as other:
        assert one.take(np.arange(3)).equals(other.take(np.arange(3)))
        assert one.inputs[0].sha256 == other.inputs[0].sha256


def test_hidden_files_and_side_tables_of_a_store_are_no_exchanges(world, tmp_path):
    logs, staging = tmp_path / "logs", tmp_path / "staging"
    (logs / "day=1").mkdir(parents=True)
    staging.mkdir()
    table = pq.read_table(world / "exchanges").slice(0, 10)
    for name in ("day=1/part.parquet", "_temporary.parquet", ".hidden.parquet", "day=1/_SUCCESS"):
        pq.write_table(table, logs / name)
    pq.write_table(pq.read_table(world / "accounts.parquet"), logs / "accounts.parquet")
    found = find(logs.as_uri(), staging, Options(), accounts=None, events=None, asn=None)
    assert [u.shown.rpartition("/")[2] for u in found.units] == ["part.parquet"]
    assert found.sides.accounts.num_rows > 0


@pytest.mark.parametrize("where", ["file:///no/such/folder", "nosuchstore://bucket/logs"])
def test_an_address_that_leads_nowhere_says_so(where, tmp_path):
    with pytest.raises(UnreadableFile) as caught:
        find(where, tmp_path, Options(), accounts=None, events=None, asn=None)
    assert "s3://" in caught.value.hint


def test_an_error_of_a_file_is_raised_as_what_it_was():
    with pytest.raises(UnreadableFile) as caught:
        raise_told(Told(error=("UnreadableFile", "cut off", "part-3.parquet", "copy it again")))
    assert (str(caught.value), caught.value.hint) == ("part-3.parquet: cut off", "copy it again")


# Mistakes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--master", "spark://nowhere:7077"], "--master"),
        (["--engine", "spark", "--threads", "2"], "--threads"),
        (["--engine", "spark", "--state", "s"], "--state"),
        (["--engine", "spark", "--edge", "e.csv"], "--edge"),
        (["--engine", "spark", "--spill", "s"], "--spill"),
    ],
)
def test_options_of_the_other_engine_are_refused(words, said, world, tmp_path):
    status, text = excise("scan", str(world), "--out", str(tmp_path / "run"), *words)
    assert (status, said in text, "hint:" in text) == (2, True, True)
    assert not (tmp_path / "run").exists()


def test_without_the_extra_it_says_what_to_install(world, tmp_path):
    status, text = excise(
        "scan", str(world), "--out", str(tmp_path / "run"), "--engine", "spark",
        first="import sys; sys.modules['pyspark'] = None; ",
    )  # fmt: skip
    assert status == 2
    assert "pyspark is not installed" in text
    assert "excise[spark]" in text
    assert "Traceback" not in text


def test_without_java_it_says_what_to_install(world, tmp_path):
    status, text = excise(
        "scan", str(world), "--out", str(tmp_path / "run"), "--engine", "spark", "--master", "local[1]",
        JAVA_HOME=str(tmp_path),
    )  # fmt: skip
    assert status == 2, text
    assert "Java could not be started" in text
    assert "Traceback" not in text


def test_a_database_is_not_read_by_a_cluster():
    with pytest.raises(UsageError, match="embedded"):
        scan("postgresql://nowhere/litellm")
