"""Row checks, vectorised: which rows of a conformed batch are bad, and which values are mended in place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from excise.ingest.conform import with_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

EARLIEST: Final = datetime(2015, 1, 1, tzinfo=UTC)
"""No hosted language model served calls before; a time in 1970 is seconds taken for microseconds."""
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)

IDS: Final = (
    "exchange_id",
    "account_id",
    "org_id",
    "project_id",
    "key_id",
    "end_user_id",
    "session_id",
    "parent_exchange_id",
)
"""Identifiers: control characters in them make a row bad, since they only come from damage or from an attack."""

COUNTS: Final = frozenset(
    {
        "asn",
        "signup_asn",
        "max_tokens",
        "n",
        "n_messages",
        "tokens_in",
        "tokens_cache_read",
        "tokens_out",
        "tokens_reasoning",
        "http_status",
        "latency_ms",
    }
)
"""Columns that cannot be negative: a negative value there means "unknown" and becomes null."""

MISSING: Final = {
    "exchange_id": "no-exchange-id",
    "started_at": "no-time",
    "account_id": "no-account",
    "model": "no-model",
    "at": "no-time",
    "asn": "no-asn",
}
_CONTROL: Final = r"[\x00-\x1f\x7f\x{80}-\x{9f}]"


def faults(batch: pa.RecordBatch, required: Sequence[str]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield `reason, column, mask` for each check that some row of the conformed `batch` fails.

    Text columns must be valid UTF-8 (`mend` first) and may be dictionaries, which are looked at value by value.
    A row may fail several checks; the first one counts.
    """
    for name in required:
        mask = _by_value(batch.column(name), _missing, null=True)
        if mask.any():
            yield MISSING[name], name, mask
    for name in batch.schema.names:
        column = batch.column(name)
        if pt.is_timestamp(column.type):
            mask = _absurd(column)
            if mask.any() and name in required:
                yield "absurd-time", name, mask
        elif name in IDS:
            mask = _by_value(column, _control, null=False)
            if mask.any():
                yield "control-character", name, mask


def mend(array: Any, name: str) -> tuple[Any, str, int]:
    """The conformed column with bad UTF-8 replaced by U+FFFD and negative counts by null: column, how, how many."""
    if pt.is_string(array.type):
        return _mend_text(array)
    if pt.is_list(array.type):
        items, how, mended = _mend_text(array.flatten())
        return (with_items(array, items), how, mended) if mended else (array, "", 0)
    if name in COUNTS:
        return _mend_count(array)
    return array, "", 0


def _mend_text(array: Any) -> tuple[Any, str, int]:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        raw = array.view(pa.binary()).to_pylist()
    else:
        return array, "", 0
    text = [None if value is None else value.decode("utf-8", "replace") for value in raw]
    mended = sum(
        value is not None and value != (word or "").encode() for value, word in zip(raw, text, strict=True)
    )
    return pa.array(text, pa.string()), "invalid-utf8", mended


def _mend_count(array: Any) -> tuple[Any, str, int]:
    negative = pc.fill_null(pc.less(array, 0), False)
    mended = int(pc.sum(negative).as_py() or 0)
    if not mended:
        return array, "", 0
    return pc.if_else(negative, pa.scalar(None, array.type), array), "negative-count", mended


def _mask(condition: Any) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return mask


def _by_value(column: Any, test: Callable[[Any], NDArray[np.bool_]], *, null: bool) -> NDArray[np.bool_]:
    """`test` of each row, asked once for each value of a dictionary; `null` is the answer for a null."""
    if not pt.is_dictionary(column.type):
        return test(column)
    answers = np.append(test(column.dictionary), null)
    if not answers[:-1].any() and not (null and column.null_count):
        return np.zeros(len(column), dtype=np.bool_)
    codes = pc.fill_null(column.indices, pa.scalar(len(answers) - 1, column.indices.type))
    mask: NDArray[np.bool_] = answers[codes.to_numpy(zero_copy_only=False)]
    return mask


def _missing(column: Any) -> NDArray[np.bool_]:
    if pt.is_string(column.type):
        return ~_mask(pc.greater(pc.binary_length(column), 0))
    return _mask(column.is_null())


def _absurd(column: Any) -> NDArray[np.bool_]:
    early = pc.less(column, pa.scalar(EARLIEST, column.type))
    return _mask(pc.or_(early, pc.greater_equal(column, pa.scalar(LATEST, column.type))))


def _control(column: Any) -> NDArray[np.bool_]:
    """A quick look at all bytes; only where one could belong to a control character are the values looked at."""
    offsets, data = column.buffers()[1:3]
    if data is None or len(column) == 0:
        return np.zeros(len(column), dtype=np.bool_)
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    text = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    if not ((text < 0x20) | (text == 0x7F) | (text == 0xC2)).any():
        return np.zeros(len(column), dtype=np.bool_)
    return _mask(pc.match_substring_regex(column, _CONTROL))
