"""What was rejected while reading, and what was repaired: counted by reason, sampled, never whole texts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from excise.errors import BadRow, TooManyBadRows, UsageError

MAX_SAMPLES = 20
MAX_DETAIL = 120
MAX_REASONS = 64

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def plain(text: str, limit: int = MAX_DETAIL) -> str:
    """`text` on one line, without control and direction characters, at most `limit` characters long."""
    cut = _CONTROL.sub(" ", text[: limit + 1])
    return cut if len(cut) <= limit else cut[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Sample:
    """One bad row: `row` counts from 1 (the line of a text file, the row of a Parquet file; 0 where unknown)."""

    path: str
    row: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows left out, by reason, with at most 20 samples; `repaired` counts values that were mended, by how."""

    rows: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    repaired: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The `rejected` part of `run.json`."""
        samples = [
            {"path": s.path, "row": s.row, "reason": s.reason, "detail": s.detail} for s in self.samples
        ]
        return {
            "rows": self.rows,
            "reasons": dict(sorted(self.reasons.items())),
            "samples": samples,
            "repaired": dict(sorted(self.repaired.items())),
        }


class Ledger:
    """Collects while files are read; `close` gives the frozen result. One ledger, one owner, one thread."""

    def __init__(self) -> None:
        self.rows = 0
        self._reasons: Counter[str] = Counter()
        self._samples: list[Sample] = []
        self._repaired: Counter[str] = Counter()

    def reject(self, path: str, row: int, bad: BadRow) -> None:
        """Count one bad row and keep it as a sample while there is room."""
        self.count(bad.reason, 1)
        if len(self._samples) < MAX_SAMPLES:
            self._samples.append(Sample(path, row, plain(bad.reason, 40), plain(bad.detail)))

    def count(self, reason: str, rows: int) -> None:
        """Count bad rows without a sample. A flood of different reasons is counted as `other`."""
        word = plain(reason, 40)
        known = word in self._reasons or len(self._reasons) < MAX_REASONS
        self._reasons[word if known else "other"] += rows
        self.rows += rows

    def repair(self, how: str, values: int) -> None:
        """Count values that were mended and kept."""
        if values:
            self._repaired[how] += values

    def close(self) -> Rejected:
        """The frozen result; reasons in order of frequency, then by name."""
        reasons = dict(sorted(self._reasons.items(), key=lambda item: (-item[1], item[0])))
        return Rejected(self.rows, reasons, tuple(self._samples), dict(sorted(self._repaired.items())))


def enforce_limit(bad: int, total: int, limit: float, rejected: Rejected, subject: str) -> None:
    """Raise `TooManyBadRows` when more than `limit` (a share) of `total` rows, bad ones included, are bad."""
    if bad <= limit * total:
        return
    most = ", ".join(f"{reason} {rows}" for reason, rows in list(rejected.reasons.items())[:3])
    first = rejected.samples[0] if rejected.samples else None
    where = f"; first: {first.path} row {first.row}, {first.reason} {first.detail}".rstrip() if first else ""
    raise TooManyBadRows(
        f"{bad} of {total} rows are bad, more than {limit:.3g} of them ({most}{where})",
        subject=subject,
        hint="`excise ingest --explain` shows them; raise --max-bad-rows to leave them out and go on",
    )


def parse_share(text: str) -> float:
    """A share from 0 to 1, written `1%` or `0.01`. Raises `UsageError`."""
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if rest or not 0 <= share <= 1:
        raise UsageError(
            f"{plain(text)!r} is no share of rows", subject="--max-bad-rows", hint="write 1% or 0.01"
        )
    return share
