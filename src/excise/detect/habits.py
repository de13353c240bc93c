"""Which account repeats which token: the habits of an account, as a sparse table.

A wrapper is what an account says again and again around ever new payloads; a payload it says once. So a token counts
where an account repeats it in several *different* texts, and only where few accounts do (docs/references.md, measurements:
repetition cut the edges of 2 M rows by 40 and kept every campaign).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np

from excise.errors import InputError
from excise.model.tables import F64, I64, U64, Bool, Exchanges, Habits, Systems

_ACCOUNT_BITS: Final = 24
MAX_ACCOUNTS: Final = 1 << _ACCOUNT_BITS
"""Accounts in one scan: a token and its account share one 64-bit key. 40 bits of hash are left to tell tokens apart."""
_LOW: Final = np.uint64(MAX_ACCOUNTS - 1)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class HabitSettings:
    """repeats: different texts in which an account must say a token (references.md, measurements: 3). most_accounts: users of a token at
    most, more is public (references.md, measurements: 200 to 300).
    """  # noqa: D205

    repeats: int = 3
    most_accounts: int = 200


def find_habits(exchanges: Exchanges, systems: Systems, accounts: int, settings: HabitSettings) -> Habits:
    """Return what accounts repeat and 2 to `most_accounts` accounts use. O(n log n) in the sampled tokens.

    Raises InputError for more accounts than a key holds.
    """
    if accounts > MAX_ACCOUNTS:
        raise InputError(
            f"{accounts:,} accounts are more than the {MAX_ACCOUNTS:,} of one scan",
            hint="scan a shorter period, or each product by itself",
        )
    texts = distinct_texts(exchanges)
    account = exchanges.account.astype(np.int64)
    lists = (exchanges.shingles, exchanges.marks)
    prompts = (systems.shingles, systems.marks)
    keys = np.concatenate(
        [_keys(account, texts, part.offsets, part.values) for part in lists]
        + [
            _prompt_keys(*_prompts_used(exchanges, texts), part.offsets, part.values, settings.repeats)
            for part in prompts
        ]
    )
    keys.sort()
    keys, spread = _repeated(keys, settings.repeats, settings.most_accounts)
    total, seen = np.zeros(len(keys)), np.zeros(len(keys), np.int64)
    system = exchanges.system.astype(np.int64)
    _spread_weights(keys, hash_index(keys), account, system, texts, _flat(lists), _flat(prompts), total, seen)
    return Habits(
        keys >> np.uint64(_ACCOUNT_BITS),
        (keys & _LOW).astype(np.int32),
        spread.astype(np.int32),
        total / np.maximum(seen, 1),
    )


def _flat(lists: tuple[Any, Any]) -> tuple[I64, U64, I64, U64]:
    first, second = lists
    return first.offsets, first.values, second.offsets, second.values


def distinct_texts(exchanges: Exchanges) -> Bool:
    """Return the first exchange of each (account, system prompt, user text); an account's repeats of one text are no habit."""
    order = np.lexsort((exchanges.system, exchanges.doc, exchanges.account))
    account, doc, system = exchanges.account[order], exchanges.doc[order], exchanges.system[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (account[1:] != account[:-1]) | (doc[1:] != doc[:-1]) | (system[1:] != system[:-1])
    out = np.zeros(len(order), np.bool_)
    out[order] = new
    return out


@numba.njit(inline="always")
def pack_key(token: np.uint64, low: np.uint64) -> np.uint64:
    """Put 40 bits of a token and a code of 24 into one key; sampled hashes are small numbers, so all 64 bits are filled first."""
    return (token * _GOLDEN) & ~_LOW | low


@numba.njit(cache=True, nogil=True)
def _keys(account: I64, texts: Bool, offsets: I64, values: U64) -> U64:
    n = 0
    for row in range(len(account)):
        if texts[row]:
            n += offsets[row + 1] - offsets[row]
    out = np.empty(n, np.uint64)
    n = 0
    for row in range(len(account)):
        if texts[row]:
            for i in range(offsets[row], offsets[row + 1]):
                out[n] = pack_key(values[i], np.uint64(account[row]))
                n += 1
    return out


def _prompts_used(exchanges: Exchanges, texts: Bool) -> tuple[I64, I64, I64]:
    """Distinct (account, system prompt) with the number of different texts that came with the prompt."""
    has = (exchanges.system >= 0) & texts
    pairs = exchanges.account[has].astype(np.int64) << 32 | exchanges.system[has].astype(np.int64)
    pairs, counts = np.unique(pairs, return_counts=True)
    return pairs >> 32, pairs & 0xFFFFFFFF, counts


@numba.njit(cache=True, nogil=True)
def _prompt_keys(account: I64, system: I64, count: I64, offsets: I64, values: U64, repeats: int) -> U64:
    """Tokens of system prompts, as often as the prompt was used but at most `repeats` times: more says no more."""
    n = 0
    for k in range(len(account)):
        n += min(count[k], repeats) * (offsets[system[k] + 1] - offsets[system[k]])
    out = np.empty(n, np.uint64)
    n = 0
    for k in range(len(account)):
        for i in range(offsets[system[k]], offsets[system[k] + 1]):
            for _ in range(min(count[k], repeats)):
                out[n] = pack_key(values[i], np.uint64(account[k]))
                n += 1
    return out


@numba.njit(cache=True, nogil=True)
def _repeated(keys: U64, repeats: int, most: int) -> tuple[U64, I64]:
    """From sorted keys: those that occur `repeats` times, of tokens that 2 to `most` accounts use, with that number."""
    out, spread = np.empty(len(keys) // repeats + 1, np.uint64), np.empty(len(keys) // repeats + 1, np.int64)
    shift = np.uint64(_ACCOUNT_BITS)
    n, start = 0, 0
    while start < len(keys):
        end, users, first = start, 0, n
        while end < len(keys) and keys[end] >> shift == keys[start] >> shift:
            run = end
            while run < len(keys) and keys[run] == keys[end]:
                run += 1
            users += 1
            if run - end >= repeats:
                out[n] = keys[end]
                n += 1
            end = run
        if users < 2 or users > most:
            n = first
        spread[first:n] = users
        start = end
    return out[:n].copy(), spread[:n].copy()


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


@numba.njit(inline="always")
def first_slot(key: np.uint64, mask: np.uint64) -> np.uint64:
    """Return where the search for a key begins."""
    return (key * np.uint64(0xD6E8FEB86659FD93)) >> np.uint64(20) & mask


@numba.njit(cache=True, nogil=True)
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
def _spread_weights(
    keys: U64,
    table: I64,
    account: I64,
    system: I64,
    texts: Bool,
    user: Any,
    prompt: Any,
    total: F64,
    seen: I64,
) -> None:
    """For each text, share one unit among the habits in it."""
    found = np.empty(4096, np.int64)
    for row in range(len(account)):
        if not texts[row]:
            continue
        low = np.uint64(account[row])
        n = _collect(keys, table, user[0], user[1], row, low, found, 0)
        n = _collect(keys, table, user[2], user[3], row, low, found, n)
        if system[row] >= 0:
            n = _collect(keys, table, prompt[0], prompt[1], system[row], low, found, n)
            n = _collect(keys, table, prompt[2], prompt[3], system[row], low, found, n)
        for i in range(n):
            total[found[i]] += 1.0 / n
            seen[found[i]] += 1


@numba.njit(cache=True, nogil=True)
def _collect(
    keys: U64, table: I64, offsets: I64, values: U64, row: int, low: np.uint64, found: I64, n: int
) -> int:
    for i in range(offsets[row], offsets[row + 1]):
        at = find_key(keys, table, pack_key(values[i], low))
        if at >= 0 and n < len(found):
            found[n] = at
            n += 1
    return n
