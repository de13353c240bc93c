"""Which exchanges hold their cluster's wrapper: the tokens that several members repeat and few others do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from excise.detect.habits import account_chunks, columns_of, flat
from excise.detect.pivot import HOUR
from excise.detect.repeats import find_key, hash_index, pack_key, passes, sieve_of
from excise.engine.compiled import inlined, uncounted
from excise.engine.embedded import map_ordered
from excise.engine.memory import forget
from excise.model.clusters import WRAPPED, Clusters
from excise.model.tables import F64, I32, I64, U64, Habits, Traffic

Held = tuple[I32, U64]
"""For each exchange, how many tokens of its cluster it holds, and a hash of which."""
ITEMS: Final = "public items"
"""Name of what `public_items` says (`Traffic.ask`)."""
SHARE_OF_CLUSTER: Final = 0.3
"""Of the members: a token that so many repeat is the cluster's, whoever else uses it."""
_CLUSTER: Final = np.uint64(0xFFFFFF)
_PAIRS: Final = 1 << 15
"""Accounts that are looked at in one piece."""


def match(
    traffic: Traffic,
    clusters: Clusters,
    *,
    share_inside: float,
    share_of_cluster: float = SHARE_OF_CLUSTER,
    held: Held | None = None,
    threads: int = 1,
) -> Clusters:
    """Return the clusters with `matched` and `wrapper` filled from both prompts of each exchange.

    A cluster's tokens are those that two and more members repeat, where members are at least `share_inside` of the token's
    users or the token is repeated by at least `share_of_cluster` of the members. `held`: what `match_rows` says, if that is known.
    """
    tokens = cluster_tokens(traffic.habits, clusters, share_inside, share_of_cluster)
    matched, wrapper = held or match_rows(traffic, tokens, clusters.label, threads)
    filled = replace(clusters, matched=matched, wrapper=wrapper)
    return replace(filled, items=traffic.ask(ITEMS, lambda: public_items(traffic, filled)))


def match_rows(traffic: Traffic, tokens: U64, label: I32, threads: int = 1) -> Held:
    """Return, for each exchange, how many `tokens` of its account's cluster it holds, and a hash of which."""
    e, prompt = traffic.exchanges, flat(traffic.systems)
    matched, wrapper = np.zeros(len(e), np.int32), np.zeros(len(e), np.uint64)
    index = tokens, hash_index(tokens), sieve_of(tokens)

    def count(rows: slice) -> None:
        account, system, user = columns_of(e, rows)
        _match_rows(index, label[account], system, user, prompt, matched[rows], wrapper[rows])

    for _ in map_ordered(count, account_chunks(e), threads=threads):
        forget(e)
    return matched, wrapper


def count_users(
    traffic: Traffic, clusters: Clusters, account: I32, cluster: I32, *, share_inside: float, threads: int = 1
) -> I64:
    """Return, for each of these accounts, how many exchanges hold wrapper enough of the cluster beside it, which it is not in.

    Only tokens of which the cluster's members are at least `share_inside` of the users count. Linear in the accounts' exchanges.
    """
    tokens = cluster_tokens(traffic.habits, clusters, share_inside, np.inf)
    return count_uses(traffic, tokens, account, cluster, threads)


def count_uses(traffic: Traffic, tokens: U64, account: I32, cluster: I32, threads: int = 1) -> I64:
    """Return, for each of these accounts, how many of its exchanges hold enough of the cluster's `tokens` (`cluster_tokens`)."""
    e, starts, prompt = traffic.exchanges, traffic.accounts.starts, flat(traffic.systems)
    index, out = (tokens, hash_index(tokens), sieve_of(tokens)), np.zeros(len(account), np.int64)
    _, system, user = columns_of(e, slice(0, len(e)))

    def count(start: int) -> None:
        pairs = slice(start, start + _PAIRS)
        _count_uses(index, account[pairs], cluster[pairs], starts, system, user, prompt, out[pairs])

    for _ in map_ordered(count, range(0, len(account), _PAIRS), threads=threads):
        forget(e)
    return out


