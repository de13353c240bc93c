"""Which functions call each other in a circle: the strongly connected components of the call graph.

R. Tarjan, Depth-first search and linear graph algorithms (1972), section 4, with a stack of its own in place of recursion:
the depth of a graph of calls is not bounded by Python's. Linear in functions and calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def circles(calls: Mapping[int, Sequence[int]]) -> dict[int, tuple[int, ...]]:
    """The members of its component, in ascending order, of each function that can reach itself.

    >>> circles({1: [2], 2: [3], 3: [2], 4: [4], 5: [1]})
    {2: (2, 3), 3: (2, 3), 4: (4,)}
    """
    found = (c for c in _components(calls) if len(c) > 1 or c[0] in calls.get(c[0], ()))
    members = [tuple(sorted(c)) for c in found]
    return {one: whole for whole in sorted(members) for one in whole}


def _components(calls: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    inside: set[int] = set()
    for start in calls:
        if start in number:
            continue
        work = [(start, iter(calls.get(start, ())))]
        number[start] = low[start] = len(number)
        open_.append(start)
        inside.add(start)
        while work:
            at, rest = work[-1]
            deeper = next((c for c in rest if c not in number or _lowered(low, at, c, number, inside)), None)
            if deeper is not None:
                number[deeper] = low[deeper] = len(number)
                open_.append(deeper)
                inside.add(deeper)
                work.append((deeper, iter(calls.get(deeper, ()))))
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[at])
            if low[at] == number[at]:
                cut = open_.index(at)
                whole, open_[cut:] = open_[cut:], []
                inside.difference_update(whole)
                yield whole


def _lowered(low: dict[int, int], at: int, called: int, number: dict[int, int], inside: set[int]) -> bool:
    """Note that `at` reaches `called`, which was seen before; never true."""
    if called in inside:
        low[at] = min(low[at], number[called])
    return False
