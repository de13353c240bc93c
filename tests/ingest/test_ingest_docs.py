"""`docs/formats.md` names every column, format and reason that the code knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from excise.ingest.check import MISSING
from excise.ingest.contract import CONTRACT
from excise.ingest.evidence import NEEDS
from excise.ingest.formats import READERS
from excise.model.schema import ACCOUNTS, ASN_TABLE, EVENTS, EXCHANGES

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
TABLES = {"exchanges": EXCHANGES, "accounts": ACCOUNTS, "events": EVENTS, "asn": ASN_TABLE}


@pytest.mark.parametrize("name", sorted({name for schema in TABLES.values() for name in schema.names}))
def test_every_column_is_documented(name):
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("reader", [CONTRACT, *READERS], ids=lambda reader: reader.id)
def test_every_format_is_documented(reader):
    assert f"| `{reader.id}` |" in PAGE


@pytest.mark.parametrize(
    "reason", sorted({*MISSING.values(), "absurd-time", "control-character", "bad-type"})
)
def test_every_reason_is_documented(reason):
    assert f"`{reason}`" in PAGE


def test_every_kind_of_evidence_asks_for_columns_that_exist():
    for need in NEEDS:
        assert set(need.all_of) | set(need.any_of) <= set(TABLES[need.table].names)
    assert len({need.evidence for need in NEEDS}) == len(NEEDS)
