"""Look into hostile records: every function takes any decoded JSON value and returns the wanted type, or None."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from excise.errors import BadRow
from excise.ingest.reader import Record, Row

_INT64: Final = 2**63
_EMPTY: Final[Mapping[str, Any]] = {}
_WHOLE: Final = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNITS: Final = ((1e17, 1_000), (1e14, 1), (1e11, 1_000))
"""Least value of a time since 1970 in nanoseconds, microseconds, milliseconds (years 1973 to 5138 are unambiguous)."""

REDACTED: Final = frozenset({"REDACTED_BY_LITELM", "REDACTED_BY_LITELLM", "redacted-by-litellm", "[present]"})
"""What LiteLLM 1.106 writes in the place of a value that it withholds; the first is its own spelling."""


def text(value: object) -> str | None:
    """A non-empty string that is no mark of redaction; lone surrogates, which UTF-8 cannot hold, are replaced."""
    if not isinstance(value, str) or not value or value in REDACTED:
        return None
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def identifier(value: object) -> str | None:
    """An id: a non-empty string, or a whole number in its place."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if -_INT64 <= value < _INT64 else None
    return text(value)


def integer(value: object) -> int | None:
    """A whole number that fits int64, given as a number or as its digits."""
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return None
    return int(value) if -_INT64 <= value < _INT64 else None


def number(value: object) -> float | None:
    """A finite number, given as a number or as its digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def decoded(value: object) -> Any:
    """The value, or what it holds where it is a string of JSON: columns of exports come either way."""
    if not isinstance(value, str) or not value or value.lstrip()[:1] not in {"{", "[", '"'}:
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return json.loads(value)  # more lenient: lone surrogates, NaN
    except (ValueError, RecursionError):
        return value


def mapping(value: object) -> Mapping[str, Any]:
    """A JSON object, also one given as a string of JSON; an empty one for anything else."""
    found = decoded(value)
    return found if isinstance(found, Mapping) else _EMPTY


def listing(value: object) -> list[Any]:
    """A JSON array, also one given as a string of JSON; an empty one for anything else."""
    found = decoded(value)
    return found if isinstance(found, list) else []


def first(record: Record, *names: str) -> Any:
    """The value of the first of these keys that holds something."""
    for name in names:
        found = record.get(name)
        if found is not None and found != "":
            return found
    return None


def as_json(value: object) -> str | None:
    """Compact JSON in the source's key order, or None for what is empty or cannot be written."""
    if not value:
        return None
    try:
        return text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except (ValueError, TypeError, RecursionError):
        return None


def micros(value: object) -> int | None:
    """A time as microseconds since 1970 UTC: ISO text (naive is UTC), a datetime, or a number of s, ms, us or ns."""
    if isinstance(value, datetime):
        return _since_epoch(value)
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        try:
            return _since_epoch(datetime.fromisoformat(value.strip()))
        except ValueError:
            pass
    if isinstance(value, str) and (whole := integer(value)) is not None:
        return _scaled(whole)
    if isinstance(value, int) and not isinstance(value, bool):
        return _scaled(value)
    found = number(value)
    return None if found is None else _scaled(found)


def _since_epoch(value: datetime) -> int | None:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        return (aware - _EPOCH) // _MICROSECOND
    except OverflowError:
        return None


def _scaled(value: float) -> int | None:
    nanoseconds, microseconds, milliseconds = _UNITS
    if not 0 < value < 1e19:
        return None
    if value >= nanoseconds[0]:
        return int(value) // nanoseconds[1]
    if value >= microseconds[0]:
        return int(value)
    if value >= milliseconds[0]:
        return int(value * milliseconds[1])
    return round(value * 1_000_000)


def derived_id(*parts: object) -> str:
    """An id for a call that has none: `rq_` and 64 bits of a hash of what tells it apart, the same on every reading."""
    said = json.dumps(parts, sort_keys=True, default=str, skipkeys=True)
    return "rq_" + sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def finished(row: Row) -> Row | BadRow:
    """The row without its absent columns, or the `BadRow` that names the first required one it lacks."""
    kept = {name: value for name, value in row.items() if value is not None and value != []}
    for name, reason in _REQUIRED:
        if name not in kept:
            return BadRow(reason, f"no {name} in {row.get('exchange_id') or 'a record'}"[:200])
    return kept


_REQUIRED: Final = (
    ("exchange_id", "no-id"),
    ("started_at", "no-time"),
    ("account_id", "no-account"),
    ("model", "no-model"),
)
