"""What `excise ingest --explain` says about a source: formats, coverage, bad rows, and the evidence it allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from excise.ingest.evidence import availability
from excise.ingest.ledger import plain
from excise.ingest.traffic import Repairs
from excise.model.schema import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from excise.ingest.traffic import Traffic

EXPLAIN_SCHEMA: Final = 1
_DUPLICATES_UP_TO: Final = 5_000_000
"""Rows up to which repeated ids are counted: their ids are held in memory, some 40 bytes each."""


def explain(traffic: Traffic) -> dict[str, Any]:
    """A description fit for JSON. Reads every column once."""
    repairs = Repairs()
    filled = dict.fromkeys(EXCHANGES.names, 0)
    for batch in traffic.batches(repairs=repairs):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            filled[name] += batch.num_rows - column.null_count
    rejected = traffic.rejected.as_json()
    for how, count in repairs.values.items():
        rejected["repaired"][how] = rejected["repaired"].get(how, 0) + count
    period = traffic.period
    return {
        "schema": EXPLAIN_SCHEMA,
        "inputs": [
            {"path": i.path, "kind": i.kind, "format": i.format, "rows": i.rows, "sha256": i.sha256}
            for i in traffic.inputs
        ],
        "rows": traffic.rows,
        "duplicate_ids": _duplicates(traffic),
        "period": {"first": period.first.isoformat(), "last": period.last.isoformat()} if period else None,
        "columns": {name: {"non_null": n, "share": n / max(traffic.rows, 1)} for name, n in filled.items()},
        "rejected": rejected,
        "evidence": [
            {
                "evidence": one.need.evidence,
                "serves": one.need.serves,
                "available": one.available,
                "why": one.why,
            }
            for one in availability(traffic)
        ],
    }


def as_text(said: dict[str, Any]) -> Iterator[str]:
    """The same for people, line by line, without control characters."""
    for one in said["inputs"]:
        yield f"{plain(one['path'], 200)}: {one['kind']}, {one['format']}, {one['rows']:,} rows"
    yield f"{said['rows']:,} exchanges" + _when(said["period"])
    if said["duplicate_ids"]:
        yield f"{said['duplicate_ids']:,} rows repeat the id of another; a scan counts each id once"
    yield ""
    yield "columns"
    for name, found in said["columns"].items():
        share = "-" if not found["non_null"] else f"{found['share']:.1%}"
        yield f"  {name:<20} {share:>7}"
    yield ""
    yield from _bad(said["rejected"])
    yield ""
    yield "evidence"
    for one in said["evidence"]:
        yield f"  {'yes' if one['available'] else 'no ':<4}{one['evidence']:<16}{one['why'] or one['serves']}"


def _when(period: dict[str, str] | None) -> str:
    return f" from {period['first'][:16]} to {period['last'][:16]} UTC" if period else ""


def _bad(rejected: dict[str, Any]) -> Iterator[str]:
    yield f"bad rows: {rejected['rows']:,}"
    for reason, rows in rejected["reasons"].items():
        yield f"  {reason:<20} {rows:>9,}"
    for sample in rejected["samples"]:
        yield f"  {plain(sample['path'], 200)} row {sample['row']}: {sample['reason']} {sample['detail']}".rstrip()
    for how, count in rejected["repaired"].items():
        yield f"  mended: {how} {count:,}"


def _duplicates(traffic: Traffic) -> int | None:
    """Rows whose id was there before; `None` (not counted) above 5 million rows."""
    if traffic.rows > _DUPLICATES_UP_TO:
        return None
    ids = pa.chunked_array([batch.column(0) for batch in traffic.batches(["exchange_id"])], pa.string())
    return traffic.rows - int(pc.count_distinct(ids).as_py())
