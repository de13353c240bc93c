"""Kernels of the habits: what is counted account by account, with small hash tables. Equal accounts stand together."""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np

from excise.engine.compiled import inlined, uncounted
from excise.engine.keys import sort_by
from excise.model.tables import F64, I32, I64, U64, Bool

ACCOUNT_BITS: Final = 24
MAX_ACCOUNTS: Final = (1 << ACCOUNT_BITS) - 1
"""Accounts in one scan: a token and its account share one 64-bit key, and a last code is nobody's. 40 bits of hash are left to tell tokens apart."""
LOW: Final = np.uint64(MAX_ACCOUNTS)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_NONE, _ONE = np.int64(0), np.int64(1)
"""A plain number in a call is a type of its own to numba, and compiled for."""


@numba.njit(cache=True, nogil=True)
def first_texts(account: I32, doc: U64, system: I32) -> Bool:
    """Return which row is the first of its (account, system prompt, user text). Linear."""
    size = 4
    while size < 2 * len(account):
        size *= 2
    table, mask = np.full(size, -1, np.int64), np.uint64(size - 1)
    first = np.zeros(len(account), np.bool_)
    for row in range(len(account)):
        key = (doc[row] ^ (np.uint64(system[row] + 1) * _GOLDEN)) + np.uint64(account[row]) * np.uint64(
            0xC4CEB9FE1A85EC53
        )
        slot = first_slot(key, mask)
        while table[slot] >= 0:
            at = table[slot]
            if account[at] == account[row] and doc[at] == doc[row] and system[at] == system[row]:
                break
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            table[slot] = row
            first[row] = True
    return first


@numba.njit(inline="always")
def pack_key(token: np.uint64, low: np.uint64) -> np.uint64:
    """Put 40 bits of a token and a code of 24 into one key; sampled hashes are small numbers, so all 64 bits are filled first."""
    return (token * _GOLDEN) & ~LOW | low


@numba.njit(cache=True, nogil=True)
def say_repeated(account: I32, system: I32, lists: Any, texts: Bool, prompts: Any, repeats: int) -> U64:
    """Return the keys that their account says in `repeats` texts and more, in no order.

    Tokens of a system prompt count as often as different texts came with it, but at most `repeats` times: more says no more.
    """
    out, n = np.empty(1024, np.uint64), _NONE
    table, count = np.zeros(1024, np.uint64), np.zeros(1024, np.int32)
    start = _NONE
    while start < len(account):
        end, room = start, 0
        while end < len(account) and account[end] == account[start]:
            if texts[end]:
                room += lists[0][end + 1] - lists[0][end] + lists[2][end + 1] - lists[2][end]
            end += 1
        used = _prompts_used(system, texts, start, end)
        for k in range(len(used)):
            s = used[k, 0]
            room += prompts[0][s + 1] - prompts[0][s] + prompts[2][s + 1] - prompts[2][s]
        size = 64
        while size < 2 * room:
            size *= 2
        if size > len(table):
            table, count = np.zeros(size, np.uint64), np.zeros(size, np.int32)
        else:
            for slot in range(size):
                table[slot] = 0
        while n + room > len(out):
            out = _larger(out, n)
        mine, times, low = table[:size], count[:size], np.uint64(account[start])
        for row in range(start, end):
            if texts[row]:
                n = _say(mine, times, lists[0], lists[1], row, low, _ONE, repeats, out, n)
                n = _say(mine, times, lists[2], lists[3], row, low, _ONE, repeats, out, n)
        for k in range(len(used)):
            often = min(used[k, 1], repeats)
            n = _say(mine, times, prompts[0], prompts[1], used[k, 0], low, often, repeats, out, n)
            n = _say(mine, times, prompts[2], prompts[3], used[k, 0], low, often, repeats, out, n)
        start = end
    return out[:n].copy()


@numba.njit(cache=True, nogil=True)
def _larger(out: U64, used: int) -> U64:
    larger = np.empty(2 * len(out), np.uint64)
    for i in range(used):
        larger[i] = out[i]
    return larger


@numba.njit(cache=True, nogil=True)
def _prompts_used(system: I32, texts: Bool, start: int, end: int) -> I64:
    """Return the system prompts of one account's different texts and in how many they are: [prompts, 2]."""
    found, order, n = np.empty(end - start, np.uint64), np.empty(end - start, np.int64), _NONE
    for row in range(start, end):
        if texts[row] and system[row] >= 0:
            found[n], order[n] = system[row], n
            n += 1
    sort_by(found, order, n)
    out, m = np.empty((n, 2), np.int64), 0
    for i in range(n):
        if i == 0 or found[order[i]] != found[order[i - 1]]:
            out[m, 0], out[m, 1] = found[order[i]], 0
            m += 1
        out[m - 1, 1] += 1
    return out[:m]


@inlined
def _say(
    table: U64,
    count: Any,
    offsets: I64,
    values: U64,
    row: int,
    low: np.uint64,
    times: int,
    repeats: int,
    out: U64,
    n: int,
) -> int:
    """Count the tokens of one list `times` more; write down those that reach `repeats` now. The new length of `out`."""
    mask = np.uint64(len(table) - 1)
    for i in range(offsets[row], offsets[row + 1]):
        key = pack_key(values[i], low)
        tag = key | np.uint64(1)  # never 0; the account's bits are the same for all of the table
        slot = first_slot(key, mask)
        while table[slot] != 0 and table[slot] != tag:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] == 0:
            table[slot], count[slot] = tag, 0
        before = count[slot]
        count[slot] = before + times
        if before < repeats <= before + times:
            out[n] = key
            n += 1
    return n


