"""From bytes to tokens and separators, a chunk of bounded size at a time: decode, fold, cut, hash, in one pass.

A token is a maximal run of letters and digits, or one character of a script written without blanks (kind SINGLE in
`fold`). Everything else separates, malformed UTF-8 too (one U+FFFD for each maximal ill-formed part, as Python's
`errors="replace"`). A token of digits only hashes to one constant. In a word that mixes Latin letters with Cyrillic
or Greek ones, the latter count as the Latin letters they look like.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

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
)
from excise.sketch.hashing import jit, mix64
from excise.sketch.marks import ALONE, HAS_DIGIT, NUMBER

CARRY: Final = 16
"""Tokens kept from the chunk before, so that windows reach back over its edge."""
CHUNK_EVENTS: Final = 2048
"""Most tokens and separators in one chunk."""
MARGIN: Final = 64
"""Room past a full chunk for what one code point can still expand to."""

TOKEN: Final = -1
"""What stands for a token in the list of events; any other event is the code point of a separator."""

_REPLACEMENT: Final = ord(OTHER_SEPARATOR)
_KEY_WORD, _KEY_LETTER, _KEY_NUMBER = 0, 1, 2


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
def scan_chunk(data: Any, at: int, end: int, table: Any, keys: Any, out: Any) -> tuple[int, int, int, int]:
    """Read from `data[at:end]` until a chunk is full: (next position, tokens, events, what separators were seen).

    `table` is (blocks, entries, script, pool); `out` is (tokens u64, flags u8, events i32), tokens and flags filled
    from CARRY on. The chunk never ends within a token. `seen` has bit (c & 31) for each ASCII separator c.
    """
    blocks, entries, script, pool = table
    tokens, flags, events = out
    start, factor = keys[_KEY_WORD], keys[_KEY_LETTER]
    word, latin = start, start  # hash as it stands, hash with look-alikes as Latin letters
    length, letters, digits, has_latin, has_other = 0, 0, 0, False, False
    n, m, seen = CARRY, 0, 0
    while at < end and (m < CHUNK_EVENTS or length > 0):
        code = np.int64(data[at])
        if code < 0x80:
            at += 1
            slot = code
        else:
            code, at = decode(data, at, end)
            slot = np.int64(blocks[code >> 8]) * 256 + (code & 255)
        entry = np.int64(entries[slot])
        kind = entry >> CLASS_SHIFT
        if kind == DROP:
            continue
        first, parts = 0, 1
        if kind == EXPAND:
            first, parts = entry & 0xFFFFF, (entry >> 20) & 0xFF
        for part in range(parts):
            if parts > 1:
                entry = np.int64(pool[first + part])
                kind = entry >> CLASS_SHIFT
            folded = entry & 0xFFFFFFF
            if folded == 0:
                folded = code
            if kind == LETTER or kind == DIGIT:  # noqa: PLR1714  numba compiles this better than `in`
                like = np.int64(script[slot])
                if has_other or like > LATIN:
                    if not has_other:
                        latin, has_other = word, True
                    latin = (latin ^ np.uint64(like if like > LATIN else folded)) * factor
                word = (word ^ np.uint64(folded)) * factor
                has_latin |= like == LATIN
                length += 1
                letters += kind == LETTER
                digits += kind == DIGIT
                continue
            if length > 0:
                if letters == 0:
                    tokens[n], flags[n] = keys[_KEY_NUMBER], NUMBER | HAS_DIGIT
                else:
                    tokens[n] = mix64(latin if has_latin and has_other else word)
                    flags[n] = HAS_DIGIT if digits > 0 else 0
                n += 1
                events[m] = TOKEN
                m += 1
                word, length, letters, digits, has_latin, has_other = start, 0, 0, 0, False, False
            if kind == SINGLE:
                tokens[n], flags[n] = mix64((start ^ np.uint64(folded)) * factor), ALONE
                n += 1
                events[m] = TOKEN
            else:
                events[m] = folded
                if folded < 0x80:
                    seen |= 1 << (folded & 31)
            m += 1
    if length > 0:
        if letters == 0:
            tokens[n], flags[n] = keys[_KEY_NUMBER], NUMBER | HAS_DIGIT
        else:
            tokens[n] = mix64(latin if has_latin and has_other else word)
            flags[n] = HAS_DIGIT if digits > 0 else 0
        n += 1
        events[m] = TOKEN
        m += 1
    return at, n - CARRY, m, seen


assert SEPARATOR == 0  # the comparisons above leave it as what remains
