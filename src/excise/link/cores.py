"""Dense cores of communities: accounts that are all tied to each other, without the strangers that hang on to some of them.

Users of a published template hang on to a campaign that uses it, since its accounts know many variants of it; but they
are hardly tied among themselves. A community is therefore peeled to its core, and what is left is looked at again.
"""

from __future__ import annotations

import heapq
from typing import Final

import numba
import numpy as np

from excise.link.communities import adjacency, find_communities
from excise.link.cutting import cut_until_none
from excise.model.tables import F64, I64, Bool

_EQUAL: Final = 1e-9
"""Surpluses this close are equal: sums of the same weights in another order."""

_LEAST: Final = 2
"""Accounts of a core: one alone is none."""


def peel(label: I64, a: I64, b: I64, weight: F64, *, firm: Bool, least_density: float) -> I64:
    """Return the labels with each community cut into its core, the core of the rest, and so on. Edges as in `find_communities`.

    `firm`: edges that no published text explains: who has one to the core stays with it. O(m log m) in a community's edges a round; a round takes at least two accounts off.
    """

    def look(edges: I64, x: I64, y: I64, whole: I64) -> tuple[Bool, I64, Bool]:
        core = dense_core(len(whole), x, y, weight[edges], least_density, whole)
        core = _with_firmly_tied(core, x, y, firm[edges])
        cores, size = np.bincount(whole[core], minlength=int(whole.max()) + 1), np.bincount(whole)
        cut = (cores >= _LEAST) & (cores < size)
        rest = ~core[x] & ~core[y] & cut[whole[x]]
        part = find_communities(
            len(whole), x[rest], y[rest], weight[edges][rest], resolution=1.0, whole=whole
        )
        return cut, np.where(core, 0, part + 1), rest & (part[x] == part[y])

    return cut_until_none(label, a, b, look)


def _with_firmly_tied(core: Bool, x: I64, y: I64, firm: Bool) -> Bool:
    """Add the nodes that a firm edge ties to the core, and those tied to these."""
    while True:
        more = core.copy()
        more[x[firm & core[y]]] = True
        more[y[firm & core[x]]] = True
        if np.array_equal(more, core):
            return core
        core = more


def dense_core(
    nodes: int, a: I64, b: I64, weight: F64, least_density: float, whole: I64 | None = None
) -> Bool:
    """Return the nodes of the part with the largest edge surplus, its weight - least_density * its pairs.

    Greedy peeling of the loosest node (Charikar 2000), with the surplus of Tsourakakis et al. 2013, "Denser than the densest
    subgraph", section 4. `least_density`: mean weight of a pair from which a part is denser for having it. Ties go to the
    first node. `whole`: the graph of each node, as in `find_communities`: each has a core of its own. O(m log m).
    """
    whole = np.zeros(nodes, np.int64) if whole is None else whole
    taken, surplus = _peel_all(*adjacency(nodes, a, b, weight), least_density, whole)
    of = whole[taken]
    most = np.full(int(whole.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(most, of, surplus)
    good = np.flatnonzero(surplus >= most[of] - _EQUAL)[::-1]
    first = np.empty(len(most), np.int64)
    first[of[good]] = good  # the first of a graph is written last
    kept = np.empty(nodes, np.bool_)
    kept[taken] = np.arange(nodes) >= first[of]
    return kept


@numba.njit(cache=True, nogil=True)
def _peel_all(start: I64, neighbour: I64, value: F64, density: float, whole: I64) -> tuple[I64, F64]:
    """Return the nodes in the order in which they are taken off, and the surplus of their graph before each."""
    n = len(start) - 1
    graphs = whole.max() + 1 if n else 0
    degree, total, left = np.zeros(n), np.zeros(graphs), np.zeros(graphs, np.int64)
    for i in range(n):
        for e in range(start[i], start[i + 1]):
            degree[i] += value[e]
        total[whole[i]] += degree[i]
        left[whole[i]] += 1
    total /= 2.0
    heap = [(degree[i], i) for i in range(n)]
    heapq.heapify(heap)
    alive = np.ones(n, np.bool_)
    taken, surplus, count = np.empty(n, np.int64), np.empty(n), 0
    while count < n:
        d, i = heapq.heappop(heap)
        if not alive[i] or d > degree[i]:
            continue
        k = whole[i]
        surplus[count] = total[k] - density * left[k] * (left[k] - 1) / 2.0
        taken[count] = i
        count += 1
        alive[i] = False
        left[k] -= 1
        total[k] -= degree[i]
        for e in range(start[i], start[i + 1]):
            j = neighbour[e]
            if alive[j]:
                degree[j] -= value[e]
                heapq.heappush(heap, (degree[j], j))
    return taken, surplus
