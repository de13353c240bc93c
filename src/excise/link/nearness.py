"""Ties by two numbers: accounts that lie closer together in both than strangers of the same table, in company.

One hand that works through a list opens its accounts in a row and uses them alike. Each such coincidence happens among
strangers too, so neither the closeness nor the company is judged by a constant: the numbers are shuffled against each
other, and a tie counts when among as good ones at most a small share would be there by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from excise.model.clusters import Ties
from excise.model.tables import F64, I32, I64


@dataclass(frozen=True, slots=True)
class NearSettings:
    """`chance`: neighbours that an account has by chance before company is asked for. `most_false`: share of kept ties that chance explains.

    `draws`: shuffles that the null is made of.
    """

    chance: float = 8.0
    most_false: float = 0.01
    draws: int = 3


def tie_near(first: F64, second: F64, settings: NearSettings) -> Ties:
    """Tie accounts by the closeness of their two numbers, in ranks, so that what many do is no coincidence.

    A gap of g ranks among n accounts has the chance 2 g / n; a tie weighs minus the log of both chances together. Of those
    pairs the ones are kept that have enough neighbours in common. O(n^2 chance / ln n): seconds for 100,000 accounts.
    """
    n = len(first)
    area = widest_area(n, settings.chance)
    x, y = _ranks(first), _ranks(second)
    a, b, weight = _close_pairs(x, y, area)
    company = _company(n, a, b)
    rng = np.random.default_rng(0)
    null = [
        _company(n, *_close_pairs(x, rng.permutation(n).astype(np.int64), area)[:2])
        for _ in range(settings.draws)
    ]
    kept = company >= least_company(company, null, settings.most_false)
    return Ties("nearness", "time", a[kept], b[kept], weight[kept], alone=True)


def widest_area(accounts: int, chance: float) -> int:
    """Return the largest product of two gaps, in ranks squared, up to which an account has at most `chance` neighbours by chance.

    Gaps of either sign whose product is at most A: four times the divisor sum of A; each such place holds an account with
    the chance 1 / accounts. The ends of the lists are not thought of: a little fewer neighbours are found.
    """
    low, high = 0, max(1, int(accounts * (chance + 4)))
    while high - low > 1:
        middle = (low + high) // 2
        places = 4 * int((middle // np.arange(1, middle + 1)).sum())
        low, high = (middle, high) if places <= chance * accounts else (low, middle)
    return low


def least_company(company: I64, null: list[I64], most_false: float) -> int:
    """Return the least number of common neighbours at which at most `most_false` of the ties are there by chance.

    The null's count is taken one too high, so that a few lucky pairs are never enough.
    """
    for least in range(int(company.max(initial=0)) + 1):
        by_chance = (1 + sum(int((c >= least).sum()) for c in null)) / len(null)
        if by_chance <= most_false * int((company >= least).sum()):
            return least
    return int(company.max(initial=0)) + 1


def _ranks(values: F64) -> I64:
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return rank


def _close_pairs(x: I64, y: I64, area: int) -> tuple[I32, I32, F64]:
    """Return pairs of accounts (a < b, each once, sorted) whose gaps multiply to at most `area`, and their weight in nats."""
    order = np.argsort(x).astype(np.int64)
    a, b, gaps = _scan(order, y[order], area)
    weight = 2 * np.log(len(x) / 2) - np.log(gaps)
    sorted_by = np.lexsort((b, a))
    return a[sorted_by], b[sorted_by], weight[sorted_by]


@numba.njit(cache=True, nogil=True)
def _scan(order: I64, y: I64, area: int) -> tuple[I32, I32, F64]:
    """`y` in the order of x. A pair counts when the product of its gaps is at most `area` (ranks squared)."""
    a, b, gaps = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0)
    for write in (False, True):
        n = 0
        for i in range(len(y)):
            for g in range(1, min(area, len(y) - 1 - i) + 1):
                product = g * abs(y[i + g] - y[i])
                if product <= area:
                    if write:
                        a[n], b[n] = min(order[i], order[i + g]), max(order[i], order[i + g])
                        gaps[n] = product
                    n += 1
        if not write:
            a, b, gaps = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n)
    return a, b, gaps


def _company(nodes: int, a: I32, b: I32) -> I64:
    """Return, for each pair, how many accounts are paired with both."""
    source, target = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.lexsort((target, source))
    start = np.searchsorted(source[order], np.arange(nodes + 1)).astype(np.int64)
    return _common(start, target[order], a, b)


@numba.njit(cache=True, nogil=True)
def _common(start: I64, neighbour: I32, a: I32, b: I32) -> I64:
    out = np.zeros(len(a), np.int64)
    for k in range(len(a)):
        i, j = start[a[k]], start[b[k]]
        while i < start[a[k] + 1] and j < start[b[k] + 1]:
            if neighbour[i] == neighbour[j]:
                out[k] += 1
                i += 1
                j += 1
            elif neighbour[i] < neighbour[j]:
                i += 1
            else:
                j += 1
    return out
