"""How log formats are told and run: detection, forms of file, row numbers of what they refuse."""

from __future__ import annotations

import csv
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import START, whole
from excise.errors import BadRow, SchemaMismatch, UsageError
from excise.ingest import contract
from excise.ingest.layout import shown
from excise.ingest.reader import Reader


def convert(records):
    for record in records:
        if record.get("type") != "call":
            continue
        if "who" not in record:
            yield BadRow("no-account", "who is missing")
            continue
        yield {
            "exchange_id": record["call_id"],
            "started_at": int(START.timestamp() * 1_000_000) if int(record["at"]) else START,
            "account_id": record["who"],
            "model": "m",
            "user_text": json.loads(record["body"])["prompt"],
        }


TOY = Reader("toy", "A toy", ("user_text",), "the rest", lambda record: "call_id" in record, convert)
CALLS = [
    {"type": "header", "version": 3},
    {"type": "call", "call_id": "c1", "at": 1, "who": "a", "body": '{"prompt": "one"}'},
    {"type": "call", "call_id": "c2", "at": 0, "body": "{}"},
    {"type": "call", "call_id": "c3", "at": 0, "who": "b", "body": '{"prompt": "three"}'},
]


@pytest.fixture(autouse=True)
def _toy_is_known(monkeypatch):
    monkeypatch.setattr(contract, "READERS", (TOY,))


def write(path, form):
    if form == "ndjson":
        path.write_text("\n".join(map(json.dumps, CALLS)))
    elif form == "array":
        path.write_text(json.dumps(CALLS))
    elif form == "objects":
        path.write_text("\n".join(json.dumps(call, indent=2) for call in CALLS))
    elif form == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["type", "call_id", "at", "who", "body", "version"])
            writer.writeheader()
            writer.writerows(CALLS)
    else:
        names = ["type", "call_id", "at", "who", "body", "version"]
        pq.write_table(pa.table({name: [call.get(name) for call in CALLS] for name in names}), path)


@pytest.mark.parametrize(
    ("form", "row"), [("ndjson", 3), ("array", 3), ("objects", 3), ("csv", 4), ("parquet", 3)]
)
def test_a_format_is_found_in_every_form_of_file(tmp_path, opened, form, row):
    path = tmp_path / "log"
    write(path, form)
    traffic = opened(path)
    rows = whole(traffic)
    assert rows["exchange_id"].to_pylist() == ["c1", "c3"]
    assert rows["user_text"].to_pylist() == ["one", "three"]
    assert rows["started_at"].to_pylist() == [START, START]
    assert traffic.rejected.reasons == {"no-account": 1}
    assert traffic.rejected.samples[0].row == row
    assert traffic.inputs[0].format.startswith("toy (")
    assert traffic.inputs[0].rows == 3


def test_a_named_format_is_not_guessed(tmp_path, opened):
    path = tmp_path / "log"
    write(path, "ndjson")
    assert opened(path, format="toy").rows == 2
    assert opened(path, format="contract").rejected.rows == 4
    with pytest.raises(UsageError) as raised:
        opened(path, format="toys")
    assert raised.value.hint == "known are contract, toy"


def test_records_of_no_known_format_are_refused(tmp_path, opened):
    path = tmp_path / "log"
    path.write_text(json.dumps(CALLS[0]))
    with pytest.raises(SchemaMismatch, match="no known log format"):
        opened(path)


def test_a_database_without_its_extra_says_what_to_install(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError) as raised:
        opened("postgresql://user:secret@db.example/litellm")
    assert "secret" not in str(raised.value)
    assert "excise[postgres]" in raised.value.hint


def test_a_database_url_is_shown_without_its_password():
    assert (
        shown("postgres://user:secret@db.example:5432/litellm?sslmode=require")
        == "postgres://db.example/litellm"
    )
