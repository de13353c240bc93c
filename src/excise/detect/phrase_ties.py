"""Accounts that share many rare phrases, in more different texts than chance gives them; and which phrases are a cluster's."""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np

from excise.detect.repeats import ACCOUNT_BITS
from excise.model.clusters import Clusters
from excise.model.tables import F64, I32, I64, U8, U32, Accounts, Habits, Phrases

_MOST_TEXTS: Final = 32
"""Bits that stand for an account's texts."""
_ONE, _32, _HALF = np.uint64(1), np.uint64(32), np.uint64(0xFFFFFFFF)


def tie_phrases(
    phrases: Phrases, accounts: Accounts, *, chance: float, least: float, most_alike: float
) -> tuple[I32, I32, F64]:
    """Return pairs of accounts (a < b, by a, then b) that share phrases in more texts than chance gives them, and by how many nats.

    In m texts, of the account with fewer; one bit of 32 stands for a text (linear counting, Whang et al. 1990, without its
    correction), so m is a little low and 32 at most. The rate of chance is the product of what each of the two shares with
    anybody over what all share, at least `chance`; the weight is the log-likelihood ratio of the Poisson rate that was
    seen, m ln(m / rate) - (m - rate). Pairs of `least` nats and more are kept, if they share `most_alike` phrases a text at
    most in the mean: more is a payload that both were given. Accounts of one owner are not held against each other. Cost
    grows with the sum of squares of the phrases' accounts, which `find_phrases` bounds; account by account, so that what is
    counted fits the processor's cache.
    """
    degree = np.zeros(len(accounts), np.int64)
    index = _by_account(phrases.offsets, phrases.account, len(accounts))
    said, owners = (phrases.account, phrases.text), (accounts.owner, accounts.org)
    enough = 2 + np.flatnonzero(_nats(np.arange(2.0, _MOST_TEXTS + 1), chance) >= least)
    fewest = int(enough.min(initial=_MOST_TEXTS + 1))  # others cannot weigh as much, and would fill memory
    pair, texts, count = _shared(*index, said, owners, degree, fewest)
    order = np.argsort(pair)
    pair, texts, count = pair[order], texts[order], count[order]
    a, b = (pair >> 32).astype(np.int32), (pair & 0xFFFFFFFF).astype(np.int32)
    m = texts.astype(np.float64)
    rate = np.maximum(degree[a].astype(np.float64) * degree[b] / max(int(degree.sum()), 1), chance)
    weight = _nats(m, rate)
    kept = (weight >= least) & (count <= most_alike * m)
    return a[kept], b[kept], weight[kept]


def _nats(m: F64, rate: F64 | float) -> F64:
    """Return the log-likelihood ratio of a Poisson rate that was seen to one of chance, 0 where it is no more."""
    return np.where(m > rate, m * np.log(m / rate) - (m - rate), 0.0)


@numba.njit(cache=True, nogil=True)
def _by_account(offsets: I64, account: I32, accounts: int) -> tuple[I64, U32, U8]:
    """Return where the rows of each account start in what follows: its rows, and how many of the same phrase come after each."""
    starts = np.zeros(accounts + 1, np.int64)
    for row in range(len(account)):
        starts[account[row] + 1] += 1
    for i in range(accounts):
        starts[i + 1] += starts[i]
    place, rows, after = (
        starts[:-1].copy(),
        np.empty(len(account), np.uint32),
        np.empty(len(account), np.uint8),
    )
    for phrase in range(len(offsets) - 1):
        for row in range(offsets[phrase], offsets[phrase + 1]):
            at = place[account[row]]
            place[account[row]] = at + 1
            rows[at], after[at] = np.uint32(row), offsets[phrase + 1] - 1 - row
    return starts, rows, after


