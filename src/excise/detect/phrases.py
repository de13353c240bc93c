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
from excise.detect.repeats import ACCOUNT_BITS, LOW, first_slot, pack_key, passes, sieve_of
from excise.engine.compiled import inlined, uncounted
from excise.engine.embedded import map_ordered
from excise.engine.memory import forget
from excise.model.tables import I32, I64, NO_PHRASES, U8, U32, U64, Exchanges, Phrases, Systems

_FIRST_WORDS: Final = 1 << 17
_MOST_WORDS: Final = 1 << 23
"""Words of 64 bits of each of the two maps that keep what is said once out of the table; with fewer, more is counted in vain."""
_FIRST_SIZE: Final = 1 << 16
_HALF: Final = np.uint64(0xFFFFFFFF)
_NONE, _ONE = np.uint64(0), np.uint64(1)


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

    met = np.zeros((_FIRST_WORDS, 2), np.uint64)
    for _, piece in pieces():
        mark(*piece, met)
        while len(met) < _MOST_WORDS and 8 * int(np.bitwise_count(met[:, 0]).sum()) > 64 * len(met):
            met = np.concatenate((met, met))
    keys, count, used = np.zeros(_FIRST_SIZE, np.uint64), np.zeros(_FIRST_SIZE, np.uint8), 0
    for _, piece in pieces():
        keys, count, used = tally(*piece, met, keys, count, used)
    kept = np.flatnonzero((count >= 2) & (count <= most))
    key, size = keys[kept] >> np.uint64(ACCOUNT_BITS), count[kept].astype(np.int64)
    keys, place = _table_of(key, np.cumsum(size) - size)
    n = int(size.sum())
    said = np.zeros(n, np.int32), np.zeros(n, np.uint32), np.zeros(n, np.uint8)
    sieve = sieve_of(key)
    for rows, piece in pieces():
        write(*piece, e.doc[rows], sieve, keys, place, said)
    return key, size, *said


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
            # Mostly both are there, and what is not written need not go back to memory.
            if met[word, 1] & one == _NONE:
                met[word, 1] |= met[word, 0] & one
                met[word, 0] |= one


@numba.njit(cache=True, nogil=True)
def _count(
    account: I32, system: I32, lists: Any, prompts: Any, part: U64, met: U64, keys: U64, count: U8, used: int
) -> tuple[U64, U8, int]:
    """Count the accounts that say each key, 255 at most; in the table, which grows, a key stands beside who said it last (`pack_key`)."""
    of, before = -1, -1
    for row in range(len(account)):
        room = lists[0][row + 1] - lists[0][row]
        prompt = system[row] if system[row] != before or account[row] != of else -1
        if prompt >= 0:
            of, before = account[row], system[row]
            room += prompts[0][prompt + 1] - prompts[0][prompt]
        while 2 * (used + room) > len(keys):
            keys, count = _grow(keys, count)
        used += _tally(lists[0], lists[1], row, account[row], part, met, keys, count)
        if prompt >= 0:
            used += _tally(prompts[0], prompts[1], prompt, account[row], part, met, keys, count)
    return keys, count, used


@inlined
def _tally(
    offsets: I64, values: U64, row: int, account: int, part: U64, met: U64, keys: U64, count: U8
) -> int:
    bits, who, new = np.uint64((len(met) << 6) - 1), np.uint64(account), 0
    for i in range(offsets[row], offsets[row + 1]):
        mine = _mine(values[i], part)
        if mine == _NONE:
            continue
        slot = _slot(keys, mine)
        if keys[slot] == _NONE:
            bit = first_slot(mine, bits)
            if met[bit >> np.uint64(6), 1] & (_ONE << (bit & np.uint64(63))) == _NONE:
                continue
            new += 1
        elif keys[slot] & LOW == who:
            continue
        keys[slot] = mine << np.uint64(ACCOUNT_BITS) | who
        count[slot] = min(count[slot] + 1, 255)
    return new


@numba.njit(inline="always")
def _slot(keys: U64, wanted: np.uint64) -> np.uint64:
    mask = np.uint64(len(keys) - 1)
    slot = first_slot(wanted, mask)
    while keys[slot] != _NONE and keys[slot] >> np.uint64(ACCOUNT_BITS) != wanted:
        slot = (slot + _ONE) & mask
    return slot


@numba.njit(cache=True, nogil=True)
def _grow(keys: U64, count: U8) -> tuple[U64, U8]:
    larger, often = np.zeros(2 * len(keys), np.uint64), np.zeros(2 * len(keys), np.uint8)
    for i in range(len(keys)):
        if keys[i] != _NONE:
            slot = _slot(larger, keys[i] >> np.uint64(ACCOUNT_BITS))
            larger[slot], often[slot] = keys[i], count[i]
    return larger, often


@numba.njit(cache=True, nogil=True)
def _table_of(key: U64, start: I64) -> tuple[U64, I64]:
    """Return a table of keys that nobody said yet, and what belongs to each."""
    size = 4
    while size < 2 * len(key):
        size *= 2
    keys, place = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for k in range(len(key)):
        slot = _slot(keys, key[k])
        keys[slot], place[slot] = key[k] << np.uint64(ACCOUNT_BITS) | LOW, start[k]
    return keys, place


@uncounted
def _write(
    account: I32, system: I32, lists: Any, prompts: Any, part: U64, doc: U64, sieve: U64, keys: U64, place: I64, said: Any
) -> None:  # fmt: skip
    """Write down who says each key of a table, and in which text first; `place`: where the next one is written."""
    of, before = -1, -1
    for row in range(len(account)):
        _note(lists[0], lists[1], row, account[row], doc[row], part, sieve, keys, place, said)
        if system[row] >= 0 and (system[row] != before or account[row] != of):
            of, before = account[row], system[row]
            _note(prompts[0], prompts[1], before, account[row], doc[row], part, sieve, keys, place, said)


@inlined
def _note(
    offsets: I64, values: U64, row: int, who: int, doc: np.uint64, part: U64, sieve: U64, keys: U64, place: I64, said: Any
) -> None:  # fmt: skip
    account, text, runs = said
    for i in range(offsets[row], offsets[row + 1]):
        mine = _mine(values[i], part)
        if mine == _NONE or not passes(sieve, mine):
            continue
        slot = _slot(keys, mine)
        if keys[slot] != _NONE and keys[slot] & LOW != np.uint64(who):
            at = place[slot]
            keys[slot], place[slot] = mine << np.uint64(ACCOUNT_BITS) | np.uint64(who), at + 1
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
