"""Rows of loose values to Arrow batches of the contract's types. A row that does not fit is a bad row, said by column.

Whole columns are built at once; only a column that does not build is looked at value by value.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
import pyarrow.types as pt

from excise.errors import BadRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from excise.ingest.ledger import Ledger
    from excise.ingest.reader import Row

_NONE: Final = type(None)
_INT64: Final = 2**63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WORDS: Final = {
    "true": True,
    "1": True,
    "t": True,
    "yes": True,
    "false": False,
    "0": False,
    "f": False,
    "no": False,
}


def typed_batch(
    rows: Sequence[Row], numbers: Sequence[int], schema: pa.Schema, path: str, ledger: Ledger
) -> tuple[pa.RecordBatch, list[int]]:
    """`rows` as a batch of `schema`, and the numbers of the rows that fitted; the others go into `ledger`."""
    bad: dict[int, BadRow] = {}
    named = set().union(*rows)
    present = [name for name in schema.names if name in named]
    values = dict(zip(present, zip(*(map(row.get, present) for row in rows), strict=True), strict=True))
    columns = [
        _column(values[field.name], field.name, field.type, bad, ledger)
        if field.name in values
        else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    if not bad:
        return batch, list(numbers)
    for position in sorted(bad):
        ledger.reject(path, numbers[position], bad[position])
    good = [position for position in range(len(rows)) if position not in bad]
    return batch.take(pa.array(good, pa.int64())), [numbers[position] for position in good]


def _column(values: Sequence[Any], name: str, wanted: Any, bad: dict[int, BadRow], ledger: Ledger) -> Any:
    fast, slow = _KINDS[_kind(wanted)]
    if set(map(type, values)) <= fast:
        try:
            return pa.array(values, wanted)
        except (pa.ArrowException, ValueError, OverflowError):
            pass  # found below, value by value
    clean: list[Any] = []
    for position, value in enumerate(values):
        try:
            clean.append(None if value is None else slow(value))
        except (TypeError, ValueError, OverflowError):
            clean.append(None)
            bad.setdefault(position, BadRow("bad-type", f"{name} is no {_kind(wanted)}"))
    if pt.is_string(wanted):
        pairs = zip(values, clean, strict=True)
        ledger.repair("invalid-utf8", sum(new is not None and new is not old for old, new in pairs))
    return pa.array(clean, wanted)


def _kind(wanted: Any) -> str:
    if pt.is_timestamp(wanted):
        return "time"
    if pt.is_list(wanted):
        return "list of text"
    if pt.is_boolean(wanted):
        return "true or false"
    if pt.is_string(wanted):
        return "text"
    return "whole number" if pt.is_integer(wanted) else "number"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _int(value: Any) -> int | None:
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124  the test for NaN, which pandas writes for a missing whole number
            return None
        if not value.is_integer():
            raise ValueError
    if not -_INT64 <= value < _INT64:
        raise OverflowError
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _number(text: str) -> int | float:
    """A decimal number as JSON or a data frame writes it; `1_000`, `0x10` and digits of other scripts are refused."""
    text = text.strip()
    if not text.isascii() or "_" in text or len(text) > 64:
        raise ValueError
    try:
        return int(text)
    except ValueError:
        return float(text)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    raise TypeError


def _time(value: Any) -> int:
    """Microseconds since 1970. Text is ISO 8601, UTC where it names no offset; a whole number is microseconds."""
    if isinstance(value, str):
        text = value.strip()
        if text.lstrip("-").isdigit() and text.isascii():
            return _micro(int(text)) if len(text) < 20 else _micro(_INT64)
        value = datetime.fromisoformat(text)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        since = aware - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return _micro(value)


def _micro(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise TypeError
    return value


def _list(value: Any) -> list[str | None]:
    if isinstance(value, str):
        value = msgspec.json.decode(value, type=list[str | None])
    if not isinstance(value, list | tuple):
        raise TypeError
    return [item if item is None else _text(item) for item in value]


_KINDS: Final[Mapping[str, tuple[frozenset[type], Callable[[Any], Any]]]] = {
    "text": (frozenset({str, _NONE}), _text),
    "whole number": (frozenset({int, _NONE}), _int),
    "number": (frozenset({float, int, _NONE}), _float),
    "true or false": (frozenset({bool, _NONE}), _bool),
    "time": (frozenset({_NONE}), _time),
    "list of text": (frozenset({list, _NONE}), _list),
}
