"""Clusters of any accounts that hold tokens, in layers: the linking engine without a scan around it.

A token is whatever two accounts can have in common: a counterparty of money, a link that they post, a wrapper, a device.
Nobody says which tokens are hubs: each is worth what it is rare, so that a hub is worth nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numba
import numpy as np

from excise.link.linker import LinkSettings, link
from excise.link.nearness import NearSettings, tie_near
from excise.model.clusters import Clusters, Ties
from excise.model.findings import Layer
from excise.model.tables import F64, I32, I64, U64, Accounts


@dataclass(frozen=True, slots=True)
class Holdings:
    """One layer of a table: row i says that account `account[i]` (0 to accounts - 1) held `token[i]`, at time `at[i]`.

    Two accounts meet at a token when they held it at most `window` apart, in units of `at`; without times, whenever they held it.
    `most`: accounts at one token within a window, above which it ties nobody. `least`: meetings that a tie needs.
    """

    account: I32
    token: U64 | I64
    at: I64 | None = None
    window: int = 0
    most: int = 100
    least: int = 1
    layer: Layer = "account"


@dataclass(frozen=True, slots=True)
class Table:
    """Accounts with tokens in named layers and, where known, two numbers each whose closeness tells (`numbers`).

    Numbers may be a time of sign-up and a volume: any two that are unrelated among strangers.
    """

    accounts: int
    layers: Mapping[str, Holdings]
    numbers: tuple[F64, F64] | None = None


@dataclass(frozen=True, slots=True)
class TableSettings:
    """Of the ties by closeness (`near`) and of the clusters (`link`).

    A scan's settings but for two: the ties of a table are sparse, so its graphs are trees and chains, whose modularity is high
    by chance (Guimera, Sales-Pardo and Amaral 2004), and no community is cut for having some.
    """

    near: NearSettings = field(default_factory=NearSettings)
    link: LinkSettings = field(
        default_factory=lambda: LinkSettings(split_modularity=1.0, whole_modularity=1.0)
    )


def link_table(table: Table, settings: TableSettings | None = None) -> Clusters:
    """Return the clusters of two and more accounts of a table. Codes of accounts are their numbers in the table."""
    settings = settings or TableSettings()
    ties = [meet(name, held, table.accounts) for name, held in table.layers.items()]
    if table.numbers is not None:
        ties.append(tie_near(*table.numbers, settings.near))
    return link(ties, unknown_accounts(table.accounts), settings.link)


def meet(name: str, held: Holdings, accounts: int) -> Ties:
    """Tie accounts that meet at tokens: a meeting is worth ln(accounts / holders of the token within the window), in nats.

    The weights of a pair's meetings add up. O(rows x `most`).
    """
    at = np.zeros(len(held.account), np.int64) if held.at is None else held.at
    rows = np.unique(
        np.stack([held.token.astype(np.int64), at, held.account.astype(np.int64)], axis=1), axis=0
    )
    present = _holders(rows[:, 0], rows[:, 1], held.window)
    a, b, holders = _meetings(rows[:, 0], rows[:, 1], rows[:, 2], present, held.window, held.most)
    key, where, count = np.unique((a << 32) | b, return_inverse=True, return_counts=True)
    weight = np.bincount(where, weights=np.log(accounts / holders), minlength=len(key))
    kept = count >= held.least
    key = key[kept]
    return Ties(
        name,
        held.layer,
        (key >> 32).astype(np.int32),
        (key & 0xFFFFFFFF).astype(np.int32),
        weight[kept],
        alone=True,
    )


@numba.njit(cache=True, nogil=True)
def _holders(token: I64, at: I64, window: int) -> I64:
    """Return, for each row, how many rows of its token lie within the window around it (itself included)."""
    out = np.empty(len(token), np.int64)
    low, high = 0, 0
    for i in range(len(token)):
        while token[low] != token[i] or at[low] < at[i] - window:
            low += 1
        high = max(high, i)
        while high < len(token) and token[high] == token[i] and at[high] <= at[i] + window:
            high += 1
        out[i] = high - low
    return out


@numba.njit(cache=True, nogil=True)
def _meetings(
    token: I64, at: I64, account: I64, present: I64, window: int, most: int
) -> tuple[I64, I64, I64]:
    """Return, for each two rows of one token within the window, their accounts (a < b) and the larger number of holders."""
    a, b, holders = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
    for write in (False, True):
        n = 0
        for i in range(len(token)):
            if present[i] > most:
                continue
            j = i + 1
            while j < len(token) and token[j] == token[i] and at[j] - at[i] <= window:
                if account[j] != account[i] and present[j] <= most:
                    if write:
                        a[n], b[n] = min(account[i], account[j]), max(account[i], account[j])
                        holders[n] = max(present[i], present[j])
                    n += 1
                j += 1
        if not write:
            a, b, holders = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    return a, b, holders


def unknown_accounts(count: int, names: Sequence[str] = ()) -> Accounts:
    """Return accounts of which nothing is known but, where given, their names."""
    none, no = np.zeros(count, np.uint64), np.zeros(count, np.uint8)
    return Accounts(
        name=np.array(names or [str(i) for i in range(count)], object),
        hash=np.arange(1, count + 1, dtype=np.uint64),
        starts=np.arange(count + 1, dtype=np.int64),
        created=np.zeros(count, np.int64),
        org=none, owner=none, mail=none, payment=none, signup_ip=none, signup_net=none, programme=none,
        verified=no, declared=no,
    )  # fmt: skip