@uncounted
def use_tokens(
    account: I32, system: I32, lists: Any, texts: Bool, prompts: Any, wanted: Any, last: I32, spread: I32
) -> None:
    """Count, for each of the `wanted` tokens, the accounts that say it at all; `last` is the account that was counted last.

    `wanted`: the tokens, their `hash_index` and their `sieve_of`.
    """
    of, before = -1, np.int64(-1)
    for row in range(len(account)):
        if not texts[row]:
            continue
        who, prompt = account[row], np.int64(system[row])
        _use(lists[0], lists[1], row, who, wanted, last, spread)
        _use(lists[2], lists[3], row, who, wanted, last, spread)
        if prompt >= 0 and (prompt != before or who != of):  # else all of it is counted
            of, before = who, prompt
            _use(prompts[0], prompts[1], prompt, who, wanted, last, spread)
            _use(prompts[2], prompts[3], prompt, who, wanted, last, spread)


@inlined
def _use(offsets: I64, values: U64, row: int, account: int, wanted: Any, last: I32, spread: I32) -> None:
    tokens, index, sieve = wanted
    for i in range(offsets[row], offsets[row + 1]):
        token = pack_key(values[i], np.uint64(0)) >> np.uint64(ACCOUNT_BITS)
        at = find_key(tokens, index, token) if passes(sieve, token) else np.int64(-1)
        if at >= 0 and last[at] != account:
            last[at] = account
            spread[at] += 1


@numba.njit(cache=True, nogil=True)
def hash_index(keys: U64) -> I64:
    """Return an open-addressing table (a power of two of slots) of positions in `keys`, -1 where free."""
    size = 4
    while size < 2 * len(keys):
        size *= 2
    table = np.full(size, -1, np.int64)
    mask = np.uint64(size - 1)
    for i in range(len(keys)):
        slot = first_slot(keys[i], mask)
        while table[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        table[slot] = i
    return table


@numba.njit(cache=True, nogil=True)
def sieve_of(keys: U64) -> U64:
    """Return a Bloom filter of one hash and 16 to 32 bits a key (Bloom 1970): it lets `keys` through and few others.

    It fits the processor's cache where the table does not, and most of what is looked for is not there.
    """
    size = 64
    while size < 16 * len(keys):
        size *= 2
    sieve, mask = np.zeros(size >> 6, np.uint64), np.uint64(size - 1)
    for i in range(len(keys)):
        bit = first_slot(keys[i], mask)
        sieve[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
    return sieve


@numba.njit(inline="always")
def passes(sieve: U64, key: np.uint64) -> bool:
    """Return whether a key may be one of those that the sieve was made of."""
    bit = first_slot(key, np.uint64((len(sieve) << 6) - 1))
    return (sieve[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1) != np.uint64(0)


@numba.njit(inline="always")
def first_slot(key: np.uint64, mask: np.uint64) -> np.uint64:
    """Return where the search for a key begins."""
    return (key * np.uint64(0xD6E8FEB86659FD93)) >> np.uint64(20) & mask


@inlined
def find_key(keys: U64, table: I64, key: np.uint64) -> int:
    """Return the position of a key, or -1."""
    mask = np.uint64(len(table) - 1)
    slot = first_slot(key, mask)
    while table[slot] >= 0:
        if keys[table[slot]] == key:
            return table[slot]
        slot = (slot + np.uint64(1)) & mask
    return -1


@numba.njit(cache=True, nogil=True)
def spread_weights(
    keys: U64,
    by_account: I64,
    starts: I64,
    account: I32,
    system: I32,
    lists: Any,
    texts: Bool,
    prompts: Any,
    total: F64,
    seen: I64,
) -> None:
    """For each text, share one unit among the habits in it; those of account a are `by_account[starts[a]:starts[a + 1]]`."""
    found, mine = np.empty(4096, np.int64), -1
    own, table = np.empty(0, np.uint64), np.empty(0, np.int64)
    for row in range(len(account)):
        first, last = starts[account[row]], starts[account[row] + 1]
        if not texts[row] or first == last:
            continue
        if account[row] != mine:
            mine, own = account[row], keys[by_account[first:last]]
            table = hash_index(own)
        low = np.uint64(mine)
        n = _collect(own, table, lists[0], lists[1], row, low, found, _NONE)
        n = _collect(own, table, lists[2], lists[3], row, low, found, n)
        if system[row] >= 0:
            n = _collect(own, table, prompts[0], prompts[1], np.int64(system[row]), low, found, n)
            n = _collect(own, table, prompts[2], prompts[3], np.int64(system[row]), low, found, n)
        for i in range(n):
            at = by_account[first + found[i]]
            total[at] += 1.0 / n
            seen[at] += 1


@inlined
def _collect(
    keys: U64, table: I64, offsets: I64, values: U64, row: int, low: np.uint64, found: I64, n: int
) -> int:
    for i in range(offsets[row], offsets[row + 1]):
        at = find_key(keys, table, pack_key(values[i], low))
        if at >= 0 and n < len(found):
            found[n] = at
            n += 1
    return n
