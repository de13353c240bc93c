"""Counting pairs of accounts that share keys, without ever writing down the pairs of a hub."""

from __future__ import annotations

import numba
import numpy as np

from excise.engine.keys import shared
from excise.model.tables import F64, I32, I64, U64


def distinct_holders(keys: U64, accounts: I32) -> tuple[U64, I32, I64]:
    """Return the distinct (key, account) rows sorted by key, then account, with the number of accounts of the key."""
    present = keys != 0
    keys, accounts = keys[present], accounts[present]
    order = np.lexsort((accounts, keys))
    keys, accounts = keys[order], accounts[order]
    first = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]) | (accounts[1:] != accounts[:-1])
    keys, accounts = keys[first], accounts[first]
    _, where, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    return keys, accounts, sizes[where]


def tie_by_key(keys: U64, accounts: I32, population: int, *, most: int) -> tuple[I32, I32, F64]:
    """Tie each two accounts that share a key which 2 to `most` accounts hold; the weight is ln(population / holders).

    Several shared keys count once, the rarest. Cost grows with the sum of squares of the group sizes, bounded by `most`.
    Only keys that several may hold are sorted.
    """
    rows = shared(keys, accounts)
    keys, accounts, holders = distinct_holders(keys[rows], accounts[rows])
    kept = (holders >= 2) & (holders <= most)
    keys, accounts, holders = keys[kept], accounts[kept], holders[kept]
    a, b, weight = _pairs(keys, accounts, np.log(population / holders))
    return rarest(a, b, weight)


@numba.njit(cache=True, nogil=True)
def _pairs(keys: U64, accounts: I32, weight: F64) -> tuple[I32, I32, F64]:
    total, start = 0, 0
    for i in range(1, len(keys) + 1):
        if i == len(keys) or keys[i] != keys[start]:
            total += (i - start) * (i - start - 1) // 2
            start = i
    a, b, w = np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total)
    n, start = 0, 0
    for i in range(1, len(keys) + 1):
        if i == len(keys) or keys[i] != keys[start]:
            for x in range(start, i):
                for y in range(x + 1, i):
                    a[n], b[n], w[n] = accounts[x], accounts[y], weight[x]
                    n += 1
            start = i
    return a, b, w


def rarest(a: I32, b: I32, weight: F64) -> tuple[I32, I32, F64]:
    """Return each pair once, with its largest weight, sorted by a, then b."""
    order = np.lexsort((-weight, b, a))
    a, b, weight = a[order], b[order], weight[order]
    first = np.ones(len(a), bool)
    first[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return a[first], b[first], weight[first]


def sum_pairs(a: I32, b: I32, weight: F64) -> tuple[I32, I32, F64]:
    """Add up the weights of equal pairs; the result is sorted by a, then b."""
    order = np.lexsort((b, a))
    a, b, weight = a[order], b[order], weight[order]
    first = np.ones(len(a), bool)
    first[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    starts = np.flatnonzero(first)
    return a[first], b[first], np.add.reduceat(weight, starts) if len(starts) else weight
