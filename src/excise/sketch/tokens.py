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
from excise.sketch.hashing import (
    inlined,
    jit,
    lanes_within,
    leading_zeros,
    load8,
    load64,
    mix64,
    ones,
    trailing_zeros,
)
from excise.sketch.marks import ALONE, HAS_DIGIT, NUMBER, OPENERS, TOKEN

CARRY: Final = 16
"""Tokens kept from the chunk before, so that windows reach back over its edge."""
CHUNK_EVENTS: Final = 2048
"""Most tokens and separators in one chunk."""
MARGIN: Final = 128
"""Room past a full chunk for what 64 bytes, or one code point, can still expand to."""

Scratch = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.int32]]

_REPLACEMENT: Final = ord(OTHER_SEPARATOR)
_KEY_WORD, _KEY_LETTER, _KEY_NUMBER = 0, 1, 2
KEYS: Final = 3

# What a word consists of, as bits; for a byte of ASCII also that it separates and wakes. 0 is left for bytes that need the table.
_LATIN, _DIGIT, _OTHER, _LOOKALIKE, _SEPARATES, _WAKES = 1, 2, 4, 8, 16, 32
_WAKES_SHIFT: Final = 5
_MIXED: Final = _LATIN | _LOOKALIKE

_LANES: Final = 64 + 8
"""Bytes that must be there to read 64 at once: a word is read by eights."""
_DIGITS, _CAPITALS, _SMALL, _BEYOND = ord("0"), ord("A"), ord("a"), 0x80
_ZERO, _ONE, _ALL, _LOWER = (np.uint64(bits) for bits in (0, 1, 0xFFFFFFFFFFFFFFFF, 0x2020202020202020))
_6, _8, _12, _16, _18, _24, _LOW_6 = (np.uint64(n) for n in (6, 8, 12, 16, 18, 24, 63))
_UTF8_2, _UTF8_3, _UTF8_4 = (np.uint64(n) for n in (0x80C0, 0x8080E0, 0x808080F0))


@cache
def scan_table() -> tuple[npt.NDArray[Any], ...]:
    """The fold table as `scan_chunk` takes it: three arrays by byte for ASCII (what it is, its fold, its event), then that of `fold`."""
    table = load_table()
    plain, lower, event_of = np.zeros(256, np.uint8), np.zeros(256, np.uint8), np.zeros(256, np.int8)
    for code in range(0x80):
        entry = int(table.entries[code])
        plain[code] = {SEPARATOR: _SEPARATES, LETTER: _LATIN, DIGIT: _DIGIT}[entry >> CLASS_SHIFT]
        lower[code] = entry & 0xFF or code
        event_of[code] = lower[code] if plain[code] & _SEPARATES else TOKEN
        plain[code] |= _WAKES if lower[code] in OPENERS else 0
    return plain, lower, event_of, table.blocks, table.entries, table.script, table.pool


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


@inlined
def _absorb(word: Any, block: Any, factor: Any) -> Any:
    """Mix eight more bytes of a word into its hash."""
    return mix64((word ^ block) * factor)


@inlined
def _first(lanes: int) -> Any:
    """The first of 64 bits, 1 to 64 of them."""
    return _ALL >> np.uint64(64 - lanes)


@inlined
def _read_lanes(
    data: Any, at: int, end: int, table: Any, keys: Any, out: Any, named: bool, place: tuple[int, int, int]
) -> Any:
    """Read the whole words and separators of ASCII among the 64 bytes from `at` on: how many bytes, and the place after them.

    One bit a byte and no branch a byte: where words end is chance, which no processor foresees. No byte is read where the
    first word goes on behind the 64 or beyond ASCII. `place`: numbers of the next token, event and opener.
    """
    plain, _, event_of, _, _, _, _ = table
    _, _, events, wakes = out
    n, m, k = place
    digits: Any = lanes_within(data, at, _DIGITS, 10)
    letters = lanes_within(data, at, _CAPITALS, 26) | lanes_within(data, at, _SMALL, 26)
    size = min(end - at, trailing_zeros(lanes_within(data, at, _BEYOND, _BEYOND)))
    words = (digits | letters) & _first(size)
    if at + size < end:  # a word may go on there
        size -= leading_zeros(~(words << np.uint64(64 - size)))
        if size <= 0:
            return 0, place
        words &= _first(size)
    starts = words & ~(words << _ONE)
    left = (starts | ~words) & _first(size)
    if not named:
        m, left = m + ones(left), _ZERO
    while left:
        lane = trailing_zeros(left)
        byte = load8(data, at + lane)
        events[m] = event_of[byte]
        wakes[k, 0], wakes[k, 1] = m, n + ones(starts & ((_ONE << np.uint64(lane)) - _ONE))
        m, k = m + 1, k + (plain[byte] >> _WAKES_SHIFT & 1)
        left &= left - _ONE
    while starts:
        lane = trailing_zeros(starts)
        length = trailing_zeros(~(words >> np.uint64(lane)))
        mine = _first(length) << np.uint64(lane)
        first = at + lane
        word = keys[_KEY_WORD]
        while length > 8:
            word = _absorb(word, load64(data, first) | _LOWER, keys[_KEY_LETTER])
            first, length = first + 8, length - 8
        word = _absorb(word, (load64(data, first) | _LOWER) & _first(8 * length), keys[_KEY_LETTER])
        kinds = (_LATIN if letters & mine else 0) | (_DIGIT if digits & mine else 0)
        _put(word, kinds, n, keys, out)
        n += 1
        starts &= starts - _ONE
    return size, (n, m, k)


