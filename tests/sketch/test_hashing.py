from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from adversarial import bytestrings
from definition import MASK, mix
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.sketch.hashing import hash_strings, keys_of


def plain_hash(value: bytes, seed: int) -> int:
    keys = [int(k) for k in keys_of(seed, 4)]

    def fold(a: int, b: int) -> int:
        return (a * b & MASK) ^ (a * b >> 64)

    def words(part: bytes) -> list[int]:
        return [int.from_bytes(part[i : i + 8], "little") for i in range(0, len(part), 8)]

    a, whole = keys[0] ^ len(value), len(value) // 16 * 16
    for i in range(0, whole, 16):
        low, high = words(value[i : i + 16])
        a = fold(low ^ keys[1], high ^ a)
    if len(value) - whole >= 8:
        a = fold(words(value[whole : whole + 8])[0] ^ keys[2], a)
        whole += 8
    rest = int.from_bytes(value[whole:], "big")
    return mix(fold(rest ^ keys[3], a ^ keys[1])) or 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.none(), bytestrings, st.binary(max_size=40)), max_size=6), st.integers(0, 2**64 - 1)
)
def test_equals_the_definition_whatever_the_type(values, seed):
    expected = [0 if v is None else plain_hash(v, seed) for v in values]
    array = pa.array(values, pa.binary())
    for form in (array, array.cast(pa.large_binary()), array.dictionary_encode(), pa.chunked_array([array])):
        assert hash_strings(form, seed=seed).tolist() == expected
    for start in range(len(values)):
        assert hash_strings(array.slice(start), seed=seed).tolist() == expected[start:]
        assert hash_strings(array.dictionary_encode().slice(start), seed=seed).tolist() == expected[start:]


def test_strings_hash_as_their_bytes_and_null_alone_is_zero():
    values = ["", "a", None, "é", "a"]
    hashes = hash_strings(pa.array(values), seed=3)
    assert hashes.tolist() == [0 if v is None else plain_hash(v.encode(), 3) for v in values]
    assert hash_strings(pa.nulls(2), seed=3).tolist() == [0, 0]
    assert len(hash_strings(pa.array([], pa.string()), seed=3)) == 0


def test_close_strings_do_not_collide():
    many = pa.array([f"{i:0{width}d}" for width in (6, 9, 17, 25) for i in range(50_000)])
    hashes = hash_strings(many, seed=11)
    assert len(np.unique(hashes)) == len(many)
    assert len(np.unique(hashes >> np.uint64(40))) > 190_000


def test_another_type_is_refused():
    with pytest.raises(TypeError, match="string or binary"):
        hash_strings(pa.array([1.5]), seed=1)
