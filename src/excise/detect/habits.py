"""Which account repeats which token: the habits of an account, as a sparse table.

A wrapper is what an account says again and again around ever new payloads; a payload it says once. So a token counts
where an account repeats it in several *different* texts, and only where few accounts do (measured in the notes:
repetition cut the edges of 2 M rows by 40 and kept every campaign).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np

from excise.model.tables import F64, I64, U64, Bool, Exchanges, Systems, Traffic

_ACCOUNT_BITS: Final = 24
MAX_ACCOUNTS: Final = 1 << _ACCOUNT_BITS
"""Accounts in one scan: a token and its account share one 64-bit key. 40 bits of hash are left to tell tokens apart."""


@dataclass(frozen=True, slots=True)
class Habits:
    """One row a (token, account), sorted by token, then account: the account repeats the token in `count` texts.

    `spread`: how many accounts use the token at all, repeated or not. `weight`: the share of one wrapper that the token
    stands for, 1 / (number of the account's habits in the same text), averaged over its texts: the weights of a fixed
    wrapper add up to 1, those of a wrapper with 30 variants to about 30.
    """

    key: U64
    count: I64
    spread: I64
    weight: F64

    def token(self) -> U64:
        """Return the token part of the keys."""
        return self.key >> np.uint64(_ACCOUNT_BITS)

    def account(self) -> I64:
        """Return the account part of the keys."""
        return (self.key & np.uint64(MAX_ACCOUNTS - 1)).astype(np.int64)


def find_habits(traffic: Traffic, *, repeats: int, most: int) -> Habits:
    """Return what accounts repeat in at least `repeats` texts and 2 to `most` accounts use. O(n log n) in the tokens."""
    texts = distinct_texts(traffic.exchanges)
    exchanges = traffic.exchanges
    user = pack_keys(exchanges.shingles.values, exchanges.account[exchanges.shingles.owners()])
    user = user[np.repeat(texts, np.diff(exchanges.shingles.offsets))]
    user.sort()
    keys, counts = _runs(user)
    keys, counts = _merge(keys, counts, *_system_tokens(exchanges, traffic.systems, texts))
    spread = np.zeros(len(keys), np.int64)
    _count_holders(keys >> np.uint64(_ACCOUNT_BITS), spread)
    kept = (counts >= repeats) & (spread >= 2) & (spread <= most)
    keys, counts, spread = keys[kept], counts[kept], spread[kept]
    return Habits(keys, counts, spread, _weights(keys, traffic, texts))


def distinct_texts(exchanges: Exchanges) -> Bool:
    """Return the first exchange of each (account, system prompt, user text); an account's repeats of one text are no habit."""
    order = np.lexsort((exchanges.system, exchanges.doc, exchanges.account))
    account, doc, system = exchanges.account[order], exchanges.doc[order], exchanges.system[order]
    new = np.ones(len(order), bool)
    new[1:] = (account[1:] != account[:-1]) | (doc[1:] != doc[:-1]) | (system[1:] != system[:-1])
    out = np.zeros(len(order), bool)
    out[order] = new
    return out


def pack_keys(tokens: U64, accounts: np.ndarray) -> U64:
    """Put 40 bits of token and the account into one sortable key."""
    filled = tokens * np.uint64(0x9E3779B97F4A7C15)  # sampled hashes are small numbers: fill all 64 bits first
    return (filled & ~np.uint64(MAX_ACCOUNTS - 1)) | accounts.astype(np.uint64)


@numba.njit(cache=True, nogil=True)
def _runs(keys: U64) -> tuple[U64, I64]:
    """Run-length encode sorted keys."""
    n = 0
    for i in range(len(keys)):
        if i == 0 or keys[i] != keys[i - 1]:
            n += 1
    out, counts = np.empty(n, np.uint64), np.zeros(n, np.int64)
    n = -1
    for i in range(len(keys)):
        if i == 0 or keys[i] != keys[i - 1]:
            n += 1
            out[n] = keys[i]
        counts[n] += 1
    return out, counts


def _system_tokens(exchanges: Exchanges, systems: Systems, texts: Bool) -> tuple[U64, I64]:
    """Tokens of system prompts, counted by the distinct texts that came with the prompt."""
    has = (exchanges.system >= 0) & texts
    pairs = exchanges.account[has].astype(np.uint64) << np.uint64(32) | exchanges.system[has].astype(np.uint64)
    pairs.sort()
    pairs, counts = _runs(pairs)
    tokens = systems.shingles.take((pairs & np.uint64(0xFFFFFFFF)).astype(np.int64))
    owner = tokens.owners()
    keys = pack_keys(tokens.values, (pairs >> np.uint64(32))[owner])
    order = np.argsort(keys, kind="stable")
    distinct, first = np.unique(keys[order], return_index=True)
    return distinct, np.add.reduceat(counts[owner][order], first) if len(first) else np.zeros(0, np.int64)


def _merge(a: U64, na: I64, b: U64, nb: I64) -> tuple[U64, I64]:
    """Add two tables of sorted distinct keys."""
    if not len(b) or not len(a):
        return (a, na) if len(a) else (b, nb)
    where = np.minimum(np.searchsorted(a, b), len(a) - 1)
    hit = a[where] == b
    na = na.copy()
    na[where[hit]] += nb[hit]
    keys = np.concatenate([a, b[~hit]])
    counts = np.concatenate([na, nb[~hit]])
    order = np.argsort(keys, kind="stable")
    return keys[order], counts[order]


@numba.njit(cache=True, nogil=True)
def _count_holders(token: U64, out: I64) -> None:
    """Write, for each row of sorted tokens, how many rows have the same token."""
    start = 0
    for i in range(1, len(token) + 1):
        if i == len(token) or token[i] != token[start]:
            out[start:i] = i - start
            start = i


def _weights(keys: U64, traffic: Traffic, texts: Bool) -> F64:
    e, s = traffic.exchanges, traffic.systems
    total, seen = np.zeros(len(keys)), np.zeros(len(keys), np.int64)
    _spread_weights(
        keys, hash_index(keys), e.account.astype(np.int64), e.system.astype(np.int64), texts,
        e.shingles.offsets, e.shingles.values, s.shingles.offsets, s.shingles.values, total, seen,
    )  # fmt: skip
    return total / np.maximum(seen, 1)


@numba.njit(cache=True, nogil=True)
def hash_index(keys: U64) -> I64:
    """Return an open-addressing table (a power of two of slots) of positions in `keys`, -1 where free."""
    size = 4
    while size < 2 * len(keys):
        size *= 2
    table = np.full(size, -1, np.int64)
    mask = np.uint64(size - 1)
    for i in range(len(keys)):
        slot = (keys[i] * np.uint64(0xD6E8FEB86659FD93)) >> np.uint64(20) & mask
        while table[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        table[slot] = i
    return table


@numba.njit(cache=True, nogil=True)
def find_key(keys: U64, table: I64, key: np.uint64) -> int:
    """Return the position of a key, or -1."""
    mask = np.uint64(len(table) - 1)
    slot = (key * np.uint64(0xD6E8FEB86659FD93)) >> np.uint64(20) & mask
    while table[slot] >= 0:
        if keys[table[slot]] == key:
            return table[slot]
        slot = (slot + np.uint64(1)) & mask
    return -1


@numba.njit(cache=True, nogil=True)
def _spread_weights(
    keys: U64, table: I64, account: I64, system: I64, texts: Bool,
    user_start: I64, user: U64, system_start: I64, prompt: U64, total: F64, seen: I64,
) -> None:  # fmt: skip
    """For each text, share one unit among the habits in it. A token in both prompts counts twice, harmlessly."""
    low = np.uint64(MAX_ACCOUNTS - 1)
    found = np.empty(4096, np.int64)
    for row in range(len(account)):
        if not texts[row]:
            continue
        n = 0
        for part in range(2):
            if part == 0:
                lo, hi = user_start[row], user_start[row + 1]
            elif system[row] >= 0:
                lo, hi = system_start[system[row]], system_start[system[row] + 1]
            else:
                lo, hi = 0, 0
            for i in range(lo, hi):
                token = user[i] if part == 0 else prompt[i]
                key = (token * np.uint64(0x9E3779B97F4A7C15)) & ~low | np.uint64(account[row])
                at = find_key(keys, table, key)
                if at >= 0 and n < len(found):
                    found[n] = at
                    n += 1
        for i in range(n):
            total[found[i]] += 1.0 / n
            seen[found[i]] += 1
