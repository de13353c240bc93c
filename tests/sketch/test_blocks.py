"""Rows come back from blocks as they were, each in the bucket of its account."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.model.ragged import Ragged
from excise.sketch.blocks import COLUMNS, LISTS, Rows, bucket_of, pack, unpack

U64 = st.integers(0, 2**64 - 1)


def rows_of(accounts, lists):
    n = len(accounts)
    columns = {name: np.arange(k, k + n).astype(kind) for k, (name, kind) in enumerate(COLUMNS)}
    columns["account"] = np.array(accounts, np.uint64)
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    values = np.array([v for found in lists for v in found], np.uint64)
    return Rows(columns, {name: Ragged(offsets, values + np.uint64(k)) for k, name in enumerate(LISTS)})


def said(rows):
    lists = [
        [r.values[a:b].tolist() for a, b in zip(r.offsets, r.offsets[1:], strict=False)]
        for r in rows.lists.values()
    ]
    return list(zip(*(column.tolist() for column in rows.columns.values()), *lists, strict=True))


@settings(deadline=None)
@given(st.lists(st.tuples(U64, st.lists(st.integers(0, 99), max_size=4)), max_size=20), st.integers(0, 8))
def test_packing_loses_nothing(rows, bits):
    whole = rows_of([r[0] for r in rows], [r[1] for r in rows])
    blocks = pack(whole, bits)
    found = []
    for bucket, block in blocks:
        part = unpack([block])
        assert (bucket_of(part.columns["account"], bits) == bucket).all()
        assert {name: part.columns[name].dtype for name, _ in COLUMNS} == {n: np.dtype(k) for n, k in COLUMNS}
        found += said(part)
    assert sorted(found) == sorted(said(whole))
    assert said(unpack([b"".join(block for _, block in blocks)])) == found
    assert [bucket for bucket, _ in blocks] == sorted({bucket for bucket, _ in blocks})


def test_nothing_packs_to_nothing():
    assert pack(rows_of([], []), 3) == []
    assert len(unpack([])) == 0
