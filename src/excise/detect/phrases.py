"""Which rare phrases accounts say, repeated or not: what a wrapper leaves that is worded anew for every request.

A phrase is a run of words (`Exchanges.shingles`). That two accounts share one is chance; that they share many, in as many
different texts, is more than chance, given how often each coincides with anybody.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np

from excise.detect.habits import account_chunks, columns_of, flat
from excise.detect.repeats import ACCOUNT_BITS, first_slot, pack_key
from excise.engine.compiled import inlined, uncounted
from excise.engine.embedded import map_ordered
from excise.engine.memory import forget
from excise.model.clusters import Clusters
from excise.model.tables import F32, F64, I32, I64, U8, U32, U64, Accounts, Exchanges, Habits, Phrases, Systems

_BITS_A_VALUE: Final = 8
_MOST_BITS: Final = 1 << 29
"""Bits of each of the two maps that keep what is said once out of the table: more spare memory, fewer only time."""
_TABLE_PAIRS: Final = 1 << 24
"""Pairs of one pass, about: a hash table of at most 512 MiB. More pairs take more passes."""
_ZERO, _ONE, _63, _32 = np.uint64(0), np.uint64(1), np.uint64(63), np.uint64(32)
_HALF: Final = np.uint64(0xFFFFFFFF)
_SALT: Final = np.uint64(0x9E3779B97F4A7C15)


def find_phrases(exchanges: Exchanges, systems: Systems, *, most: int, threads: int = 1) -> Phrases:
    """Return the phrases that 2 to `most` accounts say, in their own requests or in their system prompts.

    Linear in the sampled runs of words: each thread looks at its part of them, and passes over all of them three times.
    """
    parts = map_ordered(
        lambda part: _find_part(exchanges, systems, most, part, threads), range(threads), threads=threads
    )
    token, size, account, text, share = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Phrases(token, np.append(0, np.cumsum(size)), account, text, share)


def _find_part(
    e: Exchanges, systems: Systems, most: int, part: int, parts: int
) -> tuple[U64, I64, I32, U32, F32]:
    prompts = flat(systems)
    which = np.array([part, parts], np.uint64)

    def each() -> Any:
        for rows in account_chunks(e):
            yield (*columns_of(e, rows), prompts, which), e.doc[rows]
            forget(e)

    size = 1 << 16
    while size < min(_BITS_A_VALUE * (len(e.shingles.values) + len(prompts[1])) // parts, _MOST_BITS):
        size *= 2
    once, again = np.zeros((2, size >> 6), np.uint64)
    for piece, _ in each():
        _look(*piece, once, again)
    table = np.zeros(1 << 16, np.uint64), np.zeros(1 << 16, np.int32), np.zeros(1 << 16, np.uint8), 0
    for piece, _ in each():
        table = _count(*piece, again, *table)
    token, last, count, _ = table
    count = np.where((count >= 2) & (count <= most), count, 0).astype(np.uint8)
    ends = np.cumsum(count, dtype=np.int64)
    total = int(ends[-1])
    said = np.zeros(total, np.int32), np.zeros(total, np.uint32), np.zeros(total, np.float32)
    last[:] = -1
    place = ends - count
    for piece, doc in each():
        _write(*piece, doc, token, count, last, place, said)
    kept = np.flatnonzero(count)
    return token[kept] >> np.uint64(ACCOUNT_BITS), count[kept].astype(np.int64), *said


@inlined
def _mine(value: np.uint64, which: U64) -> np.uint64:
    """Return the key of a run of words, 0 where it is another part's."""
    key = pack_key(value, _ZERO)
    return key if (key >> np.uint64(40)) % which[1] == which[0] else _ZERO


@uncounted
def _look(account: I32, system: I32, lists: Any, prompts: Any, which: U64, once: U64, again: U64) -> None:
    of, before = -1, -1
    for row in range(len(account)):
        _mark(lists[0], lists[1], row, which, once, again)
        if system[row] >= 0 and (system[row] != before or account[row] != of):
            of, before = account[row], system[row]
            _mark(prompts[0], prompts[1], np.int64(before), which, once, again)


@inlined
def _mark(offsets: I64, values: U64, row: int, which: U64, once: U64, again: U64) -> None:
    mask = np.uint64((len(once) << 6) - 1)
    for i in range(offsets[row], offsets[row + 1]):
        key = _mine(values[i], which)
        if key == _ZERO:
            continue
        bit = first_slot(key, mask)
        word, one = bit >> np.uint64(6), _ONE << (bit & _63)
        if once[word] & one:
            again[word] |= one
        else:
            once[word] |= one


