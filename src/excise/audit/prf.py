"""The keyed coin of every mark: SipHash-2-4 of a context and a token, 64 fair bits a tuple.

SipHash-2-4 (Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF") was designed as a pseudorandom function of
a 128-bit key: who has seen the bits of any number of tuples cannot tell those of another from fair coins. One draw
serves every mark: its top bit is the red/green coin, its lowest bits are a tournament's layers, and all of it is a
uniform number. About 15 ns a tuple and core, so that ten thousand decoy keys are scored in seconds.

A message is three words of 64 bits: two hold the up to four token ids before the token, `ABSENT` where the window is
shorter, and the third the token's own id.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.float64]

ABSENT: Final = 0xFFFFFFFF
"""Stands for a token id that is not in the window."""
LAYERS: Final = 8
"""Layers of a tournament: bits 0 to 7 of the draw."""

BIT: Final = 0
UNIFORM: Final = 1
LAYERED: Final = 2

_V0, _V1 = np.uint64(0x736F6D6570736575), np.uint64(0x646F72616E646F6D)
_V2, _V3 = np.uint64(0x6C7967656E657261), np.uint64(0x7465646279746573)
_LENGTH = np.uint64(24 << 56)
_TO_UNIT = 2.0**-53


@numba.njit(inline="always")
def _rotate(x: Any, bits: Any) -> Any:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@numba.njit(inline="always")
def _round(a: Any, b: Any, c: Any, d: Any) -> Any:
    a += b
    b = _rotate(b, 13) ^ a
    a = _rotate(a, 32)
    c += d
    d = _rotate(d, 16) ^ c
    a += d
    d = _rotate(d, 21) ^ a
    c += b
    b = _rotate(b, 17) ^ c
    c = _rotate(c, 32)
    return a, b, c, d


@numba.njit(inline="always")
def _draw(key0: Any, key1: Any, first: Any, second: Any, third: Any) -> Any:
    a, b, c, d = _V0 ^ key0, _V1 ^ key1, _V2 ^ key0, _V3 ^ key1
    for word in (first, second, third, _LENGTH):
        d ^= word
        a, b, c, d = _round(a, b, c, d)
        a, b, c, d = _round(a, b, c, d)
        a ^= word
    c ^= np.uint64(0xFF)
    for _ in range(4):
        a, b, c, d = _round(a, b, c, d)
    return a ^ b ^ c ^ d


@numba.njit(inline="always")
def _score(draw: Any, kind: Any) -> Any:
    """The draw as a number from -1 to 1 that is symmetric about 0 under a uniform key."""
    if kind == BIT:
        return 1.0 if draw >> np.uint64(63) else -1.0
    if kind == UNIFORM:
        return 2.0 * ((draw >> np.uint64(11)) + 0.5) * _TO_UNIT - 1.0
    total = 0.0
    for layer in range(LAYERS):
        total += 2.0 * ((draw >> np.uint64(layer)) & np.uint64(1)) - 1.0
    return total / LAYERS


@numba.njit(cache=True, nogil=True)
def _draws(key0: Any, key1: Any, tuples: Any, out: Any) -> None:
    for i in range(len(tuples)):
        out[i] = _draw(key0, key1, tuples[i, 0], tuples[i, 1], tuples[i, 2])


@numba.njit(cache=True, nogil=True)
def _scores(draws: Any, kind: Any, out: Any) -> None:
    for i in range(len(draws)):
        out[i] = _score(draws[i], kind)


@numba.njit(cache=True, nogil=True)
def _contrasts(keys: Any, tuples: Any, weights: Any, kind: Any, out: Any) -> None:
    for k in range(len(keys)):
        total, square = 0.0, 0.0
        for i in range(len(tuples)):
            part = weights[i] * _score(
                _draw(keys[k, 0], keys[k, 1], tuples[i, 0], tuples[i, 1], tuples[i, 2]), kind
            )
            total += part
            square += part * part
        out[k] = total / np.sqrt(square) if square > 0.0 else 0.0


def words_of(key: bytes) -> tuple[np.uint64, np.uint64]:
    """A key of 16 bytes as SipHash's two little-endian words. Raises `ValueError` for another length."""
    if len(key) != 16:
        raise ValueError(f"a key has 16 bytes, not {len(key)}")
    return np.uint64(int.from_bytes(key[:8], "little")), np.uint64(int.from_bytes(key[8:], "little"))


def draws(key: bytes, tuples: U64) -> U64:
    """64 keyed bits for each of `tuples` (n x 3 words). Shape (n,)."""
    out = np.empty(len(tuples), np.uint64)
    _draws(*words_of(key), tuples, out)
    return out


def scores(drawn: U64, kind: int) -> Numbers:
    """What a draw counts in a test, -1 to 1, symmetric about 0: `BIT` the coin, `UNIFORM` 2 U - 1, `LAYERED` the layers' mean."""
    out = np.empty(len(drawn))
    _scores(drawn, kind, out)
    return out


def contrasts(keys: U64, tuples: U64, weights: Numbers, kind: int) -> Numbers:
    """The contrasts sum(w x) / ||w x|| under each of `keys` (k x 2 words), x being the tuples' scores. O(k n); shape (k,)."""
    out = np.empty(len(keys))
    _contrasts(keys, tuples, weights, kind, out)
    return out


def unit(drawn: U64) -> Numbers:
    """Draws as uniform numbers inside (0, 1)."""
    return ((drawn >> np.uint64(11)).astype(float) + 0.5) * _TO_UNIT


def layers(drawn: U64) -> npt.NDArray[np.uint8]:
    """The tournament's bits of each draw, shape (n, LAYERS)."""
    shifts = np.arange(LAYERS, dtype=np.uint64)
    return ((drawn[..., None] >> shifts) & np.uint64(1)).astype(np.uint8)
