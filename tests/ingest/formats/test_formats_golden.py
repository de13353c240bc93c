"""The registry's contract, and every fixture against a golden file that was read field by field."""

from __future__ import annotations

import csv
import io
import json
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixture_files import FIXTURES, FORMATS, GOLDEN, completed, converted, goldens, records

from excise.ingest import formats
from excise.ingest.formats import READERS
from excise.model.schema import ENDPOINTS, EXCHANGES, EXCHANGES_REQUIRED, STOP_REASONS

BY_ID = {reader.id: reader for reader in READERS}
SHARED = Path(__file__).resolve().parents[4] / "shared" / "fixtures"
KINDS = {"string": str, "int64": int, "double": float, "timestamp[us, tz=UTC]": int}


@pytest.mark.parametrize(("name", "reader", "found"), list(goldens()), ids=lambda value: str(value)[:60])
def test_golden(name, reader, found):
    wanted = [json.loads(line) for line in (GOLDEN / name).read_text("utf-8").splitlines()]
    assert converted(BY_ID[reader], found) == wanted


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.id)
def test_a_reader_is_named_as_its_file(reader):
    module = import_module(f"excise.ingest.formats.{reader.id.replace('-', '_')}")
    assert getattr(module, reader.id.replace("-", "_").upper()) is reader
    assert reader.title
    assert reader.lacks


def test_ids_are_unique_and_every_reader_has_a_fixture():
    assert len(BY_ID) == len(READERS)
    assert set(FORMATS.values()) == set(BY_ID)


def test_every_fixture_has_a_reader():
    there = {path.name for path in FIXTURES.glob("*.*json") if "-" in path.name}
    assert there >= set(FORMATS)
    mine = ("litellm-1", "openai-", "anthropic-2", "otel-")
    assert {name for name in there if name.startswith(mine)} == set(FORMATS)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.id)
def test_a_reader_carries_what_its_fixtures_show_and_no_more(reader):
    assert set(reader.carries) <= set(EXCHANGES.names)
    assert len(set(reader.carries)) == len(reader.carries)
    assert set(EXCHANGES_REQUIRED) <= set(reader.carries)
    seen = set()
    for name, owner in FORMATS.items():
        if owner == reader.id:
            for row in converted(reader, completed(name)):
                assert "bad_row" not in row
                seen |= set(row)
    assert seen <= set(reader.carries)


@pytest.mark.parametrize("name", FORMATS)
def test_a_fixture_is_known_by_its_own_reader_alone(name):
    for record in records(name):
        assert [reader.id for reader in READERS if reader.matches(record)] == [FORMATS[name]]


@pytest.mark.parametrize("name", FORMATS)
def test_rows_have_the_contracts_types_and_words(name):
    for row in converted(BY_ID[FORMATS[name]], completed(name)):
        for column, value in row.items():
            kind = str(EXCHANGES.field(column).type)
            assert type(value) is (list if kind.startswith("list") else KINDS[kind]), column
        assert row.get("stop_reason", "stop") in STOP_REASONS
        assert row.get("endpoint", "chat") in ENDPOINTS


@pytest.mark.parametrize("name", FORMATS)
def test_ids_of_calls_are_unique(name):
    ids = [row["exchange_id"] for row in converted(BY_ID[FORMATS[name]], completed(name))]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", FORMATS)
def test_reading_twice_gives_the_same(name):
    reader = BY_ID[FORMATS[name]]
    assert converted(reader, records(name)) == converted(reader, records(name))


def as_csv(found):
    """Records as a CSV export has them: everything text, objects as JSON."""
    names = list(dict.fromkeys(key for record in found for key in record))
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(names)
    for record in found:
        values = (record.get(name) for name in names)
        writer.writerow([value if isinstance(value, str) else json.dumps(value) for value in values])
    file.seek(0)
    return [
        {name: None if value in ("null", "") else value for name, value in row.items()}
        for row in csv.DictReader(file)
    ]


def as_parquet(found):
    """Records as a Parquet export has them: scalars typed, objects as JSON text."""
    plain = [
        {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in record.items()}
        for record in found
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(plain), sink)
    return pq.read_table(pa.BufferReader(sink.getvalue())).to_pylist()


@pytest.mark.parametrize("export", [as_csv, as_parquet])
@pytest.mark.parametrize("name", [name for name, reader in FORMATS.items() if reader == "litellm-spendlogs"])
def test_spendlogs_read_the_same_from_every_export(name, export):
    reader = BY_ID["litellm-spendlogs"]
    assert converted(reader, export(records(name))) == converted(reader, records(name))


def test_spendlogs_read_the_same_with_objects_in_place_of_text():
    reader, name = BY_ID["litellm-spendlogs"], "litellm-1.106.2-spendlogs_rows.ndjson"
    columns = ("metadata", "request_tags", "messages", "response", "proxy_server_request")
    found = [{**row, **{key: json.loads(row[key]) for key in columns}} for row in records(name)]
    assert converted(reader, found) == converted(reader, records(name))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of shared fixtures is not beside this checkout")
def test_copies_are_the_shared_fixtures():
    for path in SHARED.glob("*.*json"):
        assert (FIXTURES / path.name).read_bytes() == path.read_bytes()


def test_the_registry_is_a_literal():
    source = Path(formats.__file__).read_text("utf-8")
    assert "READERS: tuple[Reader, ...] = (\n" in source
