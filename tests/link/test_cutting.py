"""All communities of a round are cut at once, with the same result and numbers as one after the other."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.link.communities import find_communities
from excise.link.cores import _with_firmly_tied, dense_core, peel
from excise.link.linker import modularity, split_loose


def groups(label, a, edges, least):
    """Edges of each label, ascending."""
    mine = label[a[edges]]
    found = [edges[mine == k] for k in sorted(set(mine.tolist()))]
    return [g for g in found if len(g) >= least]


def one_after_the_other(label, a, b, least, look):
    label, free = label.copy(), int(label.max()) + 1
    queue = groups(label, a, np.flatnonzero(label[a] == label[b]), least)
    while queue:
        edges = queue.pop()
        nodes, ends = np.unique(np.concatenate([a[edges], b[edges]]), return_inverse=True)
        x, y = ends[: len(edges)], ends[len(edges) :]
        part, again = look(edges, len(nodes), x, y)
        if part is None:
            continue
        label[nodes] = free + part
        free += int(part.max()) + 1
        queue += groups(label, a, edges[again], least)
    return np.unique(label, return_inverse=True)[1]


graphs = st.tuples(
    st.lists(st.integers(0, 2), min_size=4, max_size=30),
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29), st.integers(1, 9)), min_size=1, max_size=90),
    st.lists(st.booleans(), min_size=90, max_size=90),
)


@settings(max_examples=80, deadline=None)
@given(graphs, st.floats(0.05, 0.4), st.floats(0.1, 4.0))
def test_a_round_cuts_and_numbers_as_if_communities_were_cut_one_after_the_other(graph, least, density):
    label, pairs, firm = graph
    label, n = np.array(label), len(label)
    weights = {(min(i, j), max(i, j)): w for i, j, w in pairs if i != j and max(i, j) < n}
    a, b = np.array(sorted(weights), np.int64).reshape(-1, 2).T
    weight, firm = np.array([float(weights[p]) for p in sorted(weights)]), np.array(firm)[: len(a)]

    def loose(edges, nodes, x, y):
        part = find_communities(nodes, x, y, weight[edges], resolution=1.0)
        cut = part.max() > 0 and modularity(part, x, y, weight[edges]) >= least
        return part if cut else None, part[x] == part[y]

    def cored(edges, nodes, x, y):
        core = _with_firmly_tied(dense_core(nodes, x, y, weight[edges], density), x, y, firm[edges])
        rest = ~core[x] & ~core[y]
        part = find_communities(nodes, x[rest], y[rest], weight[edges][rest], resolution=1.0)
        cut = 2 <= core.sum() < nodes
        return np.where(core, 0, part + 1) if cut else None, rest & (part[x] == part[y])

    split = split_loose(label, a, b, weight, least_modularity=least)
    assert np.array_equal(split, one_after_the_other(label, a, b, 3, loose))
    peeled = peel(label, a, b, weight, firm=firm, least_density=density)
    assert np.array_equal(peeled, one_after_the_other(label, a, b, 1, cored))
