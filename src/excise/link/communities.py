"""Communities of a weighted graph: the Louvain method (Blondel et al. 2008) with a resolution (Reichardt and Bornholdt 2006).

Own code, since the well-kept implementations are GPL or bring a compiler's worth of dependencies; deterministic:
nodes are visited in their order, ties go to the smaller community.
"""

from __future__ import annotations

import numba
import numpy as np

from excise.model.tables import F64, I64


def find_communities(
    nodes: int, a: I64, b: I64, weight: F64, *, resolution: float, whole: I64 | None = None
) -> I64:
    """Return a community number for each node, by first member. Edges a-b (a != b, each once) with positive weights.

    `whole`: the graph of each node, where there are several without an edge between them: each is looked at as if alone.
    Near-linear in the edges: a pass moves each node at most once, and a level ends after at most 32 passes.
    """
    label = np.arange(nodes, dtype=np.int64)
    whole = np.zeros(nodes, np.int64) if whole is None else whole
    loops = np.zeros(nodes, np.float64)
    while len(a):
        local = _move(*adjacency(len(whole), a, b, weight), loops, resolution, whole)
        distinct, local = _numbered(local, len(whole))
        label = local[label]
        before, whole = np.bincount(whole), whole[distinct]
        going = (np.bincount(whole, minlength=len(before)) < before)[whole[local[a]]]
        a, b, weight, loops = _contract(local, len(whole), a[going], b[going], weight[going], loops)
    return by_first_member(label)


def _numbered(label: I64, most: int) -> tuple[I64, I64]:
    """Return the distinct labels, ascending and below `most`, and each label's place among them."""
    there = np.zeros(most, np.bool_)
    there[label] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[label]


def adjacency(nodes: int, a: I64, b: I64, weight: F64) -> tuple[I64, I64, F64]:
    """Return, for edges in both directions by source, then target: where each node's begin, their targets and weights."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.argsort(
        low * nodes + high, kind="stable"
    )  # mostly they are in order, which this is quick to see
    return _both_ways(nodes, low[order], high[order], weight[order])


@numba.njit(cache=True, nogil=True)
def _both_ways(nodes: int, low: I64, high: I64, weight: F64) -> tuple[I64, I64, F64]:
    """Put every node's neighbours together: first those below it, then those above, each ascending as the edges are."""
    start = np.zeros(nodes + 1, np.int64)
    for i in range(len(low)):
        start[low[i] + 1] += 1
        start[high[i] + 1] += 1
    start = np.cumsum(start)
    free, target, value = start[:-1].copy(), np.empty(2 * len(low), np.int64), np.empty(2 * len(low))
    for i in range(len(low)):
        target[free[high[i]]], value[free[high[i]]] = low[i], weight[i]
        free[high[i]] += 1
    for i in range(len(low)):
        target[free[low[i]]], value[free[low[i]]] = high[i], weight[i]
        free[low[i]] += 1
    return start, target, value


@numba.njit(cache=True, nogil=True)
def _move(start: I64, neighbour: I64, value: F64, loops: F64, resolution: float, whole: I64) -> I64:
    """Move nodes to the neighbouring community with the largest gain in modularity until none of its graph moves."""
    n = len(start) - 1
    degree = loops * 2.0
    for i in range(n):
        for e in range(start[i], start[i + 1]):
            degree[i] += value[e]
    total = np.zeros(whole.max() + 1)
    for i in range(n):
        total[whole[i]] += degree[i]
    community = np.arange(n)
    mass = degree.copy()
    link = np.zeros(n)
    touched = np.empty(n, np.int64)
    going = total > 0.0
    for _ in range(32):
        moved = np.zeros(len(total), np.bool_)
        for i in range(n):
            if not going[whole[i]]:
                continue
            count = 0
            own = community[i]
            for e in range(start[i], start[i + 1]):
                c = community[neighbour[e]]
                if link[c] == 0.0:
                    touched[count] = c
                    count += 1
                link[c] += value[e]
            mass[own] -= degree[i]
            part = resolution * degree[i]
            best, gain = own, link[own] - part * mass[own] / total[whole[i]]
            for k in range(count):
                c = touched[k]
                g = link[c] - part * mass[c] / total[whole[i]]
                if g > gain + 1e-12 or (g > gain - 1e-12 and c < best and g > 0.0 and best != own):
                    best, gain = c, g
            for k in range(count):
                link[touched[k]] = 0.0
            mass[best] += degree[i]
            if best != own:
                community[i] = best
                moved[whole[i]] = True
        going = moved
        if not moved.any():
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
    """Return the labels (0 and above) numbered from 0 in the order of their first members."""
    first = np.empty(int(label.max(initial=-1)) + 1, np.int64)
    first[label[::-1]] = np.arange(len(label))[::-1]  # the first member is written last
    begins = np.zeros(len(label), np.bool_)
    begins[first[label]] = True
    return (np.cumsum(begins) - 1)[first[label]]
