"""FRAUDAR (Hooi et al. 2016, algorithm 1 with logarithmic column weights), the published baseline, block after block.

A graph of accounts and tokens is peeled from its least suspicious node; the densest state on the way is a block. The edges of
a block are removed before the next one is looked for, as in the authors' code.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numba
import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]


def dense_blocks(row: I64, column: I64, *, most: int) -> list[tuple[I64, I64, float]]:
    """Return up to `most` blocks (rows, columns, density), densest way first found. Edges are distinct (row, column).

    The density of a block is the weight of its edges, 1 / ln(column degree + 5) each, over its nodes. O(blocks edges log edges).
    """
    blocks = []
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    while len(row) and len(blocks) < most:
        weight = 1.0 / np.log(np.bincount(column, minlength=columns) + 5.0)[column]
        kept, density = densest(row, column + rows, weight, rows + columns)
        inside = kept[row] & kept[column + rows]
        if not inside.any():
            break
        blocks.append((np.unique(row[inside]), np.unique(column[inside]), density))
        row, column = row[~inside], column[~inside]
    return blocks


def densest(
    a: I64, b: I64, weight: npt.NDArray[np.float64], nodes: int
) -> tuple[npt.NDArray[np.bool_], float]:
    """Return the nodes of the densest state when a graph is peeled greedily, and its density: at least half of the best."""
    source, target = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.argsort(source, kind="stable")
    start = np.searchsorted(source[order], np.arange(nodes + 1))
    removed_at, best, density = _peel(start, target[order], np.concatenate([weight, weight])[order])
    return removed_at >= best, density


@numba.njit(cache=True)
def _peel(start: I64, neighbour: I64, weight: npt.NDArray[np.float64]) -> tuple[I64, int, float]:
    """Remove the node of least degree again and again (a binary heap with stale entries); return when each one went."""
    n = len(start) - 1
    degree = np.zeros(n)
    for i in range(n):
        for e in range(start[i], start[i + 1]):
            degree[i] += weight[e]
    removed = np.full(n, -1, np.int64)
    left, total, step = 0, 0.0, 0
    heap = [(0.0, 0)]
    heap.pop()
    for i in range(n):
        if start[i + 1] > start[i]:
            heap.append((degree[i], i))
            left += 1
            total += degree[i] / 2
    heapify(heap)
    best, density = 0, total / max(1, left)
    while left > 1:
        value, i = heappop(heap)
        if removed[i] >= 0 or value > degree[i] + 1e-12:
            continue
        removed[i] = step
        step += 1
        left -= 1
        total -= degree[i]
        for e in range(start[i], start[i + 1]):
            j = neighbour[e]
            if removed[j] < 0:
                degree[j] -= weight[e]
                heappush(heap, (degree[j], j))
        if total / left > density:
            best, density = step, total / left
    for i in range(n):
        if removed[i] < 0 and start[i + 1] > start[i]:
            removed[i] = step
    return removed, best, density
