"""Columns of compatible types become the contract's; values that do not fit become null, never wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.ingest.conform import conform, fits
from excise.model.schema import BLOCKS, TIMESTAMP

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("array", "wanted", "values"),
    [
        (pa.array(["a", None]).dictionary_encode(), pa.string(), ["a", None]),
        (pa.array(["a", None], pa.large_string()), pa.string(), ["a", None]),
        (pa.array(["a", None], pa.string_view()), pa.string(), ["a", None]),
        (pa.array([b"a", None], pa.binary()), pa.string(), ["a", None]),
        (pa.array([b"a", None], pa.large_binary()), pa.string(), ["a", None]),
        (pa.array([b"a", None], pa.binary_view()), pa.string(), ["a", None]),
        (pa.nulls(2), pa.string(), [None, None]),
        (pa.array([1, None], pa.int8()), pa.int64(), [1, None]),
        (pa.array([1, None, 2**63], pa.uint64()), pa.int64(), [1, None, None]),
        (pa.array([2**32 - 1], pa.uint32()), pa.int64(), [2**32 - 1]),
        (
            pa.array([1.0, None, float("nan"), 1.5, float("inf"), 1e30]),
            pa.int64(),
            [1, None, None, None, None, None],
        ),
        (pa.array([Decimal("12.00"), Decimal("12.50")]), pa.int64(), [12, None]),
        (pa.array([1, None], pa.int32()), pa.float64(), [1.0, None]),
        (pa.array([0.5, None], pa.float32()), pa.float64(), [0.5, None]),
        (pa.array([Decimal("0.5")]), pa.float64(), [0.5]),
        (pa.array([MOMENT, None], pa.timestamp("s", tz="UTC")), TIMESTAMP, [MOMENT, None]),
        (pa.array([MOMENT, None], pa.timestamp("ms", tz="Asia/Tokyo")), TIMESTAMP, [MOMENT, None]),
        (pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("ns")), TIMESTAMP, [MOMENT]),
        (pa.array([2**62], pa.timestamp("s")), TIMESTAMP, [datetime(1970, 1, 1, tzinfo=UTC)]),
        (pa.array([-(2**62)], pa.timestamp("ms")), TIMESTAMP, [datetime(1970, 1, 1, tzinfo=UTC)]),
        (pa.array([date(2026, 3, 1)], pa.date32()), TIMESTAMP, [datetime(2026, 3, 1, tzinfo=UTC)]),
        (pa.array([["a"], None, []], pa.large_list(pa.large_string())), BLOCKS, [["a"], None, []]),
        (pa.array([["a", "b"], None], pa.list_(pa.string(), 2)), BLOCKS, [["a", "b"], None]),
        (pa.array([["a"], None, ["b", None]]).slice(1), BLOCKS, [None, ["b", None]]),
        (pa.array([["a"], ["b"], ["c"]], pa.list_(pa.binary())).slice(1), BLOCKS, [["b"], ["c"]]),
        (pa.array([True, None]), pa.bool_(), [True, None]),
    ],
)
def test_compatible_types(array, wanted, values):
    assert fits(array.type, wanted)
    found = conform(array, wanted)
    assert found.type == wanted
    assert found.to_pylist() == values


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (pa.int64(), pa.string()),
        (pa.string(), pa.int64()),
        (pa.string(), pa.float64()),
        (pa.bool_(), pa.int64()),
        (pa.int64(), TIMESTAMP),
        (pa.string(), TIMESTAMP),
        (pa.time64("us"), TIMESTAMP),
        (pa.string(), BLOCKS),
        (pa.list_(pa.int64()), BLOCKS),
        (pa.list_(pa.string()), pa.string()),
        (pa.struct([("a", pa.string())]), pa.string()),
        (pa.int8(), pa.bool_()),
        (pa.dictionary(pa.int8(), pa.int64()), pa.string()),
    ],
)
def test_incompatible_types(found, wanted):
    assert not fits(found, wanted)


@given(
    st.lists(
        st.one_of(st.none(), st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=3)), max_size=8
    ),
    st.data(),
)
def test_a_slice_of_lists_keeps_its_values(lists, data):
    array = pa.array(lists, pa.large_list(pa.large_string()))
    start = data.draw(st.integers(0, len(lists)))
    assert conform(array.slice(start), BLOCKS).to_pylist() == lists[start:]