@numba.njit(cache=True, nogil=True)
def _count(
    account: I32,
    system: I32,
    lists: Any,
    prompts: Any,
    which: U64,
    again: U64,
    token: U64,
    last: I32,
    count: U8,
    used: int,
) -> tuple[U64, I32, U8, int]:
    """Count the accounts that say each run, 255 at most; the table grows."""
    of, before = -1, -1
    for row in range(len(account)):
        room = lists[0][row + 1] - lists[0][row]
        prompt = system[row] if system[row] != before or account[row] != of else -1
        if prompt >= 0:
            of, before = account[row], system[row]
            room += prompts[0][prompt + 1] - prompts[0][prompt]
        while 2 * (used + room) > len(token):
            token, last, count = _grow(token, last, count)
        used += _tally(lists[0], lists[1], row, account[row], which, again, token, last, count)
        if prompt >= 0:
            used += _tally(prompts[0], prompts[1], np.int64(prompt), account[row], which, again, token, last, count)
    return token, last, count, used


@inlined
def _tally(
    offsets: I64, values: U64, row: int, account: int, which: U64, again: U64, token: U64, last: I32, count: U8
) -> int:
    bits, mask, new = np.uint64((len(again) << 6) - 1), np.uint64(len(token) - 1), 0
    for i in range(offsets[row], offsets[row + 1]):
        key = _mine(values[i], which)
        if key == _ZERO:
            continue
        bit = first_slot(key, bits)
        if again[bit >> np.uint64(6)] & (_ONE << (bit & _63)) == _ZERO:
            continue
        slot = first_slot(key, mask)
        while token[slot] != _ZERO and token[slot] != key:
            slot = (slot + _ONE) & mask
        if token[slot] == _ZERO:
            token[slot], last[slot], count[slot] = key, account, 1
            new += 1
        elif last[slot] != account:
            last[slot] = account
            count[slot] = min(count[slot] + 1, 255)
    return new


@numba.njit(cache=True, nogil=True)
def _grow(token: U64, last: I32, count: U8) -> tuple[U64, I32, U8]:
    size = 2 * len(token)
    more, who, often = np.zeros(size, np.uint64), np.zeros(size, np.int32), np.zeros(size, np.uint8)
    mask = np.uint64(size - 1)
    for i in range(len(token)):
        if token[i] != _ZERO:
            slot = first_slot(token[i], mask)
            while more[slot] != _ZERO:
                slot = (slot + _ONE) & mask
            more[slot], who[slot], often[slot] = token[i], last[i], count[i]
    return more, who, often


@uncounted
def _write(
    account: I32,
    system: I32,
    lists: Any,
    prompts: Any,
    which: U64,
    doc: U64,
    token: U64,
    count: U8,
    last: I32,
    place: I64,
    said: Any,
) -> None:
    """Write down who says each counted run, and a hash of the first text that he says it in."""
    of, before = -1, -1
    for row in range(len(account)):
        _note(lists[0], lists[1], row, account[row], which, doc[row], token, count, last, place, said)
        if system[row] >= 0 and (system[row] != before or account[row] != of):
            of, before = account[row], system[row]
            _note(
                prompts[0], prompts[1], np.int64(before), account[row], which, doc[row], token, count, last, place, said
            )  # fmt: skip


@inlined
def _note(
    offsets: I64,
    values: U64,
    row: int,
    account: int,
    which: U64,
    doc: np.uint64,
    token: U64,
    count: U8,
    last: I32,
    place: I64,
    said: Any,
) -> None:
    mask, runs = np.uint64(len(token) - 1), offsets[row + 1] - offsets[row]
    speaker, text, share = said
    for i in range(offsets[row], offsets[row + 1]):
        key = _mine(values[i], which)
        if key == _ZERO:
            continue
        slot = first_slot(key, mask)
        while token[slot] != _ZERO and token[slot] != key:
            slot = (slot + _ONE) & mask
        if token[slot] != _ZERO and count[slot] > 0 and last[slot] != account:
            at = place[slot]
            last[slot], place[slot] = account, at + 1
            speaker[at], text[at], share[at] = account, np.uint32(doc & _HALF), 1.0 / runs


