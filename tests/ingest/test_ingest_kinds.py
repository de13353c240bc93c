"""Every kind of file yields the same batches as the slow, obvious definition."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.ingest.source import open_traffic
from excise.model.schema import EXCHANGES, EXCHANGES_REQUIRED

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
name = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
moment = st.datetimes(datetime(2015, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))
whole_number = st.integers(-3, 2**40)


def _strategy(field):
    if field.name in EXCHANGES_REQUIRED:
        return moment if field.name == "started_at" else name
    if pt.is_string(field.type):
        ids = field.name.endswith("_id")
        return name if ids else text
    if pt.is_list(field.type):
        return st.lists(text, max_size=3)
    return whole_number if pt.is_integer(field.type) else st.floats(0, 2, width=32)


sound = st.fixed_dictionaries(
    {n: _strategy(EXCHANGES.field(n)) for n in EXCHANGES_REQUIRED},
    optional={f.name: _strategy(f) for f in EXCHANGES if f.name not in EXCHANGES_REQUIRED},
)
bad = sound.flatmap(
    lambda row: st.sampled_from(
        [
            {**row, "exchange_id": "a\x1b[2J"},
            {**row, "account_id": "nul\x00"},
            {n: v for n, v in row.items() if n != "model"},
            {**row, "account_id": ""},
            {**row, "started_at": datetime(1970, 1, 21, tzinfo=UTC)},
        ]
    )
)
rows_of = st.lists(st.one_of(sound, sound, bad), max_size=12)


def is_sound(row):
    for required in EXCHANGES_REQUIRED:
        if not row.get(required):
            return False
    if not datetime(2015, 1, 1, tzinfo=UTC) <= row["started_at"] < datetime(2100, 1, 1, tzinfo=UTC):
        return False
    ids = [v for n, v in row.items() if n.endswith("_id") and n != "device_id"]
    return not any(ord(c) < 32 or 127 <= ord(c) < 160 for value in ids for c in value)


def expected(rows, *, empty_is_null):
    """One row at a time, in plain Python."""
    kept = []
    for row in filter(is_sound, rows):
        clean = {n: v for n, v in row.items() if not (isinstance(v, int) and v < 0)}
        if empty_is_null:
            clean = {n: v for n, v in clean.items() if v != ""}
        kept.append(clean)
    return pa.Table.from_pylist(kept, EXCHANGES)


def as_json(row):
    return {n: v.isoformat() if isinstance(v, datetime) else v for n, v in row.items()}


def as_ndjson(rows):
    return "".join(json.dumps(as_json(row), ensure_ascii=False) + "\n" for row in rows).encode()


def as_array(rows):
    return json.dumps([as_json(row) for row in rows], indent=2).encode()


def as_objects(rows):
    return "\n".join(json.dumps(as_json(row), indent=4) for row in rows).encode()


def as_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, EXCHANGES.names)
    writer.writeheader()
    for row in rows:
        plain = as_json(row)
        writer.writerow({n: json.dumps(v) if isinstance(v, list) else v for n, v in plain.items()})
    return out.getvalue().encode()


def as_parquet(rows):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, EXCHANGES), out, row_group_size=5)
    return out.getvalue()


def as_pandas_like_parquet(rows):
    """Dictionaries, large strings, nanoseconds without a zone, whole numbers as floats."""
    table = pa.Table.from_pylist(rows, EXCHANGES)
    columns = {}
    for field in EXCHANGES:
        column = table[field.name].combine_chunks()
        if pt.is_timestamp(field.type):
            column = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.timestamp("ns"))
        elif pt.is_integer(field.type):
            column = column.cast(pa.float64())
        elif field.name == "model":
            column = column.dictionary_encode()
        elif pt.is_string(field.type):
            column = column.cast(pa.large_string())
        elif pt.is_list(field.type):
            column = column.cast(pa.large_list(pa.large_string()))
        columns[field.name] = column
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


KINDS = {
    "ndjson": as_ndjson,
    "array.json": as_array,
    "objects.json": as_objects,
    "csv": as_csv,
    "parquet": as_parquet,
    "pandas.parquet": as_pandas_like_parquet,
}


@settings(max_examples=120, deadline=None)
@given(rows_of, st.sampled_from(sorted(KINDS)), st.sampled_from([None, "gzip", "zstd"]), st.integers(1, 7))
def test_every_kind_of_file_gives_the_same_rows(rows, kind, packing, batch_rows):
    data = KINDS[kind](rows)
    if packing and "parquet" not in kind:
        data = packed(data, packing)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"traffic.{kind}"
        path.write_bytes(data)
        staging = Path(folder) / "staging"
        staging.mkdir()
        traffic = open_traffic(str(path), staging=staging, max_bad_rows=1.0)
        batches = list(traffic.batches(batch_rows=batch_rows))
        wanted = expected(rows, empty_is_null=kind == "csv")
        assert all(0 < batch.num_rows <= batch_rows for batch in batches)
        assert pa.Table.from_batches(batches, schema=EXCHANGES).to_pylist() == wanted.to_pylist()
        assert traffic.rows == wanted.num_rows
        assert traffic.rejected.rows == len(rows) - wanted.num_rows
        if wanted.num_rows:
            assert traffic.period.first == min(row["started_at"] for row in wanted.to_pylist())


def packed(data, packing):
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, packing) as stream:
        stream.write(data)
    return buffer.getvalue().to_pybytes()
