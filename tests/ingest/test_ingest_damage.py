"""Damaged and hostile inputs, one by one: each is one bad row, a mended value, or an error that says what to do."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import exchange, whole, write_parquet
from excise.errors import SchemaMismatch, TooManyBadRows, UnreadableFile, UsageError
from excise.ingest import bytes_in
from excise.ingest.footer import read_footer
from excise.ingest.source import open_traffic
from excise.ingest.traffic import Repairs
from excise.model.schema import EXCHANGES


def line(number, **more):
    row = exchange(number, **more)
    return json.dumps({**row, "started_at": row["started_at"].isoformat()}).encode()


def ndjson(tmp_path, lines, name="t.ndjson"):
    path = tmp_path / name
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


GOOD = [line(number) for number in range(5)]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (b'{"exchange_id": "x", ', "bad-json"),
        (b"garbage", "bad-json"),
        (b"\x00\x00\x00", "bad-json"),
        (b"[1, 2]", "not-an-object"),
        (b'{"exchange_id": "x"} {"a": 1}', "bad-json"),
        (b'{"exchange_id": NaN}', "bad-json"),
        (b'{"tokens_in": ' + b"9" * 10_000 + b"}", "bad-json"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deep-json"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep-json"),
        (line(9, exchange_id=""), "no-exchange-id"),
        (line(9, account_id=None), "no-account"),
        (line(9, model=None), "no-model"),
        (line(9, account_id="a\x1b[31m"), "control-character"),
        (line(9, account_id="a\x9b31m"), "control-character"),
        (line(9, session_id="s\x00"), "control-character"),
        (line(9, account_id=17), "bad-type"),
        (line(9, tokens_in="many"), "bad-type"),
        (line(9, tokens_in=2**63), "bad-type"),
        (line(9, tokens_in=1.5), "bad-type"),
        (line(9, tokens_in=True), "bad-type"),
        (line(9, temperature=True), "bad-type"),
        (line(9, replayed_blocks="abc"), "bad-type"),
        (line(9, replayed_blocks=[1]), "bad-type"),
        (line(9, user_text={"text": "x"}), "bad-type"),
        (b'{"exchange_id":"x","started_at":"yesterday","account_id":"a","model":"m"}', "bad-type"),
        (b'{"exchange_id":"x","account_id":"a","model":"m"}', "no-time"),
        (b'{"exchange_id":"x","started_at":1770000000,"account_id":"a","model":"m"}', "absurd-time"),
        (
            b'{"exchange_id":"x","started_at":"2014-12-31T23:59:59Z","account_id":"a","model":"m"}',
            "absurd-time",
        ),
        (
            b'{"exchange_id":"x","started_at":"2100-01-01T00:00:00Z","account_id":"a","model":"m"}',
            "absurd-time",
        ),
        (
            b'{"exchange_id":"x","started_at":"9999-12-31T23:59:59-14:00","account_id":"a","model":"m"}',
            "absurd-time",
        ),
    ],
)
@pytest.mark.parametrize("position", [0, 3, 5])
def test_one_bad_line_is_one_bad_row(tmp_path, opened, damage, reason, position):
    lines = [*GOOD[:position], damage, *GOOD[position:]]
    traffic = opened(ndjson(tmp_path, lines))
    assert traffic.rows == 5
    assert traffic.rejected.reasons == {reason: 1}
    (sample,) = traffic.rejected.samples
    assert (sample.row, sample.reason) == (position + 1, reason)
    assert sample.detail.isprintable()
    assert whole(traffic)["exchange_id"].to_pylist() == [f"x{n}" for n in range(5)]


@pytest.mark.parametrize("text", [b'"caf\xe9"', b'"lone \\ud800 surrogate"', b'"lone \\udc00"'])
def test_bad_text_is_mended_and_counted(tmp_path, opened, text):
    damaged = line(9).replace(b'"question 9"', text)
    traffic = opened(ndjson(tmp_path, [*GOOD, damaged]))
    assert "\ufffd" in whole(traffic)["user_text"][5].as_py()
    assert traffic.rejected.rows == 0
    assert traffic.rejected.repaired == {"invalid-utf8": 1}


def test_an_escaped_backslash_before_u_is_no_surrogate(tmp_path, opened):
    damaged = line(9).replace(b'"question 9"', b'"\\\\ud800 \\ud83d\\ude00 \\ud800"')
    traffic = opened(ndjson(tmp_path, [damaged]))
    assert whole(traffic)["user_text"][0].as_py() == "\\ud800 \U0001f600 \ufffd"


def test_invalid_utf8_in_parquet_is_mended_where_it_lies(tmp_path, opened):
    table = pa.Table.from_pylist([exchange(n) for n in range(3)], EXCHANGES)
    raw = pa.array([b"fine", b"caf\xe9", None], pa.binary())
    table = table.set_column(EXCHANGES.get_field_index("user_text"), "user_text", raw)
    blocks = pa.array([[b"\xff"], None, [b"ok", b"a\xfe"]], pa.list_(pa.binary()))
    table = table.set_column(EXCHANGES.get_field_index("emitted_blocks"), "emitted_blocks", blocks)
    pq.write_table(table, tmp_path / "t.parquet")
    repairs = Repairs()
    traffic = opened(tmp_path / "t.parquet")
    rows = whole(traffic, repairs=repairs)
    assert rows["user_text"].to_pylist() == ["fine", "caf\ufffd", None]
    assert rows["emitted_blocks"].to_pylist() == [["\ufffd"], None, ["ok", "a\ufffd"]]
    assert repairs.values == {"invalid-utf8": 3}
    assert whole(traffic, batch_rows=2)["emitted_blocks"].to_pylist() == rows["emitted_blocks"].to_pylist()


def test_nul_in_a_prompt_is_kept_and_negative_counts_become_unknown(tmp_path, opened):
    path = write_parquet(
        tmp_path / "t.parquet", [exchange(1, user_text="a\x00b", latency_ms=-1, temperature=-0.5)]
    )
    repairs = Repairs()
    row = whole(opened(path), repairs=repairs).to_pylist()[0]
    assert (row["user_text"], row["latency_ms"], row["temperature"]) == ("a\x00b", None, -0.5)
    assert repairs.values == {"negative-count": 1}


def test_a_prompt_of_50_mb_is_fine(tmp_path, opened):
    long = "word " * 10_000_000
    traffic = opened(ndjson(tmp_path, [GOOD[0], line(1, user_text=long), GOOD[2]]))
    batches = list(traffic.batches(["user_text"]))
    assert sum(batch.num_rows for batch in batches) == 3
    assert max(len(text) for batch in batches for text in batch.column(0).to_pylist()) == 50_000_000


def test_a_line_above_the_limit_is_one_bad_row(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(bytes_in, "MAX_RECORD_BYTES", 3 << 20)
    traffic = opened(ndjson(tmp_path, [GOOD[0], line(1, user_text="x" * (5 << 20)), GOOD[2]]))
    assert traffic.rejected.reasons == {"too-long": 1}
    assert traffic.rows == 2


@pytest.mark.parametrize("name", ["t.ndjson", "t.json", "t.csv"])
def test_a_record_cut_off_at_the_end_is_one_bad_row(tmp_path, opened, name):
    rows = [exchange(n) for n in range(20)]
    for row in rows:
        row["started_at"] = row["started_at"].isoformat()
    if name == "t.csv":
        names = list(rows[0])
        cells = [
            ",".join(
                json.dumps(r[n]).replace('\\"', '""') if n != "replayed_blocks" else '"[]"' for n in names
            )
            for r in rows
        ]
        text = "\n".join([",".join(names), *cells])
    else:
        text = json.dumps(rows, indent=1) if name == "t.json" else "\n".join(map(json.dumps, rows))
    cut = text[: text.rindex("question 19") + 4]
    (tmp_path / name).write_text(cut)
    traffic = opened(tmp_path / name)
    assert (traffic.rows, traffic.rejected.rows) == (19, 1)


def test_parquet_without_a_footer_cannot_be_read(tmp_path, opened):
    path = write_parquet(tmp_path / "t.parquet", [exchange(n) for n in range(50)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableFile) as raised:
        opened(path)
    assert raised.value.hint


def test_parquet_with_a_damaged_page_cannot_be_read(tmp_path, opened):
    path = write_parquet(tmp_path / "t.parquet", [exchange(n) for n in range(5000)], compression="zstd")
    data = bytearray(path.read_bytes())
    data[60:400] = b"\xff" * 340
    path.write_bytes(data)
    with pytest.raises(UnreadableFile):
        opened(path)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_broken_stream_cannot_be_read(tmp_path, opened, codec, damage):
    data = b"\n".join(line(n, user_text=f"{n * 7919 % 10007}") for n in range(3000))
    packed = gzip.compress(data) if codec == "gzip" else pa.compress(data, codec="zstd", asbytes=True)
    middle = len(packed) // 2
    broken = packed[:-9] if damage == "cut" else packed[:middle] + b"\xff" * 40 + packed[middle + 40 :]
    (tmp_path / "t.ndjson.gz").write_bytes(broken)
    with pytest.raises(UnreadableFile):
        opened(tmp_path / "t.ndjson.gz")


def test_missing_and_mistyped_columns_are_named(tmp_path, opened):
    table = pa.Table.from_pylist([exchange(1)], EXCHANGES)
    pq.write_table(table.drop_columns(["account_id"]), tmp_path / "missing.parquet")
    with pytest.raises(SchemaMismatch, match="account_id"):
        opened(tmp_path / "missing.parquet")
    wrong = table.set_column(0, "exchange_id", pa.array([1.5]))
    pq.write_table(wrong, tmp_path / "wrong.parquet")
    with pytest.raises(SchemaMismatch, match="exchange_id is double"):
        opened(tmp_path / "wrong.parquet")
    text_time = table.set_column(1, "started_at", pa.array(["2026-01-01"]))
    pq.write_table(text_time, tmp_path / "time.parquet")
    with pytest.raises(SchemaMismatch, match="started_at is string"):
        opened(tmp_path / "time.parquet")


def test_an_unknown_format_is_refused_with_its_keys(tmp_path, opened):
    path = ndjson(tmp_path, [b'{"weather": "fine", "\\u001b[2J": 1}'])
    with pytest.raises(SchemaMismatch, match="weather") as raised:
        opened(path)
    assert "\x1b" not in str(raised.value)
    with pytest.raises(UsageError, match="unknown format"):
        opened(path, format="contrakt")


def test_too_many_bad_rows(tmp_path, opened):
    path = ndjson(tmp_path, [*(line(n) for n in range(99)), b"garbage"])
    assert opened(path, max_bad_rows=0.01).rejected.rows == 1
    path = ndjson(tmp_path, [*(line(n) for n in range(98)), b"garbage", b"garbage"])
    with pytest.raises(TooManyBadRows, match="2 of 100") as raised:
        opened(path, max_bad_rows=0.01)
    assert raised.value.exit_status == 3
    path = write_parquet(
        tmp_path / "t.parquet", [exchange(n, model="" if n < 2 else "m") for n in range(100)]
    )
    with pytest.raises(TooManyBadRows, match="no-model 2"):
        opened(path, max_bad_rows=0.01)


def test_samples_are_few_and_short_and_hold_no_control_characters(tmp_path, opened):
    lines = [f"\x1b[31m {'secret prompt ' * 100} {n}".encode() for n in range(500)]
    traffic = opened(ndjson(tmp_path, [*GOOD, *lines]))
    assert traffic.rejected.rows == 500
    assert len(traffic.rejected.samples) == 20
    assert not any(
        "secret" in sample.detail or "\x1b" in sample.detail for sample in traffic.rejected.samples
    )


def test_many_brackets_in_one_long_line_take_linear_time(tmp_path, opened):
    bomb = b'{"a": [' + b"[]," * 2_000_000 + b"[]]}"
    start = time.process_time()
    assert opened(ndjson(tmp_path, [*GOOD, bomb])).rows == 5
    assert time.process_time() - start < 20


def test_empty_files_hold_no_rows(tmp_path, opened):
    (tmp_path / "t.ndjson").write_bytes(b"")
    assert opened(tmp_path / "t.ndjson").rows == 0
    write_parquet(tmp_path / "t.parquet", [])
    traffic = opened(tmp_path / "t.parquet")
    assert (traffic.rows, traffic.period, list(traffic.batches())) == (0, None, [])


SOUND = io.BytesIO()
pq.write_table(
    pa.Table.from_pylist([exchange(n, output_text="é" * n) for n in range(60)], EXCHANGES),
    SOUND,
    compression="zstd",
    row_group_size=25,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 8 * len(SOUND.getvalue()) - 1))
def test_one_flipped_bit_in_parquet_never_ends_the_process(bit):
    """Asked for the facts of a damaged column chunk, pyarrow aborts; the footer is read without asking it."""
    data = bytearray(SOUND.getvalue())
    data[bit // 8] ^= 1 << bit % 8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        path.write_bytes(data)
        try:
            traffic = open_traffic(str(path), staging=Path(folder), max_bad_rows=1.0)
            read = sum(batch.num_rows for batch in traffic.batches())
        except (UnreadableFile, SchemaMismatch):
            return
        assert read == traffic.rows


def test_a_bomb_of_a_footer_is_refused(tmp_path, opened):
    footer = b"\x19\xfc\xff\xff\xff\xff\x07" + b"\x1c" * 5000
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(UnreadableFile):
        opened(tmp_path / "t.parquet")
    with pytest.raises(UnreadableFile, match="footer is damaged"):
        read_footer(tmp_path / "t.parquet")
