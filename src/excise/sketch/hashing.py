"""Keyed hashes over Arrow buffers. Every hash of the product comes from here, never from an engine's `hash()`.

Mixing is that of wyhash (multiply 64 x 64 to 128 bits, xor the halves; W. Yi, 2019), eight bytes at a time, and
MurmurHash3's 64-bit finaliser (A. Appleby, 2011) for numbers. Not cryptographic: the key keeps others from
predicting hashes, it does not hide a short string from someone who knows the key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, TypeVar

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
U64 = npt.NDArray[np.uint64]

_MASK = (1 << 64) - 1
_M1 = np.uint64(0xFF51AFD7ED558CCD)
_M2 = np.uint64(0xC4CEB9FE1A85EC53)
_S33 = np.uint64(33)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


_OPTIONS: Final[dict[str, Any]] = {
    "nogil": True, "cache": True, "boundscheck": False, "error_model": "numpy", "_nrt": False,
}  # fmt: skip


def jit(function: F) -> F:
    """Compile a function that neither makes nor returns an array: without the interpreter's lock, cached on disk.

    References to arrays are not counted then. Numba counts, by atomic steps, whenever an array leaves a tuple or goes on to
    another function, which took a third of the text kernel's time.
    """
    compiled: F = numba.njit(**_OPTIONS)(function)
    return compiled


def inlined(function: F) -> F:
    """As `jit`, but never called: a call hands over every field of every array, which a loop over words feels."""
    compiled: F = numba.njit(**_OPTIONS, forceinline=True)(function)
    return compiled


@cache
def keys_of(seed: int, count: int) -> U64:
    """Derive `count` 64-bit keys from a seed (any integer, taken modulo 2^64) by splitmix64; odd ones multiply well."""
    state, keys = seed & _MASK, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        keys.append((z ^ (z >> 31)) | 1)
    return np.array(keys, np.uint64)


@jit
def mix64(x: Any) -> Any:
    """Mix one u64 so that every bit of it moves every bit of the result; a bijection."""
    x = (x ^ (x >> _S33)) * _M1
    x = (x ^ (x >> _S33)) * _M2
    return x ^ (x >> _S33)


@intrinsic  # type: ignore[untyped-decorator]
def multiply_fold(_context: Any, _a: Any, _b: Any) -> Any:
    """Multiply u64 by u64 to 128 bits and xor the two halves."""

    def code(_ctx: Any, builder: Any, _sig: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.lshr(product, ir.Constant(wide, 64))
        return builder.trunc(builder.xor(product, high), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), code


@intrinsic  # type: ignore[untyped-decorator]
def load64(_context: Any, _data: Any, _at: Any) -> Any:
    """Read eight bytes of a u8 array as one little-endian u64, at any alignment; the caller keeps within bounds."""

    def code(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = ctx.make_array(sig.args[0])(ctx, builder, args[0])
        pointer = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(64).as_pointer())
        word = builder.load(pointer)
        word.align = 1
        return word

    return types.uint64(_data, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def load8(_context: Any, _data: Any, _at: Any) -> Any:
    """Read one byte of a u8 array, as `data[at]` without numba's care for negative positions."""

    def code(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = ctx.make_array(sig.args[0])(ctx, builder, args[0])
        return builder.load(builder.gep(array.data, [args[1]]))

    return types.uint8(_data, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def lanes_within(_context: Any, _data: Any, _at: Any, _first: Any, _count: Any) -> Any:
    """Say which of the 64 bytes of a u8 array from `at` on are among the `count` bytes from `first` on: bit i for byte i.

    The caller keeps within bounds. A processor with wide registers does it in one or two steps.
    """

    def code(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = ir.VectorType(ir.IntType(8), 64)

        def spread(value: Any) -> Any:
            one = builder.insert_element(
                ir.Constant(lanes, ir.Undefined),
                builder.trunc(value, ir.IntType(8)),
                ir.Constant(ir.IntType(32), 0),
            )
            everywhere = ir.Constant(ir.VectorType(ir.IntType(32), 64), None)
            return builder.shuffle_vector(one, ir.Constant(lanes, ir.Undefined), everywhere)

        array = ctx.make_array(sig.args[0])(ctx, builder, args[0])
        read = builder.load(builder.bitcast(builder.gep(array.data, [args[1]]), lanes.as_pointer()))
        read.align = 1
        within = builder.icmp_unsigned("<", builder.sub(read, spread(args[2])), spread(args[3]))
        return builder.bitcast(within, ir.IntType(64))

    return types.uint64(_data, types.int64, types.int64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(_context: Any, _bits: Any) -> Any:
    """Count the zeros below the lowest set bit of a u64; 64 where none is set."""

    def code(_ctx: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), code


@intrinsic  # type: ignore[untyped-decorator]
def leading_zeros(_context: Any, _bits: Any) -> Any:
    """Count the zeros above the highest set bit of a u64; 64 where none is set."""

    def code(_ctx: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), code


@intrinsic  # type: ignore[untyped-decorator]
def ones(_context: Any, _bits: Any) -> Any:
    """Count the set bits of a u64."""

    def code(_ctx: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), code


@jit
def hash_bytes(data: Any, start: int, end: int, keys: Any) -> Any:
    """Hash `data[start:end]` (u8), never 0."""
    a = keys[0] ^ np.uint64(end - start)
    at = start
    while at + 16 <= end:
        a = multiply_fold(load64(data, at) ^ keys[1], load64(data, at + 8) ^ a)
        at += 16
    if at + 8 <= end:
        a = multiply_fold(load64(data, at) ^ keys[2], a)
        at += 8
    rest = _ZERO
    while at < end:
        rest = (rest << np.uint64(8)) | np.uint64(data[at])
        at += 1
    result = mix64(multiply_fold(rest ^ keys[3], a ^ keys[1]))
    return result if result != _ZERO else _ONE


@jit
def _hash_rows(data: Any, offsets: Any, valid: Any, keys: Any, out: Any) -> None:
    for i in range(len(out)):
        if len(valid) == 0 or valid[i]:
            out[i] = hash_bytes(data, offsets[i], offsets[i + 1], keys)


def arrow_bytes(
    array: pa.Array,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Show a string or binary array as bytes u8[m], offsets i64[n+1] and, only where some are null, validity bool[n].

    The bytes are the array's own buffer, not a copy. Raises TypeError for any other type.
    """
    kind = array.type
    large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    if not large and not pa.types.is_string(kind) and not pa.types.is_binary(kind):
        raise TypeError(f"a string or binary array is needed, not {kind}")
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.zeros(1, np.int64)
    if offset_buffer is not None and len(offset_buffer) > 0:
        raw = np.frombuffer(offset_buffer, np.int64 if large else np.int32)
        offsets = raw[array.offset : array.offset + len(array) + 1].astype(np.int64)
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    data = data.view()
    data.flags.writeable = False
    valid = np.asarray(array.is_valid()) if array.null_count else np.zeros(0, np.bool_)
    return data, offsets, valid


def hash_strings(array: pa.Array, *, seed: int) -> U64:
    """Hash every string or byte string of an array under a seed: u64[n], 0 for null and nothing else.

    Accepts string, large_string, binary, large_binary, all-null arrays, and dictionaries of those, which are hashed
    once an entry. Raises TypeError for another type.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_null(array.type):
        return np.zeros(len(array), np.uint64)
    if pa.types.is_dictionary(array.type):
        entries = hash_strings(array.dictionary, seed=seed)
        return take_or_zero(entries, array.indices)
    data, offsets, valid = arrow_bytes(array)
    out = np.zeros(len(array), np.uint64)
    _hash_rows(data, offsets, valid, keys_of(seed, 4), out)
    return out


def take_or_zero(entries: U64, indices: pa.Array) -> U64:
    """`entries[indices]`, with 0 where an index is null."""
    with_null = np.append(entries, np.uint64(0))
    return with_null[np.asarray(indices.cast(pa.int64()).fill_null(len(entries)))]


def combine(parts: Sequence[U64]) -> U64:
    """Mix columns of hashes into one; 0 (absent) only where all are absent."""
    out = np.zeros(len(parts[0]), np.uint64)
    some = np.zeros(len(out), bool)
    for part in parts:
        out = (out ^ part) * np.uint64(0x9E3779B97F4A7C15)
        out ^= out >> np.uint64(29)
        some |= part != 0
    return np.where(some, out | np.uint64(1), np.uint64(0))
