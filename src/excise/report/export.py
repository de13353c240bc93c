"""The list of accused accounts that an operator loads into a gateway. A new format is one function and one line in `FORMATS`."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from excise.errors import UsageError
from excise.model.findings import ACCUSING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from excise.model.run import Run

SCHEMA: Final = pa.schema(
    [
        ("account_id", pa.string()),
        ("campaign_id", pa.string()),
        ("verdict", pa.string()),
        ("confidence", pa.float64()),
        ("since", pa.string()),
        ("expires_at", pa.string()),
    ]
)
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that make a spreadsheet run a cell (OWASP, CSV injection)."""
UNITS: Final[Mapping[str, timedelta]] = {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
LONGEST: Final = timedelta(days=3660)
DURATION: Final = re.compile(r"([0-9]{1,6})([hdw])")


def duration(text: str) -> timedelta | None:
    """`30d`, `12h`, `2w`; None for `never`. Raises `UsageError` for anything else, and above ten years.

    >>> duration("2w").days, duration("never")
    (14, None)
    """
    if text == "never":
        return None
    found = DURATION.fullmatch(text)
    span = int(found[1]) * UNITS[found[2]] if found else timedelta(0)
    if not timedelta(0) < span <= LONGEST:
        raise UsageError(
            f"{text!r} is not a duration", subject="--expires-after", hint="write 12h, 30d, 2w or never"
        )
    return span


def listed(
    run: Run, *, min_confidence: float, verdicts: Sequence[str], expires_at: datetime | None
) -> pa.Table:
    """Accounts of campaigns with one of `verdicts` and at least `min_confidence`, by id; schema `SCHEMA`.

    Raises `UsageError` for a verdict that accuses nobody: its accounts do not belong on such a list.
    """
    for verdict in verdicts:
        if verdict not in ACCUSING:
            raise UsageError(
                f"{verdict!r} accuses nobody", subject="--verdict", hint=f"one of {', '.join(ACCUSING)}"
            )
    taken = {
        c.campaign_id: c for c in run.campaigns if c.verdict in verdicts and c.confidence >= min_confidence
    }
    ends = expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") if expires_at else None
    rows = []
    for row in run.accounts.select(["account_id", "campaign_id"]).to_pylist():
        c = taken.get(row["campaign_id"])
        if c:
            facts = {
                "verdict": c.verdict,
                "confidence": c.confidence,
                "since": c.first_seen,
                "expires_at": ends,
            }
            rows.append({**row, **facts})
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["account_id"]), schema=SCHEMA)


def to_csv(table: pa.Table) -> bytes:
    """UTF-8, a header, text quoted. A cell that a spreadsheet would run begins with an apostrophe instead."""
    page = io.StringIO(newline="")
    writer = csv.writer(page, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow(
            [
                inert(value) if isinstance(value, str) else "" if value is None else value
                for value in row.values()
            ]
        )
    return page.getvalue().encode()


def to_parquet(table: pa.Table) -> bytes:
    """Zstandard; ids exactly as they are."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def inert(cell: str) -> str:
    """`cell` as a spreadsheet takes it for text.

    >>> inert("=1+1"), inert("acct_1")
    ("'=1+1", 'acct_1')
    """
    return "'" + cell if cell.lstrip(" ").startswith(FORMULA_STARTS) else cell


def altered(table: pa.Table) -> int:
    """How many account ids a CSV cannot hold unchanged."""
    return sum(inert(account) != account for account in table["account_id"].to_pylist())


FORMATS: Final[Mapping[str, Callable[[pa.Table], bytes]]] = {"csv": to_csv, "parquet": to_parquet}
