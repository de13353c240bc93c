"""Passes over opened traffic: row numbers, `take`, batch sizes, absent columns, sources of many files."""

from __future__ import annotations

import gzip
import json
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import exchange, whole, write_parquet
from excise.errors import UnreadableFile, UsageError
from excise.ingest import parquet
from excise.ingest.source import open_traffic
from excise.ingest.traffic import Traffic
from excise.model.schema import EXCHANGES


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.booleans(), max_size=30), min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(1, 40),
    st.data(),
)
def test_take_gives_the_rows_of_a_pass(files, group_rows, batch_rows, data):
    """`files`: for each file, which of its rows are sound."""
    with tempfile.TemporaryDirectory() as folder:
        number = 0
        for index, sound in enumerate(files):
            rows = [exchange(number + n, model="m" if fine else "") for n, fine in enumerate(sound)]
            number += len(rows)
            write_parquet(Path(folder) / f"part-{index}.parquet", rows, row_group_size=group_rows)
        traffic = open_traffic(folder, staging=Path(folder), max_bad_rows=1.0)
        rows = whole(traffic, batch_rows=batch_rows)
        assert rows.num_rows == traffic.rows == sum(map(sum, files))
        wanted = sorted(data.draw(st.sets(st.integers(0, max(traffic.rows - 1, 0)), max_size=traffic.rows)))
        several = replace(traffic, threads=data.draw(st.sampled_from((1, 3))))
        taken = several.take(np.array(wanted, np.int64), ["user_text", "exchange_id"])
        assert taken.schema.names == ["exchange_id", "user_text"]
        assert (
            taken.to_pylist()
            == rows.take(pa.array(wanted, pa.int64())).select(taken.schema.names).to_pylist()
        )


def test_take_decodes_only_row_groups_that_hold_wanted_rows(tmp_path, opened, monkeypatch):
    path = write_parquet(tmp_path / "t.parquet", [exchange(n) for n in range(100_000)], row_group_size=40_000)
    traffic = opened(path)
    seen = []
    plain = parquet.Decoder.batches
    monkeypatch.setattr(parquet.Decoder, "batches", lambda self, g: seen.append(g.numbers) or plain(self, g))
    assert traffic.take(np.array([50_000]), ["exchange_id"]).to_pylist() == [{"exchange_id": "x50000"}]
    assert seen == [(1,)]


@pytest.mark.parametrize("rows", [[1, 0], [0, 0], [-1], [3]])
def test_row_numbers_must_be_sorted_distinct_and_in_range(tmp_path, opened, rows):
    traffic = opened(write_parquet(tmp_path / "t.parquet", [exchange(n) for n in range(3)]))
    with pytest.raises(ValueError, match="row numbers"):
        traffic.take(np.array(rows))


def test_a_column_that_is_no_contract_column_is_an_error(tmp_path, opened):
    traffic = opened(write_parquet(tmp_path / "t.parquet", [exchange(1)]))
    with pytest.raises(ValueError, match="colour"):
        traffic.batches(["colour"])


def test_absent_columns_are_null_and_extra_ones_ignored(tmp_path, opened):
    few = pa.Table.from_pylist([exchange(n) for n in range(3)], EXCHANGES).select(
        ["model", "account_id", "exchange_id", "started_at"]
    )
    pq.write_table(few.append_column("colour", pa.array(["red"] * 3)), tmp_path / "t.parquet")
    traffic = opened(tmp_path / "t.parquet")
    (batch,) = traffic.batches(["ja4", "emitted_blocks"])
    assert batch.schema == pa.schema([EXCHANGES.field("ja4"), EXCHANGES.field("emitted_blocks")])
    assert batch.to_pylist() == [{"ja4": None, "emitted_blocks": None}] * 3
    assert traffic.columns.present == ("exchange_id", "started_at", "account_id", "model")


