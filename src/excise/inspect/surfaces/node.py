"""Structured text as nodes that know their line, so that a finding can point at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_VISITED = 100_000
"""Nodes that a walk visits: aliases make a small file name the same node very often."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A scalar (`text`), a mapping (`pairs`) or a list (`items`); `line` counts from 1, 0 where it is not known."""

    line: int
    text: str | None = None
    pairs: tuple[tuple[str, Node], ...] | None = None
    items: tuple[Node, ...] | None = None
    lines: dict[str, int] = field(default_factory=dict, repr=False)
    """The line of each key of a mapping."""

    def at(self, *keys: str) -> Node:
        """The node below these keys, or an empty one; of doubled keys the last, as parsers have it."""
        here = self
        for key in keys:
            found = [v for k, v in here.pairs or () if k == key]
            if not found:
                return NOTHING
            here = found[-1]
        return here

    @property
    def string(self) -> str:
        """The scalar's text; empty for anything else."""
        return self.text or ""

    @property
    def entries(self) -> tuple[tuple[str, Node], ...]:
        """The pairs of a mapping; none for anything else."""
        return self.pairs or ()

    @property
    def each(self) -> tuple[Node, ...]:
        """The items of a list; a scalar is a list of itself, as many formats allow."""
        if self.items is not None:
            return self.items
        return (self,) if self.text is not None else ()

    def line_of(self, key: str) -> int:
        """The line of a key of this mapping, its own line where there is none."""
        return self.lines.get(key, self.line)

    def __bool__(self) -> bool:
        return self is not NOTHING


NOTHING = Node(0)


def scalars(top: Node) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every scalar below `top` with the keys that lead to it (`[]` for a list), each node once, within a budget."""
    seen: set[int] = set()
    stack: list[tuple[tuple[str, ...], Node]] = [((), top)]
    while stack and len(seen) < MOST_VISITED:
        path, node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.text is not None:
            yield path, node
        stack += [((*path, "[]"), item) for item in reversed(node.items or ())]
        stack += [((*path, key), value) for key, value in reversed(node.entries)]
