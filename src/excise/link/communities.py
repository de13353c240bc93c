"""Communities of a weighted graph: the Louvain method (Blondel et al. 2008) with a resolution (Reichardt and Bornholdt 2006).

Own code, since the well-kept implementations are GPL or bring a compiler's worth of dependencies; deterministic:
nodes are visited in their order, ties go to the smaller community.
"""

from __future__ import annotations

import numba
import numpy as np

from excise.model.tables import F64, I64


def find_communities(nodes: int, a: I64, b: I64, weight: F64, *, resolution: float) -> I64:
    """Return a community number for each node, by first member. Edges a-b (a != b, each once) with positive weights.

    Near-linear in the edges: a pass moves each node at most once, and a level ends after at most 32 passes.
    """
    label = np.arange(nodes, dtype=np.int64)
    current = nodes
    loops = np.zeros(nodes, np.float64)
    while len(a):
        start, neighbour, value = _adjacency(current, a, b, weight)
        local = _move(start, neighbour, value, loops, resolution)
        distinct, local = np.unique(local, return_inverse=True)
        label = local[label]
        if len(distinct) == current:
            break
        a, b, weight, loops = _contract(local, len(distinct), a, b, weight, loops)
        current = len(distinct)
    return by_first_member(label)


def _adjacency(nodes: int, a: I64, b: I64, weight: F64) -> tuple[I64, I64, F64]:
    source, target = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.lexsort((target, source))
    start = np.searchsorted(source[order], np.arange(nodes + 1)).astype(np.int64)
    return start, target[order], np.concatenate([weight, weight])[order]


@numba.njit(cache=True, nogil=True)
def _move(start: I64, neighbour: I64, value: F64, loops: F64, resolution: float) -> I64:
    """Move nodes to the neighbouring community with the largest gain in modularity until none moves."""
    n = len(start) - 1
    degree = loops * 2.0
    for i in range(n):
        for e in range(start[i], start[i + 1]):
            degree[i] += value[e]
    total = degree.sum()
    community = np.arange(n)
    mass = degree.copy()
    link = np.zeros(n)
    touched = np.empty(n, np.int64)
    for _ in range(32):
        moved = False
        for i in range(n):
            count = 0
            own = community[i]
            for e in range(start[i], start[i + 1]):
                c = community[neighbour[e]]
                if link[c] == 0.0:
                    touched[count] = c
                    count += 1
                link[c] += value[e]
            mass[own] -= degree[i]
            best, gain = own, link[own] - resolution * degree[i] * mass[own] / total
            for k in range(count):
                c = touched[k]
                g = link[c] - resolution * degree[i] * mass[c] / total
                if g > gain + 1e-12 or (g > gain - 1e-12 and c < best and g > 0.0 and best != own):
                    best, gain = c, g
            for k in range(count):
                link[touched[k]] = 0.0
            mass[best] += degree[i]
            if best != own:
                community[i] = best
                moved = True
        if not moved:
            break
    return community


def _contract(local: I64, count: int, a: I64, b: I64, weight: F64, loops: F64) -> tuple[I64, I64, F64, F64]:
    inner = np.bincount(local, weights=loops, minlength=count)
    low, high = np.minimum(local[a], local[b]), np.maximum(local[a], local[b])
    inside = low == high
    inner += np.bincount(low[inside], weights=weight[inside], minlength=count)
    key, where = np.unique(low[~inside] * count + high[~inside], return_inverse=True)
    return key // count, key % count, np.bincount(where, weights=weight[~inside], minlength=len(key)), inner


def by_first_member(label: I64) -> I64:
    """Return the labels numbered from 0 in the order of their first members."""
    _, first, where = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[where].astype(np.int64)
