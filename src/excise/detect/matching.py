"""Which exchanges hold their cluster's wrapper: the tokens that several members repeat and few others do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np

from excise.detect.habits import Habits, hash_index
from excise.model.clusters import Clusters
from excise.model.tables import I32, I64, U64, Traffic


@dataclass(frozen=True, slots=True)
class ClusterTokens:
    """Sorted (token, cluster) keys, packed like habits: the tokens of each cluster's wrapper."""

    key: U64


def cluster_tokens(habits: Habits, clusters: Clusters, *, share_inside: float) -> ClusterTokens:
    """Return tokens that two and more members repeat, where members are at least `share_inside` of the token's users, or most members."""
    label = clusters.label[habits.account()]
    kept = label >= 0
    key = habits.token()[kept] << np.uint64(24) | label[kept].astype(np.uint64)
    order = np.argsort(key, kind="stable")
    spread = habits.spread[kept][order]
    key, first, count = np.unique(key[order], return_index=True, return_counts=True)
    size = clusters.sizes()[(key & np.uint64(0xFFFFFF)).astype(np.int64)]
    mine = (count >= 2) & ((count >= share_inside * spread[first]) | (count >= 0.3 * size))  # noqa: PLR2004
    return ClusterTokens(key[mine])


def match(traffic: Traffic, clusters: Clusters, tokens: ClusterTokens) -> Clusters:
    """Return the clusters with `matched` and `wrapper` filled from both prompts of each exchange."""
    e, s = traffic.exchanges, traffic.systems
    matched, wrapper = np.zeros(len(e), np.int32), np.zeros(len(e), np.uint64)
    _count(
        tokens.key, hash_index(tokens.key), clusters.label[e.account].astype(np.int64), e.system.astype(np.int64),
        e.shingles.offsets, e.shingles.values, s.shingles.offsets, s.shingles.values, matched, wrapper,
    )  # fmt: skip
    return replace(clusters, matched=matched, wrapper=wrapper)


@numba.njit(cache=True, nogil=True)
def _count(
    key: U64, table: I64, label: I64, system: I64, user_start: I64, user: U64, system_start: I64, prompt: U64, out: I32, wrapper: U64
) -> None:
    mask = np.uint64(len(table) - 1)
    for row in range(len(label)):
        if label[row] < 0:
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
                token = (user[i] if part == 0 else prompt[i]) * np.uint64(0x9E3779B97F4A7C15)
                wanted = token >> np.uint64(24) << np.uint64(24) | np.uint64(label[row])
                slot = (wanted * np.uint64(0xD6E8FEB86659FD93)) >> np.uint64(20) & mask
                while table[slot] >= 0:
                    if key[table[slot]] == wanted:
                        n += 1
                        wrapper[row] += (wanted ^ (wanted >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
                        break
                    slot = (slot + np.uint64(1)) & mask
        out[row] = n
