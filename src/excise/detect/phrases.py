"""Which rare phrases accounts say, repeated or not: what is left of a wrapper that is worded anew for every request.

A phrase is a sampled run of words (`Exchanges.shingles`). What one account says once is mostly a payload, so a phrase must be
rarer than a habit, and only many of them in many texts tie two accounts (`phrase_ties`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numba
import numpy as np

from excise.detect.habits import MOST_SPEAKERS, account_chunks, columns_of, flat
from excise.detect.repeats import ACCOUNT_BITS, find_key, first_slot, hash_index, pack_key, passes, sieve_of
from excise.engine.compiled import inlined, uncounted
from excise.engine.embedded import map_ordered
from excise.engine.memory import forget
from excise.model.tables import I32, I64, NO_PHRASES, U8, U32, U64, Exchanges, Phrases, Systems

_BITS_A_VALUE: Final = 8
_MOST_BITS: Final = 1 << 29
"""Bits of each of the two maps that keep what is said once out of the table; with fewer, more is counted in vain."""
_FIRST_SIZE: Final = 1 << 16
_HALF: Final = np.uint64(0xFFFFFFFF)
_NONE, _ONE, _NO_KEY = np.uint64(0), np.uint64(1), np.int64(-1)


def find_phrases(exchanges: Exchanges, systems: Systems, *, most: int, threads: int = 1) -> Phrases:
    """Return the phrases that 2 to `most` (at most 254) accounts say, in their requests or their system prompts, in no order. Raises ValueError for a larger `most`.

    Linear in the sampled runs of words: each thread counts its part of them, and passes over all of them three times.
    """
    if most < 2:
        return NO_PHRASES
    if most > MOST_SPEAKERS:
        raise ValueError(f"a phrase has at most {MOST_SPEAKERS} speakers")

    def find(part: int) -> tuple[U64, I64, I32, U32, U8]:
        return _find_part(exchanges, systems, most, np.array([part, threads], np.uint64))

    parts = map_ordered(find, range(threads), threads=threads)
    token, size, *said = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Phrases(token, np.append(0, np.cumsum(size)), *said)


def _find_part(e: Exchanges, systems: Systems, most: int, part: U64) -> tuple[U64, I64, I32, U32, U8]:
    prompts = flat(systems)
    mark: Any = _look
    tally: Any = _count
    write: Any = _write

    def pieces() -> Iterator[tuple[slice, tuple[Any, ...]]]:
        for rows in account_chunks(e):
            yield rows, (*columns_of(e, rows), prompts, part)
            forget(e)

    bits = 1 << 16
    while bits < min(_BITS_A_VALUE * (len(e.shingles.values) + len(prompts[1])) // int(part[1]), _MOST_BITS):
        bits *= 2
    met = np.zeros((bits >> 6, 2), np.uint64)
    for _, piece in pieces():
        mark(*piece, met)
    key, last, count, used = _no_keys()
    for _, piece in pieces():
        key, last, count, used = tally(*piece, met, key, last, count, used)
    kept = np.flatnonzero((count >= 2) & (count <= most))
    key, size = key[kept], count[kept].astype(np.int64)
    index, place = (key, hash_index(key), sieve_of(key)), np.cumsum(size) - size
    n = int(size.sum())
    said = np.zeros(n, np.int32), np.zeros(n, np.uint32), np.zeros(n, np.uint8)
    last = np.full(len(key), -1, np.int32)
    for rows, piece in pieces():
        write(*piece, e.doc[rows], index, last, place, said)
    return key, size, *said


def _no_keys() -> tuple[U64, I32, U8, int]:
    return (
        np.zeros(_FIRST_SIZE, np.uint64),
        np.zeros(_FIRST_SIZE, np.int32),
        np.zeros(_FIRST_SIZE, np.uint8),
        0,
    )


@inlined
def _mine(value: np.uint64, part: U64) -> np.uint64:
    """Return the token of a run of words, 0 where another part has it."""
    token = pack_key(value, _NONE) >> np.uint64(ACCOUNT_BITS)
    return token if ((token >> np.uint64(16)) * part[1]) >> np.uint64(24) == part[0] else _NONE


@uncounted
def _look(account: I32, system: I32, lists: Any, prompts: Any, part: U64, met: U64) -> None:
    """Mark the keys that are met, and those that are met again."""
    of, before = -1, -1
    for row in range(len(account)):
        _mark(lists[0], lists[1], row, part, met)
        if system[row] >= 0 and (system[row] != before or account[row] != of):
            of, before = account[row], system[row]
            _mark(prompts[0], prompts[1], before, part, met)


@inlined
def _mark(offsets: I64, values: U64, row: int, part: U64, met: U64) -> None:
    mask = np.uint64((len(met) << 6) - 1)
    for i in range(offsets[row], offsets[row + 1]):
        key = _mine(values[i], part)
        if key != _NONE:
            bit = first_slot(key, mask)
            word, one = bit >> np.uint64(6), _ONE << (bit & np.uint64(63))
            met[word, 1] |= met[word, 0] & one
            met[word, 0] |= one


@numba.njit(cache=True, nogil=True)
def _count(
    account: I32, system: I32, lists: Any, prompts: Any, part: U64, met: U64, key: U64, last: I32, count: U8, used: int
) -> tuple[U64, I32, U8, int]:  # fmt: skip
    """Count the accounts that say each key, 255 at most; the table grows."""
    of, before = -1, -1
    for row in range(len(account)):
        room = lists[0][row + 1] - lists[0][row]
        prompt = system[row] if system[row] != before or account[row] != of else -1
        if prompt >= 0:
            of, before = account[row], system[row]
            room += prompts[0][prompt + 1] - prompts[0][prompt]
        while 2 * (used + room) > len(key):
            key, last, count = _grow(key, last, count)
        used += _tally(lists[0], lists[1], row, account[row], part, met, key, last, count)
        if prompt >= 0:
            used += _tally(prompts[0], prompts[1], prompt, account[row], part, met, key, last, count)
    return key, last, count, used


@inlined
def _tally(
    offsets: I64, values: U64, row: int, account: int, part: U64, met: U64, key: U64, last: I32, count: U8
) -> int:
    bits, new = np.uint64((len(met) << 6) - 1), 0
    for i in range(offsets[row], offsets[row + 1]):
        mine = _mine(values[i], part)
        if mine == _NONE:
            continue
        slot = _slot(key, mine)
        if key[slot] == mine:
            if last[slot] != account:
                last[slot], count[slot] = account, min(count[slot] + 1, 255)
            continue
        bit = first_slot(mine, bits)
        if met[bit >> np.uint64(6), 1] & (_ONE << (bit & np.uint64(63))) != _NONE:
            key[slot], last[slot], count[slot] = mine, account, 1
            new += 1
    return new


@numba.njit(inline="always")
def _slot(key: U64, wanted: np.uint64) -> np.uint64:
    mask = np.uint64(len(key) - 1)
    slot = first_slot(wanted, mask)
    while key[slot] != _NONE and key[slot] != wanted:
        slot = (slot + _ONE) & mask
    return slot


@numba.njit(cache=True, nogil=True)
def _grow(key: U64, last: I32, count: U8) -> tuple[U64, I32, U8]:
    size = 2 * len(key)
    larger, who, often = np.zeros(size, np.uint64), np.zeros(size, np.int32), np.zeros(size, np.uint8)
    for i in range(len(key)):
        if key[i] != _NONE:
            slot = _slot(larger, key[i])
            larger[slot], who[slot], often[slot] = key[i], last[i], count[i]
    return larger, who, often


@uncounted
def _write(
    account: I32, system: I32, lists: Any, prompts: Any, part: U64, doc: U64, index: Any, last: I32, place: I64, said: Any
) -> None:  # fmt: skip
    """Write down who says each key of an index, and in which text first; `place`: where the next one is written."""
    of, before = -1, -1
    for row in range(len(account)):
        _note(lists[0], lists[1], row, account[row], doc[row], part, index, last, place, said)
        if system[row] >= 0 and (system[row] != before or account[row] != of):
            of, before = account[row], system[row]
            _note(prompts[0], prompts[1], before, account[row], doc[row], part, index, last, place, said)


@inlined
def _note(
    offsets: I64, values: U64, row: int, who: int, doc: np.uint64, part: U64, index: Any, last: I32, place: I64, said: Any
) -> None:  # fmt: skip
    key, table, sieve = index
    account, text, runs = said
    for i in range(offsets[row], offsets[row + 1]):
        mine = _mine(values[i], part)
        k = find_key(key, table, mine) if mine != _NONE and passes(sieve, mine) else _NO_KEY
        if k >= 0 and last[k] != who:
            at = place[k]
            last[k], place[k] = who, at + 1
            account[at], text[at] = who, np.uint32(doc & _HALF)
            runs[at] = min(offsets[row + 1] - offsets[row], 255)


def first_said(e: Exchanges, systems: Systems, tokens: U64) -> tuple[U64, I32, U32, U8]:
    """Return, for each of `tokens` (ascending) and each account that says it: token, account, text, and how many runs of words stand there.

    Where first, as `find_phrases` has it; for exchanges that are few.
    """
    rows = np.flatnonzero(e.system >= 0)
    of = e.account[rows].astype(np.int64) << 32 | e.system[rows]
    rows = rows[np.unique(of, return_index=True)[1]]
    shown = systems.shingles.take(e.system[rows])
    row = np.append(e.shingles.owners(), rows[shown.owners()])
    runs = np.append(e.shingles.sizes()[e.shingles.owners()], shown.sizes()[shown.owners()])
    pack: Any = pack_key
    keys = pack.py_func(np.append(e.shingles.values, shown.values), _NONE)
    token = np.asarray(keys, np.uint64) >> np.uint64(ACCOUNT_BITS)
    wanted = np.flatnonzero(np.isin(token, tokens))
    order = wanted[np.lexsort((row[wanted], e.account[row[wanted]], token[wanted]))]
    # of one row, the request comes before its system prompt
    token, account = token[order], e.account[row[order]]
    new = np.append(True, (token[1:] != token[:-1]) | (account[1:] != account[:-1]))[: len(token)]
    text = (e.doc[row[order]] & _HALF).astype(np.uint32)
    return token[new], account[new], text[new], np.minimum(runs[order][new], 255).astype(np.uint8)


def as_phrases(token: U64, account: I32, text: U32, runs: U8) -> Phrases:
    """Return the phrases of rows as `first_said` gives them, sorted by token, then account."""
    starts = np.flatnonzero(np.append(True, token[1:] != token[:-1])[: len(token)])
    offsets = np.append(starts, len(token)).astype(np.int64)
    return Phrases(token[starts], offsets, account, text, runs)