def test_batches_are_cut_by_bytes_even_where_a_dictionary_expands(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_BATCH_BYTES", 1 << 20)
    blocks = ["b" * 50_000]
    rows = [
        exchange(n, system_text="s" * 100_000, user_text="u" * 10_000, emitted_blocks=blocks)
        for n in range(300)
    ]
    traffic = opened(write_parquet(tmp_path / "t.parquet", rows))
    batches = list(traffic.batches())
    assert sum(batch.num_rows for batch in batches) == 300
    assert max(batch.nbytes for batch in batches) <= 1 << 20


def test_lists_and_dictionaries_are_read_across_row_groups(tmp_path, opened):
    rows = [exchange(n, emitted_blocks=[f"b{n % 3}", "c"], system_text=f"s{n % 2}") for n in range(200)]
    traffic = opened(write_parquet(tmp_path / "t.parquet", rows, row_group_size=70))
    assert whole(traffic).equals(pa.Table.from_pylist(rows, EXCHANGES))


def test_a_pass_that_is_left_early_ends_its_thread(tmp_path, opened):
    traffic = opened(write_parquet(tmp_path / "t.parquet", [exchange(n) for n in range(1000)]))
    before = threading.active_count()
    batches = traffic.batches(batch_rows=10)
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before


def test_an_error_in_a_pass_reaches_the_reader(tmp_path, opened):
    traffic = opened(write_parquet(tmp_path / "t.parquet", [exchange(n) for n in range(10)]))
    (tmp_path / "t.parquet").unlink()
    with pytest.raises(UnreadableFile):
        list(traffic.batches())


def test_a_folder_of_mixed_kinds_and_schemas_is_one_source(tmp_path, opened):
    source = tmp_path / "logs"
    (source / "day=1").mkdir(parents=True)
    write_parquet(source / "day=1" / "a.parquet", [exchange(1)])
    pq.write_table(pa.Table.from_pylist([exchange(2)], EXCHANGES).select([0, 1, 2, 22]), source / "b.parquet")
    rows = [exchange(3), exchange(4)]
    lines = [json.dumps({**r, "started_at": r["started_at"].isoformat()}) for r in rows]
    (source / "c.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (source / "_SUCCESS").write_text("")
    (source / ".hidden.ndjson").write_text("garbage")
    traffic = opened(source)
    assert sorted(whole(traffic)["exchange_id"].to_pylist()) == ["x1", "x2", "x3", "x4"]
    assert [i.format for i in traffic.inputs] == ["parquet", "json+gzip", "parquet"] or len(
        traffic.inputs
    ) == 3
    assert {i.rows for i in traffic.inputs} == {1, 2}


def test_a_folder_with_side_tables_is_taken_as_all_of_them(tmp_path, opened):
    source = tmp_path / "all"
    (source / "exchanges").mkdir(parents=True)
    write_parquet(source / "exchanges" / "part-0.parquet", [exchange(1)])
    (source / "accounts.csv").write_text("account_id,verified,created_at\na1,true,2026-01-01\n,false,\n")
    (source / "events.ndjson").write_text(
        '{"at": "2026-01-02T00:00:00Z", "kind": "suspension", "subject": "a1"}\n'
    )
    (source / "asn_table.csv").write_text("asn,kind,country\n64500,hosting,DE\n")
    traffic = opened(source, max_bad_rows=0.01)
    assert traffic.accounts.select(["account_id", "verified"]).to_pylist() == [
        {"account_id": "a1", "verified": True}
    ]
    assert traffic.events["subject"].to_pylist() == ["a1"]
    assert traffic.asn.to_pylist() == [{"asn": 64500, "kind": "hosting", "country": "DE"}]
    assert traffic.rejected.reasons == {"no-account": 1}
    assert [i.kind for i in traffic.inputs] == ["accounts", "events", "asn", "exchanges"]
    assert all(len(i.sha256) == 64 for i in traffic.inputs)
    (tmp_path / "other.csv").write_text("account_id\nb1\n")
    assert opened(source, accounts=str(tmp_path / "other.csv")).accounts["account_id"].to_pylist() == ["b1"]
    (source / "accounts.ndjson").write_text('{"account_id": "a1"}\n')
    with pytest.raises(UsageError, match="several accounts"):
        opened(source)


@pytest.mark.parametrize("where", ["missing", "empty", "missing*.parquet"])
def test_a_source_without_files_is_said(tmp_path, opened, where):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile) as raised:
        opened(tmp_path / where)
    assert where in str(raised.value)


def test_a_glob_names_files(tmp_path, opened):
    for n in range(3):
        write_parquet(tmp_path / f"t{n}.parquet", [exchange(n)])
    assert opened(tmp_path / "t[12].parquet").rows == 2


def test_edge_facts_fill_what_the_exchange_does_not_say(tmp_path, opened):
    path = write_parquet(tmp_path / "t.parquet", [exchange(1, client_ip="1.1.1.1"), exchange(2), exchange(3)])
    edge = tmp_path / "edge.csv"
    edge.write_text(
        "exchange_id,client_ip,ja4,asn,colour\nx1,9.9.9.9,t13,1,red\nx2,2.2.2.2,,2,\nx2,3.3.3.3,t14,,\n"
    )
    traffic = opened(path, edge=str(edge))
    rows = whole(traffic).select(["exchange_id", "client_ip", "ja4", "asn", "user_text"]).to_pylist()
    assert [tuple(row.values())[1:4] for row in rows] == [
        ("1.1.1.1", "t13", 1),
        ("2.2.2.2", None, 2),
        (None, None, None),
    ]
    assert rows[2]["user_text"] == "question 3"
    assert traffic.inputs[0].kind == "edge"


def test_the_tiny_world_is_read_as_it_was_written(tiny_world, opened):
    traffic = opened(tiny_world)
    rows = whole(traffic)
    assert rows.equals(pq.read_table(tiny_world / "exchanges"))
    assert traffic.rejected.rows == 0
    assert traffic.columns.non_null["session_id"] == pc.sum(rows["session_id"].is_valid()).as_py()
    sample = np.arange(5, traffic.rows, 997)
    assert traffic.take(sample).equals(rows.take(pa.array(sample)))


def test_traffic_without_files_is_empty():
    assert Traffic(()).rows == 0
    assert list(Traffic(()).batches()) == []
