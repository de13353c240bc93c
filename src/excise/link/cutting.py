"""Cut communities until none is cut any more: those of a round at once, numbered as if one were cut after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from excise.model.tables import I64, Bool

Look = Callable[[I64, I64, I64, I64], tuple[Bool, I64, Bool]]
"""Of edges (positions), their ends among the nodes (x, y) and the community of each node: which communities are cut, the part of each node in
the order in which parts are numbered, and which edges are looked at again (one number for their ends, and no other part's)."""


def cut_until_none(label: I64, a: I64, b: I64, look: Look) -> I64:
    """Return the labels after all cuts, from 0. The last community is cut first, then the last of its parts, before its neighbours."""
    edges = np.flatnonzero(label[a] == label[b])
    number, past = label, len(label) + int(label.max(initial=-1)) + 2
    order: list[
        I64
    ] = []  # of a node by each round: parts that are left alone first, then those that are cut, the last before
    while len(edges):
        ended = np.zeros(len(label), np.bool_)
        ended[a[edges]] = ended[b[edges]] = True
        nodes, place = np.flatnonzero(ended), np.cumsum(ended) - 1
        x, y = place[a[edges]], place[b[edges]]
        cut, part, again = look(edges, x, y, number[nodes])
        mine = cut[number[nodes]]
        going = np.zeros(len(label), np.bool_)
        going[nodes[mine]] = True
        order.append(np.where(going, past - number, number - past))
        number = np.zeros(len(label), np.int64)
        number[nodes[mine]] = part[mine]
        edges = edges[mine[x] & again]
    label = label.copy()
    if order:
        parts = np.flatnonzero(order[0] > 0)
        places = np.stack([number[parts], *(each[parts] for each in reversed(order))])
        by_place = np.lexsort(places)
        new = (places[:, by_place[1:]] != places[:, by_place[:-1]]).any(axis=0)
        label[parts[by_place]] = past + np.append(0, np.cumsum(new))[: len(parts)]
    return np.unique(label, return_inverse=True)[1]