@numba.njit(cache=True, nogil=True)
def _shared(
    starts: I64, rows: U32, after: U8, said: Any, owners: Any, degree: I64, fewest: int
) -> tuple[I64, U8, I32]:
    """Return pairs (two codes in one number) that share phrases in at least the `fewest` texts, in how many texts, and how many phrases.

    Adds to each account's `degree` in how many texts it shares some with anybody.
    """
    account, text = said
    pair, shared, phrases, n = (
        np.empty(1 << 12, np.int64),
        np.empty(1 << 12, np.uint8),
        np.empty(1 << 12, np.int32),
        0,
    )
    bits, count, met = (
        np.zeros(len(degree), np.uint64),
        np.zeros(len(degree), np.int64),
        np.empty(len(degree), np.int32),
    )
    for a in range(len(degree)):
        others = 0
        for i in range(starts[a], starts[a + 1]):
            row = np.int64(rows[i])
            for other in range(row + 1, row + 1 + after[i]):
                b = account[other]
                # one text that both sent says nothing of how they word theirs
                if text[row] != text[other] and not _of_one(owners, a, b):
                    if count[b] == 0:
                        met[others] = b
                        others += 1
                    count[b] += 1
                    bits[b] |= _ONE << (_32 + _bit(text[row])) | _ONE << _bit(text[other])
        if n + others > len(pair):
            more = len(pair) + others
            pair = np.concatenate((pair, np.empty(more, np.int64)))
            shared = np.concatenate((shared, np.empty(more, np.uint8)))
            phrases = np.concatenate((phrases, np.empty(more, np.int32)))
        for b in met[:others]:
            m = min(_ones(bits[b] >> _32), _ones(bits[b] & _HALF))
            degree[a] += m
            degree[b] += m
            if m >= fewest:
                pair[n], shared[n], phrases[n] = np.int64(a) << 32 | b, m, count[b]
                n += 1
            bits[b], count[b] = 0, 0
    return pair[:n].copy(), shared[:n].copy(), phrases[:n].copy()


@numba.njit(inline="always")
def _of_one(owners: Any, a: int, b: int) -> bool:
    """As `Accounts.one_owner`."""
    owner, org = owners
    return (owner[a] == owner[b] and owner[a] != 0) or (org[a] == org[b] and org[a] != 0)


@numba.njit(inline="always")
def _bit(text: np.uint32) -> np.uint64:
    return (np.uint64(text) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(59)


@numba.njit(inline="always")
def _ones(bits: np.uint64) -> int:
    n = 0
    while bits != 0:
        bits &= bits - _ONE
        n += 1
    return n


def with_phrases(
    habits: Habits, phrases: Phrases, clusters: Clusters, *, members: int, share: float
) -> Habits:
    """Return the habits and, beside them, the phrases that at least so many `members` of a cluster say, and are that `share` of all who do.

    A phrase weighs its share of the text that it was first said in. O(n log n) in what is kept.
    """
    kept = _of_clusters(phrases.offsets, clusters.label[phrases.account], members, share)
    phrase = np.searchsorted(phrases.offsets, kept, side="right") - 1
    token = np.append(habits.token, phrases.token[phrase])
    account = np.append(habits.account, phrases.account[kept])
    order = np.argsort(token << np.uint64(ACCOUNT_BITS) | account.astype(np.uint64), kind="stable")
    # a habit stands before the same as a phrase, and stays
    token, account = token[order], account[order]
    new = np.append(True, (token[1:] != token[:-1]) | (account[1:] != account[:-1]))[: len(token)]
    return Habits(
        token[new],
        account[new],
        np.append(habits.spread, phrases.sizes()[phrase].astype(np.int32))[order][new],
        np.append(habits.weight, 1.0 / phrases.runs[kept])[order][new],
    )


@numba.njit(cache=True, nogil=True)
def _of_clusters(offsets: I64, label: I32, members: int, share: float) -> I64:
    """Return the rows of phrases (their accounts' clusters are `label`, -1: none) that are their cluster's. O(rows times speakers of a phrase)."""
    out, n = np.empty(len(label), np.int64), 0
    for phrase in range(len(offsets) - 1):
        start, end = offsets[phrase], offsets[phrase + 1]
        least = max(float(members), share * (end - start))
        if end - start < least:
            continue
        for row in range(start, end):
            alike = 0
            for other in range(start, end):
                alike += label[other] == label[row]
            if label[row] >= 0 and alike >= least:
                out[n] = row
                n += 1
    return out[:n].copy()
