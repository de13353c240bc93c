"""The published baseline, against every subset of a small graph."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudar import dense_blocks, densest


def density(nodes, edges, weight):
    return sum(weight[k] for k, (a, b) in enumerate(edges) if a in nodes and b in nodes) / len(nodes)


@given(st.sets(st.tuples(st.integers(0, 3), st.integers(4, 7)), min_size=1))
@settings(max_examples=40, deadline=None)
def test_peeling_gives_half_of_the_densest_at_least(edges):
    edges = sorted(edges)
    weight = np.linspace(1, 2, len(edges))
    kept, found = densest(*np.array(edges).T, weight, 8)
    best = max(
        density(set(nodes), edges, weight)
        for size in range(1, 9)
        for nodes in itertools.combinations(range(8), size)
    )
    assert abs(found - density(set(np.flatnonzero(kept).tolist()), edges, weight)) < 1e-9
    assert best / 2 - 1e-9 <= found <= best + 1e-9


def test_a_planted_block_comes_first_and_its_edges_are_gone_after():
    rng = np.random.default_rng(1)
    noise = {
        (int(a), int(b)) for a, b in zip(rng.integers(0, 400, 900), rng.integers(0, 400, 900), strict=True)
    }
    block = set(itertools.product(range(20), range(400, 420)))
    row, column = np.array(sorted(noise | block)).T
    blocks = dense_blocks(row, column, most=3)
    assert blocks[0][0].tolist() == list(range(20))
    assert blocks[0][1].tolist() == list(range(400, 420))
    assert blocks[0][2] > 2 * blocks[1][2]