def public_items(traffic: Traffic, clusters: Clusters) -> F64:
    """Share of each cluster's wrapped exchanges whose text another member sends too, more than a day apart."""
    e = traffic.exchanges
    rows = clusters.wrapped_rows(e)
    label = clusters.label[e.account[rows]]
    order = np.lexsort((e.doc[rows], label))
    rows, label = rows[order], label[order]
    doc, who, when = e.doc[rows], e.account[rows], e.at[rows]
    start = (
        np.flatnonzero(np.append(True, (doc[1:] != doc[:-1]) | (label[1:] != label[:-1])))
        if len(rows)
        else rows
    )
    if not len(start):
        return np.zeros(len(clusters))
    size = np.diff(np.append(start, len(rows)))
    several = np.minimum.reduceat(who, start) != np.maximum.reduceat(who, start)
    apart = np.maximum.reduceat(when, start) - np.minimum.reduceat(when, start) > 24 * HOUR
    again = np.bincount(label[start], weights=size * (several & apart), minlength=len(clusters))
    return again / np.maximum(np.bincount(label, minlength=len(clusters)), 1)


def cluster_tokens(
    habits: Habits, clusters: Clusters, share_inside: float, share_of_cluster: float = SHARE_OF_CLUSTER
) -> U64:
    """Return packed (token, cluster) keys of what two and more members repeat (`match`)."""
    label = clusters.label[habits.account]
    kept = label >= 0
    key = habits.token[kept] << np.uint64(24) | label[kept].astype(np.uint64)
    order = np.argsort(key, kind="stable")
    spread = habits.spread[kept][order]
    key, first, count = np.unique(key[order], return_index=True, return_counts=True)
    size = clusters.sizes()[(key & _CLUSTER).astype(np.int64)]
    mine = (count >= 2) & ((count >= share_inside * spread[first]) | (count >= share_of_cluster * size))
    return np.asarray(key[mine], np.uint64)


@uncounted
def _match_rows(
    tokens: Any, label: I32, system: I32, user: Any, prompt: Any, matched: I32, wrapper: U64
) -> None:
    of, cluster, held, mark = (
        -1,
        -1,
        0,
        np.uint64(0),
    )  # what the prompt of the row before holds: often that of the next
    for row in range(len(label)):
        if label[row] < 0:
            continue
        if system[row] != of or label[row] != cluster:
            of, cluster = system[row], label[row]
            held, mark = _match(tokens, prompt, np.int64(of), np.uint64(cluster))
        n, mine = _match(tokens, user, row, np.uint64(cluster))
        matched[row], wrapper[row] = n + held, mine + mark


@uncounted
def _count_uses(
    tokens: Any, account: I32, cluster: I32, starts: I64, system: I32, user: Any, prompt: Any, uses: I64
) -> None:
    for i in range(len(account)):
        of, held, wanted = -1, 0, np.uint64(cluster[i])
        for row in range(starts[account[i]], starts[account[i] + 1]):
            if system[row] != of:
                of = system[row]
                held, _ = _match(tokens, prompt, np.int64(of), wanted)
            n, _ = _match(tokens, user, row, wanted)
            uses[i] += n + held >= WRAPPED


@uncounted
def _match(tokens: Any, lists: Any, row: int, cluster: np.uint64) -> tuple[int, np.uint64]:
    """How many tokens of a cluster a prompt (-1: none) holds, and a hash of which."""
    if row < 0:
        return 0, np.uint64(0)
    a, mark_a = _match_list(tokens, lists[0], lists[1], row, cluster)
    b, mark_b = _match_list(tokens, lists[2], lists[3], row, cluster)
    return a + b, mark_a + mark_b


@inlined
def _match_list(
    tokens: Any, offsets: I64, values: U64, row: int, cluster: np.uint64
) -> tuple[int, np.uint64]:
    n, mark = 0, np.uint64(0)
    key, table, sieve = tokens
    for i in range(offsets[row], offsets[row + 1]):
        wanted = pack_key(values[i], cluster)
        if passes(sieve, wanted) and find_key(key, table, wanted) >= 0:
            n += 1
            mark += (wanted ^ (wanted >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return n, mark