def tie_phrases(phrases: Phrases, accounts: Accounts, *, chance: float, least: float) -> tuple[I32, I32, F64]:
    """Return pairs of accounts that share phrases in at least two texts of each, by a, then b, and by how many nats that is more than chance.

    m shared texts (those of the account with fewer; counted by 32 bits each, so 32 at most) against a Poisson rate: the
    product of what each of the two shares with anybody, over what all do, but `chance` at least. The weight is the
    log-likelihood ratio of the rate that was seen, m ln(m / rate) - (m - rate); pairs of `least` nats are kept.
    """
    bound = int((phrases.sizes() * (phrases.sizes() - 1) // 2).sum())
    passes = 1 + bound // _TABLE_PAIRS
    degree, parts = np.zeros(len(accounts), np.int64), []
    for number in range(passes):
        parts.append(
            _shared(
                phrases.offsets, phrases.account, phrases.text, accounts.owner, accounts.org, number, passes, degree
            )
        )
    pair, texts = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(pair)
    pair, texts = pair[order], texts[order].astype(np.float64)
    a, b = (pair >> _32).astype(np.int32), (pair & _HALF).astype(np.int32)
    rate = np.maximum(degree[a] * degree[b].astype(np.float64) / max(int(degree.sum()), 1), chance)
    weight = np.where(texts > rate, texts * np.log(texts / rate) - (texts - rate), 0.0)
    kept = weight >= least
    return a[kept], b[kept], weight[kept]


@numba.njit(cache=True, nogil=True)
def _shared(
    offsets: I64, account: I32, text: U32, owner: U64, org: U64, number: int, passes: int, degree: I64
) -> tuple[U64, I64]:
    """Return pairs that share phrases in two texts and more, and in how many; adds to each account's `degree` what it shares with anybody.

    Only pairs whose first account leaves the remainder `number` when divided by `passes`, and of two owners.
    """
    size, used = 1 << 16, 0
    key, value = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    for g in range(len(offsets) - 1):
        for i in range(offsets[g], offsets[g + 1]):
            x = account[i]
            if x % passes != number:
                continue
            left = _ONE << (_32 + _bit(text[i]))
            for j in range(i + 1, offsets[g + 1]):
                y = account[j]
                if text[i] == text[j]:  # one text that both sent
                    continue
                if (owner[x] == owner[y] and owner[x] != 0) or (org[x] == org[y] and org[x] != 0):
                    continue
                if used * 2 >= size:
                    key, value = double(key, value)
                    size *= 2
                pair = (np.uint64(x) << _32) | np.uint64(y)
                slot = slot_of(key, pair)
                if key[slot] == 0:
                    key[slot] = pair
                    used += 1
                value[slot] |= left | _ONE << _bit(text[j])
    n, texts = 0, np.zeros(size, np.int64)
    for slot in range(size):
        if key[slot] != 0:
            m = min(_ones(value[slot] >> _32), _ones(value[slot] & _HALF))
            degree[key[slot] >> _32] += m
            degree[key[slot] & _HALF] += m
            if m >= 2:
                key[n], texts[n] = key[slot], m
                n += 1
    return key[:n].copy(), texts[:n].copy()


@numba.njit(inline="always")
def _bit(text: np.uint32) -> np.uint64:
    """One of the 32 bits that stand for a text."""
    return (np.uint64(text) * _SALT) >> np.uint64(59)


@numba.njit(inline="always")
def _ones(bits: np.uint64) -> int:
    """How many bits are set (Kernighan)."""
    n = 0
    while bits:
        bits &= bits - _ONE
        n += 1
    return n


@numba.njit(cache=True, nogil=True)
def slot_of(key: U64, pair: np.uint64) -> int:
    """Return where a pair stands, or would, in a table that is not full."""
    mask = np.uint64(len(key) - 1)
    slot = (pair * _SALT) >> np.uint64(24) & mask
    while key[slot] != 0 and key[slot] != pair:
        slot = (slot + _ONE) & mask
    return slot


@numba.njit(cache=True, nogil=True)
def double(key: U64, value: Any) -> tuple[U64, Any]:
    """Return the same table with twice the slots."""
    larger, values = np.zeros(2 * len(key), np.uint64), np.zeros(2 * len(key), value.dtype)
    for i in range(len(key)):
        if key[i] != 0:
            slot = slot_of(larger, key[i])
            larger[slot], values[slot] = key[i], value[i]
    return larger, values


def with_phrases(habits: Habits, phrases: Phrases, clusters: Clusters, *, members: int, share: float) -> Habits:
    """Return the habits and, beside them, the phrases that at least so many `members` of a cluster say and are that `share` of all who do.

    The weight of a phrase is its share of the text that it was said in.
    """
    label = clusters.label[phrases.account]
    inside = np.flatnonzero(label >= 0)
    account, phrase = phrases.account[inside], phrases.owners()[inside]
    _, place, count = np.unique(phrase << 32 | label[inside], return_inverse=True, return_counts=True)
    spread, said_inside = phrases.sizes()[phrase], count[place]
    kept = (said_inside >= members) & (said_inside >= share * spread)
    token = np.append(habits.token, phrases.token[phrase[kept]])
    who = np.append(habits.account, account[kept])
    order = np.lexsort((who, token))  # stable: a habit comes before the same as a phrase
    token, who = token[order], who[order]
    new = np.append(True, (token[1:] != token[:-1]) | (who[1:] != who[:-1]))[: len(token)]
    return Habits(
        token[new],
        who[new],
        np.append(habits.spread, spread[kept].astype(np.int32))[order][new],
        np.append(habits.weight, phrases.share[inside[kept]])[order][new],
    )
