"""From bytes to tokens and separators, a chunk of bounded size at a time: decode, fold, cut, hash, in one pass.

A token is a maximal run of letters and digits, or one character of a script written without blanks (kind SINGLE in
`fold`). Everything else separates, malformed UTF-8 too (one U+FFFD for each maximal ill-formed part, as Python's
`errors="replace"`). A token of digits only hashes to one constant. In a word that mixes Latin letters with Cyrillic
or Greek ones, the latter count as the Latin letters they look like.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from excise.sketch.fold import (
    CLASS_SHIFT,
    DIGIT,
    DROP,
    EXPAND,
    LATIN,
    LETTER,
    OTHER_SEPARATOR,
    SEPARATOR,
    SINGLE,
    load_table,
)
from excise.sketch.hashing import jit, load8, mix64
from excise.sketch.marks import ALONE, HAS_DIGIT, NUMBER, OPENERS, TOKEN

CARRY: Final = 16
"""Tokens kept from the chunk before, so that windows reach back over its edge."""
CHUNK_EVENTS: Final = 2048
"""Most tokens and separators in one chunk."""
MARGIN: Final = 64
"""Room past a full chunk for what one code point can still expand to."""

Scratch = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.int32]]

_REPLACEMENT: Final = ord(OTHER_SEPARATOR)
_KEY_WORD, _KEY_LETTER, _KEY_NUMBER = 0, 1, 2
KEYS: Final = 3

# What a word consists of, as bits; for a byte of ASCII also that it separates and wakes. 0 is left for bytes that need the table.
_LATIN, _DIGIT, _OTHER, _LOOKALIKE, _SEPARATES, _WAKES = 1, 2, 4, 8, 16, 32
_LETTER_OR_DIGIT, _MIXED = _LATIN | _DIGIT, _LATIN | _LOOKALIKE


@cache
def scan_table() -> tuple[npt.NDArray[Any], ...]:
    """The fold table as `scan_chunk` takes it: two arrays by byte for ASCII, then that of `fold`."""
    table = load_table()
    plain, lower = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
    for code in range(0x80):
        entry = int(table.entries[code])
        plain[code] = {SEPARATOR: _SEPARATES, LETTER: _LATIN, DIGIT: _DIGIT}[entry >> CLASS_SHIFT]
        lower[code] = entry & 0xFF or code
        plain[code] |= _WAKES if lower[code] in OPENERS else 0
    return plain, lower, table.blocks, table.entries, table.script, table.pool


def scratch() -> Scratch:
    """Room for one chunk: tokens u64, their flags u8, events i32, and of each opener (event, token) i32[, 2]."""
    size = CHUNK_EVENTS + MARGIN
    return (
        np.zeros(CARRY + size, np.uint64),
        np.zeros(CARRY + size, np.uint8),
        np.zeros(size, np.int32),
        np.zeros((size, 2), np.int32),
    )


@jit
def decode(data: Any, at: int, end: int) -> tuple[int, int]:
    """Decode the code point at `data[at]`, which is not ASCII: (code point, next position)."""
    lead = np.int64(data[at])
    if lead < 0xC2 or lead > 0xF4:
        return _REPLACEMENT, at + 1
    more = 1 if lead < 0xE0 else (2 if lead < 0xF0 else 3)
    code = lead & (0x3F >> more)
    low, high = 0x80, 0xBF
    if lead == 0xE0:
        low = 0xA0
    elif lead == 0xED:
        high = 0x9F
    elif lead == 0xF0:
        low = 0x90
    elif lead == 0xF4:
        high = 0x8F
    for i in range(1, more + 1):
        byte = np.int64(data[at + i]) if at + i < end else 0
        if byte < low or byte > high:
            return _REPLACEMENT, at + i
        code = code << 6 | (byte & 0x3F)
        low, high = 0x80, 0xBF
    return code, at + more + 1


@jit
def _end_word(word: Any, latin: Any, kinds: int, at: int, keys: Any, out: Any) -> None:
    """Write the word that ends here as token `at`."""
    tokens, flags, _, _ = out
    if kinds == _DIGIT:
        tokens[at], flags[at] = keys[_KEY_NUMBER], NUMBER | HAS_DIGIT
    else:
        tokens[at] = mix64(latin if kinds & _MIXED == _MIXED else word)
        flags[at] = HAS_DIGIT if kinds & _DIGIT else 0


@jit
def scan_chunk(data: Any, at: int, end: int, table: Any, keys: Any, out: Any) -> tuple[int, int, int, int]:
    """Read from `data[at:end]` until a chunk is full: (next position, tokens, events, openers).

    `table` is as `scan_table` gives it; `out` is as `scratch` gives it, tokens and flags filled from CARRY on. The
    chunk never ends within a token.
    """
    plain, lower, blocks, entries, script, pool = table
    tokens, flags, events, wakes = out
    start, factor = keys[_KEY_WORD], keys[_KEY_LETTER]
    word, latin, kinds = (
        start,
        start,
        0,
    )  # hash as it stands, hash with look-alikes as Latin letters, letters met
    n, m, k = CARRY, 0, 0
    while at < end and (m < CHUNK_EVENTS or kinds > 0):
        code = np.int64(load8(data, at))
        quick = plain[code]
        if quick & _LETTER_OR_DIGIT and not kinds & _LOOKALIKE:
            while quick & _LETTER_OR_DIGIT:
                word = (word ^ np.uint64(lower[code])) * factor
                kinds |= quick
                at += 1
                if at == end:
                    break
                code = np.int64(load8(data, at))
                quick = plain[code]
            if at == end:
                break
        if quick & _SEPARATES:
            if kinds > 0:
                _end_word(word, latin, kinds, n, keys, out)
                events[m] = TOKEN
                word, kinds, n, m = start, 0, n + 1, m + 1
            folded = np.int64(lower[code])
            events[m] = folded
            if quick & _WAKES:
                wakes[k, 0], wakes[k, 1] = m, n
                k += 1
            m += 1
            at += 1
            continue
        slot = code
        if code < 0x80:
            at += 1
        else:
            code, at = decode(data, at, end)
            slot = np.int64(blocks[code >> 8]) * 256 + (code & 255)
        entry = np.int64(entries[slot])
        like = np.int64(script[slot])
        expands = entry >> CLASS_SHIFT == EXPAND
        first = entry & 0xFFFFF
        parts = (entry >> 20) & 0xFF if expands else 1
        for part in range(parts):
            if expands:
                entry = np.int64(pool[first + part])
            kind = entry >> CLASS_SHIFT
            folded = entry & 0xFFFFFFF
            if folded == 0:
                folded = code
            if kind == DROP:
                continue
            if kind == LETTER or kind == DIGIT:
                if like > LATIN or kinds & _LOOKALIKE:
                    latin = word if not kinds & _LOOKALIKE else latin
                    latin = (latin ^ np.uint64(like if like > LATIN else folded)) * factor
                    kinds |= _LOOKALIKE if like > LATIN else 0
                word = (word ^ np.uint64(folded)) * factor
                kinds |= _DIGIT if kind == DIGIT else (_LATIN if like == LATIN else _OTHER)
                continue
            if kinds > 0:
                _end_word(word, latin, kinds, n, keys, out)
                events[m] = TOKEN
                word, kinds, n, m = start, 0, n + 1, m + 1
            if kind == SINGLE:
                tokens[n], flags[n] = mix64((start ^ np.uint64(folded)) * factor), ALONE
                events[m] = TOKEN
                n += 1
            else:
                events[m] = folded
                if folded < 0x80 and plain[folded] & _WAKES:
                    wakes[k, 0], wakes[k, 1] = m, n
                    k += 1
            m += 1
    if kinds > 0:
        _end_word(word, latin, kinds, n, keys, out)
        events[m] = TOKEN
        n, m = n + 1, m + 1
    return at, n - CARRY, m, k
