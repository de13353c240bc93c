"""Bring Arrow columns of compatible types to the contract's types, and refuse the others by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from excise.errors import SchemaMismatch
from excise.model.schema import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPOCH: Final = 0  # a time too far off for the column's unit becomes 1970, which the row check refuses
_FAR_SECONDS: Final = (
    10_000_000_000  # beyond year 2286: refused anyway, and safe from overflow in microseconds
)
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def check_schema(found: pa.Schema, contract: pa.Schema, required: Sequence[str], subject: str) -> None:
    """Raise `SchemaMismatch` where a required column is missing or a known column cannot become its type."""
    names = found.names
    missing = [name for name in required if name not in names]
    if missing:
        raise SchemaMismatch(
            f"no column {', '.join(missing)}",
            subject=subject,
            hint=f"required are {', '.join(required)}; `docs/formats.md` lists all columns and log formats",
        )
    for field in contract:
        if names.count(field.name) > 1:
            raise SchemaMismatch(
                f"column {field.name} is there twice", subject=subject, hint="drop or rename one"
            )
        if field.name in names and not fits(found.field(field.name).type, field.type):
            raise SchemaMismatch(
                f"column {field.name} is {found.field(field.name).type}, which cannot become {field.type}",
                subject=subject,
                hint=f"cast {field.name} to {field.type} where the file is written",
            )


def fits(found: Any, wanted: Any) -> bool:  # noqa: PLR0911  a table of types reads best as one
    """Whether a column of Arrow type `found` can be read as `wanted`, one of the contract's types."""
    if pt.is_dictionary(found):
        return fits(found.value_type, wanted)
    if pt.is_null(found):
        return True
    if pt.is_timestamp(wanted):
        return bool(pt.is_timestamp(found) or pt.is_date(found))
    if pt.is_list(wanted):
        return _is_list(found) and fits(found.value_type, wanted.value_type)
    if pt.is_boolean(wanted):
        return bool(pt.is_boolean(found))
    if pt.is_string(wanted):
        return _is_text(found)
    return bool(pt.is_integer(found) or pt.is_floating(found) or pt.is_decimal(found))


def conform(array: Any, wanted: Any) -> Any:  # noqa: PLR0911  a table of types reads best as one
    """`array` (of a type that `fits`) as the contract's type `wanted`. Text is not checked here."""
    found = array.type
    if found == wanted:
        return array
    if pt.is_dictionary(found):
        return conform(array.dictionary_decode(), wanted)
    if pt.is_null(found):
        return pa.nulls(len(array), wanted)
    if pt.is_timestamp(wanted):
        return _times(array)
    if pt.is_list(wanted):
        return _list(array, wanted)
    if pt.is_string(wanted):
        return _text(array)
    if pt.is_int64(wanted):
        return _whole(array)
    if pt.is_decimal(found) or pt.is_floating(found):
        return array.cast(wanted, safe=False)
    return array.cast(pa.float64(), safe=False).cast(wanted)


def _is_list(found: Any) -> bool:
    return bool(pt.is_list(found) or pt.is_large_list(found) or pt.is_fixed_size_list(found))


def _is_text(found: Any) -> bool:
    text = pt.is_string(found) or pt.is_large_string(found) or pt.is_string_view(found)
    return bool(text or pt.is_binary(found) or pt.is_large_binary(found) or pt.is_binary_view(found))


def _text(array: Any) -> Any:
    """Bytes of any layout as `string`, without a check of their encoding (that comes with the repair)."""
    found = array.type
    if pt.is_string_view(found):
        return array.cast(pa.string())
    if pt.is_binary_view(found):
        array = array.cast(pa.binary())
    elif pt.is_large_string(found) or pt.is_large_binary(found):
        array = array.cast(pa.string() if pt.is_large_string(found) else pa.binary())
    return array.view(pa.string())


def _list(array: Any, wanted: Any) -> Any:
    if pt.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    return with_items(array, conform(array.flatten(), wanted.value_type))


def with_items(lists: Any, items: Any) -> Any:
    """`lists` with other `items` in the places of its own (`lists.flatten()`), as a plain list array."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths.cast(pa.int64()))])
    mask = lists.is_null() if lists.null_count else None
    return pa.ListArray.from_arrays(offsets.cast(pa.int32()), items, type=pa.list_(items.type), mask=mask)


def _times(array: Any) -> Any:
    if pt.is_date(array.type):
        array = array.cast(pa.timestamp("s" if pt.is_date32(array.type) else "ms"), safe=False)
    per_second = _PER_SECOND[array.type.unit]
    ticks = array.cast(pa.int64())
    if per_second <= 1_000:
        far = pc.or_(pc.greater(ticks, _FAR_SECONDS * per_second), pc.less(ticks, -_FAR_SECONDS * per_second))
        ticks = pc.if_else(far, _EPOCH, ticks)
        ticks = pc.multiply(ticks, 1_000_000 // per_second)
    elif per_second > 1_000_000:
        ticks = pc.divide(ticks, 1_000)
    return ticks.cast(TIMESTAMP)


def _whole(array: Any) -> Any:
    """Whole numbers as int64; a fraction, NaN, infinity or a number out of range becomes null."""
    if pt.is_unsigned_integer(array.type):
        if array.type.bit_width == 64:
            array = pc.if_else(
                pc.less_equal(array, pa.scalar(2**63 - 1, array.type)), array, pa.scalar(None, array.type)
            )
        return array.cast(pa.int64())
    if pt.is_integer(array.type):
        return array.cast(pa.int64())
    real = array.cast(pa.float64(), safe=False)
    fine = pc.and_(pc.equal(pc.floor(real), real), pc.less(pc.abs(real), float(2**62)))
    return pc.if_else(fine, real, pa.scalar(None, pa.float64())).cast(pa.int64())
