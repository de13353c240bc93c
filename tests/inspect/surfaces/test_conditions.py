"""A condition is a gate if every way in which it is true goes through one."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.inspect.surfaces.conditions import holds_on_every_way

ATOMS = st.sampled_from(["gate", "a", "b", "contains(a, 'x || gate')"])
TREES = st.recursive(
    ATOMS, lambda inner: st.tuples(st.sampled_from(["||", "&&"]), inner, inner), max_leaves=6
)


def written(tree):
    if isinstance(tree, str):
        return tree
    return f"({written(tree[1])} {tree[0]} {written(tree[2])})"


def true(tree, values):
    if isinstance(tree, str):
        return values[tree]
    results = [true(tree[1], values), true(tree[2], values)]
    return any(results) if tree[0] == "||" else all(results)


@given(TREES)
def test_it_is_what_the_slow_definition_says(tree):
    """No assignment makes the whole true while the gate is shut."""
    names = ("a", "b", "contains(a, 'x || gate')")
    ways = [
        dict(zip(names, values, strict=True)) | {"gate": False} for values in product([False, True], repeat=3)
    ]
    assert holds_on_every_way(written(tree), lambda part: part.strip() == "gate") == (
        not any(true(tree, w) for w in ways)
    )


@pytest.mark.parametrize(
    "text", ["", "gate)", "(" * 5_000, "gate " + "|| a" * 3_000, "${{ a }}", "'", "&&", "!(gate)"]
)
def test_what_is_not_understood_is_no_gate(text):
    assert not holds_on_every_way(text, lambda part: part.strip() == "gate")


def test_the_brackets_of_an_expression_are_no_part_of_it():
    assert holds_on_every_way("${{ gate && a }}", lambda part: part.strip() == "gate")
