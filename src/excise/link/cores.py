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
from excise.model.tables import F64, I64, Bool

_EQUAL: Final = 1e-9
"""Surpluses this close are equal: sums of the same weights in another order."""


def peel(label: I64, a: I64, b: I64, weight: F64, *, firm: Bool, least_density: float) -> I64:
    """Return the labels with each community cut into its core, the core of the rest, and so on. Edges as in `find_communities`.

    `firm`: edges that no published text explains: who has one to the core stays with it. O(m log m) in a community's edges a round; a round takes at least two accounts off.
    """
    label = label.copy()
    inside = np.flatnonzero(label[a] == label[b])
    cut = _are_cut(label, a[inside], b[inside], weight[inside], firm[inside], least_density)
    queue = _by_label(label, a, inside[cut[label[a[inside]]]])
    free = int(label.max(initial=-1)) + 1
    while queue:
        edges = queue.pop()
        nodes, ends = np.unique(np.concatenate([a[edges], b[edges]]), return_inverse=True)
        x, y = ends[: len(edges)], ends[len(edges) :]
        core = dense_core(len(nodes), x, y, weight[edges], least_density)
        core = _with_firmly_tied(core, x, y, firm[edges])
        if core.all() or core.sum() < 2:
            continue
        label[nodes[core]] = free
        rest = ~core[x] & ~core[y]
        part = find_communities(len(nodes), x[rest], y[rest], weight[edges][rest], resolution=1.0)
        label[nodes[~core]] = free + 1 + part[~core]
        free += 2 + int(part.max())
        left = edges[rest]
        queue += _by_label(label, a, left[label[a[left]] == label[b[left]]])
    return np.unique(label, return_inverse=True)[1]


def _are_cut(label: I64, a: I64, b: I64, weight: F64, firm: Bool, least_density: float) -> Bool:
    """Return, for each label, whether its core is only a part of it: few are cut, and only those are looked at one by one."""
    nodes, ends = np.unique(np.concatenate([a, b]), return_inverse=True)
    x, y, whole = ends[: len(a)], ends[len(a) :], label[nodes]
    core = _with_firmly_tied(dense_core(len(nodes), x, y, weight, least_density, whole), x, y, firm)
    size = int(label.max(initial=-1)) + 1
    cores = np.bincount(whole[core], minlength=size)
    return np.asarray((cores >= 2) & (cores < np.bincount(whole, minlength=size)), np.bool_)


def _with_firmly_tied(core: Bool, x: I64, y: I64, firm: Bool) -> Bool:
    """Add the nodes that a firm edge ties to the core, and those tied to these."""
    while True:
        more = core.copy()
        more[x[firm & core[y]]] = True
        more[y[firm & core[x]]] = True
        if np.array_equal(more, core):
            return core
        core = more


def _by_label(label: I64, a: I64, edges: I64) -> list[I64]:
    """Split edges, whose ends have one label, by it."""
    edges = edges[np.argsort(label[a[edges]], kind="stable")]
    found = label[a[edges]]
    return [g for g in np.split(edges, np.flatnonzero(found[1:] != found[:-1]) + 1) if len(g)]


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