@jit
def _write(letters: Any, code: Any, factor: Any) -> tuple[Any, Any, Any]:
    """Add a code point, as UTF-8, to letters that are read one by one: (hash of whole blocks, block begun, bits in it)."""
    word, block, bits = letters
    code = np.uint64(code)
    if code < 0x80:
        size, coded = 8, code
    elif code < 0x800:
        size, coded = 16, _UTF8_2 | code >> _6 | (code & _LOW_6) << _8
    elif code < 0x10000:
        size, coded = 24, _UTF8_3 | code >> _12 | (code >> _6 & _LOW_6) << _8 | (code & _LOW_6) << _16
    else:
        size = 32
        coded = _UTF8_4 | code >> _18 | (code >> _12 & _LOW_6) << _8
        coded |= (code >> _6 & _LOW_6) << _16 | (code & _LOW_6) << _24
    block |= coded << np.uint64(bits)
    if bits + size < 64:
        return word, block, bits + size
    return _absorb(word, block, factor), coded >> np.uint64(64 - bits), bits + size - 64


@jit
def _hash_of(letters: Any, factor: Any) -> Any:
    """The hash of a word of letters that were read one by one."""
    word, block, bits = letters
    return _absorb(word, block, factor) if bits > 0 else word


@inlined
def _put(word: Any, kinds: int, at: int, keys: Any, out: Any) -> None:
    """Write down a word as token `at`."""
    out[0][at] = keys[_KEY_NUMBER] if kinds == _DIGIT else word
    out[1][at] = NUMBER | HAS_DIGIT if kinds == _DIGIT else (HAS_DIGIT if kinds & _DIGIT else 0)


@jit
def _end_word(word: Any, latin: Any, kinds: int, at: int, keys: Any, out: Any) -> None:
    """Write down the letters that end here as token `at`."""
    letters = latin if kinds & _MIXED == _MIXED else word
    _put(_hash_of(letters, keys[_KEY_LETTER]), kinds, at, keys, out)


@jit
def scan_chunk(
    data: Any, at: int, end: int, table: Any, keys: Any, out: Any, named: bool
) -> tuple[int, int, int, int]:
    """Read from `data[at:end]` until a chunk is full: (next position, tokens, events, openers).

    Events and openers are for those who look for names of a format contract; unless `named` they need not be written down.
    `table` is as `scan_table` gives it; `out` is as `scratch` gives it, tokens and flags filled from CARRY on. The
    chunk never ends within a token.
    """
    plain, lower, _, blocks, entries, script, pool = table
    tokens, flags, events, wakes = out
    factor = keys[_KEY_LETTER]
    empty = keys[_KEY_WORD], _ZERO, 0
    # of a word that is not of ASCII alone: letters as they stand, and with look-alikes as Latin ones; what was met
    word, latin, kinds = empty, empty, 0
    n, m, k = CARRY, 0, 0
    while at < end and (m < CHUNK_EVENTS or kinds > 0):
        code = np.int64(load8(data, at))
        quick = plain[code]
        if kinds == 0 and quick and at + _LANES <= len(data):
            size, (n, m, k) = _read_lanes(data, at, end, table, keys, out, named, (n, m, k))
            if size > 0:
                at += size
                continue
        if quick & _SEPARATES:
            if kinds > 0:
                _end_word(word, latin, kinds, n, keys, out)
                events[m] = TOKEN
                word, kinds, n, m = empty, 0, n + 1, m + 1
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
                    latin = _write(latin, like if like > LATIN else folded, factor)
                    kinds |= _LOOKALIKE if like > LATIN else 0
                word = _write(word, folded, factor)
                kinds |= _DIGIT if kind == DIGIT else (_LATIN if like == LATIN else _OTHER)
                continue
            if kinds > 0:
                _end_word(word, latin, kinds, n, keys, out)
                events[m] = TOKEN
                word, kinds, n, m = empty, 0, n + 1, m + 1
            if kind == SINGLE:
                tokens[n], flags[n] = _hash_of(_write(empty, folded, factor), factor), ALONE
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
