"""How a campaign's accounts hang together, as a drawing: the same picture for the same links, on every machine.

Forces after Fruchterman and Reingold (1991), "Graph drawing by force-directed placement", from a fixed start on a
circle; no chance is involved. Cost: steps times the square of the accounts drawn, 0.1 s for 150.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from excise.model.findings import LAYERS
from excise.report import wording

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from excise.model.findings import Graph, Layer, Link

WIDTH, HEIGHT, MARGIN = 920, 460, 40
NODES = 150
"""Accounts drawn at most."""
LINKS = 320
"""Links drawn at most: the strongest of each account first, so that everything that hangs together still does."""
STEPS = 90
LABELLED = 16
"""With at most so many accounts, each has its id beside it."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Node:
    """An account: its place, radius and id; `label` is empty where there is no room."""

    x: int
    y: int
    r: float
    account: str
    label: str


@dataclass(frozen=True, slots=True)
class Strand:
    """All links of one layer as one SVG path, and how many there are."""

    layer: Layer
    path: str
    links: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """The network ready to be put on the page; `words` says in a sentence what it shows."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    strands: tuple[Strand, ...]
    words: str


def draw(graph: Graph, exchanges: Mapping[str, int]) -> Drawing | None:
    """The drawing of `graph`, circles sized by `exchanges` of an account; None where nothing is linked."""
    shown = min(len(graph.accounts), NODES)
    links = strongest(
        [link for link in graph.links if link.a < shown and link.b < shown and link.a != link.b]
    )
    if not links:
        return None
    places = layout(shown, links)
    return Drawing(
        width=WIDTH,
        height=HEIGHT,
        nodes=_nodes(graph.accounts[:shown], places, exchanges),
        strands=_strands(links, places, graph.links),
        words=_words(graph, shown, len(links)),
    )


def strongest(links: Sequence[Link], most: int = LINKS) -> list[Link]:
    """At most `most` links: a maximum spanning forest first (Kruskal), then by weight."""
    ranked = sorted(links, key=lambda link: (-link.weight, link.a, link.b))
    root = list(range(1 + max((max(link.a, link.b) for link in links), default=-1)))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    tree: list[Link] = []
    rest: list[Link] = []
    for link in ranked:
        a, b = find(link.a), find(link.b)
        (rest if a == b else tree).append(link)
        root[a] = b
    return sorted((tree + rest)[:most], key=lambda link: (link.a, link.b))


def layout(count: int, links: Sequence[Link]) -> Points:
    """Places of `count` accounts, shape (count, 2), inside the drawing."""
    angle = 2.399963229728653 * np.arange(count)  # the golden angle: a spiral without neighbours in line
    radius = np.sqrt((np.arange(count) + 0.5) / count)
    places = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    a = np.array([link.a for link in links], dtype=np.int64)
    b = np.array([link.b for link in links], dtype=np.int64)
    ideal = 1.6 / np.sqrt(count)
    for step in range(STEPS):
        places = _step(places, a, b, ideal, 0.16 * (1 - step / STEPS))
    return _fit(places)


def _step(
    places: Points, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], ideal: float, heat: float
) -> Points:
    """One round of forces: all push apart, links pull, and a slight pull to the middle holds loose parts."""
    x, y = (
        at[None, :] - at[:, None] for at in places.T
    )  # of every two: long rows, which are quick to add up
    near = ideal * ideal / (x * x + y * y + 1e-9)
    force = np.stack([(x * near).sum(axis=0), (y * near).sum(axis=0)], axis=1)
    pull = places[a] - places[b]
    pull *= np.sqrt((pull * pull).sum(axis=1) + 1e-12)[:, None] / ideal
    np.subtract.at(force, a, pull)
    np.add.at(force, b, pull)
    force -= 0.6 * places
    length = np.sqrt((force * force).sum(axis=1)) + 1e-12
    return np.asarray(places + force * (np.minimum(length, heat) / length)[:, None])


def _fit(places: Points) -> Points:
    """Stretch to the drawing, less its margin."""
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
    return np.asarray(np.rint(MARGIN + (places - low) / np.maximum(high - low, 1e-9) * room))


def _nodes(accounts: Sequence[str], places: Points, exchanges: Mapping[str, int]) -> tuple[Node, ...]:
    most = max((exchanges.get(account, 0) for account in accounts), default=0) or 1
    label = len(accounts) <= LABELLED
    return tuple(
        Node(
            int(x),
            int(y),
            round(3.5 + 5.5 * float(np.sqrt(exchanges.get(account, 0) / most)), 1),
            account,
            wording.one_line(account, 18) if label else "",
        )
        for account, (x, y) in zip(accounts, places, strict=True)
    )


def _strands(links: Sequence[Link], places: Points, every: Sequence[Link]) -> tuple[Strand, ...]:
    """One path a layer. Layers that share a link run side by side."""
    strands = []
    for layer in LAYERS:
        held = [link for link in links if layer in link.layers]
        if held:
            path = "".join(_segment(link, places, layer) for link in held)
            strands.append(Strand(layer, path, sum(layer in link.layers for link in every)))
    return tuple(strands)


def _segment(link: Link, places: Points, layer: Layer) -> str:
    layers = [known for known in LAYERS if known in link.layers]
    (ax, ay), (bx, by) = places[link.a].tolist(), places[link.b].tolist()
    length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1.0)
    aside = 2.0 * (layers.index(layer) - (len(layers) - 1) / 2)
    dx, dy = -(by - ay) / length * aside, (bx - ax) / length * aside
    return f"M{ax + dx:.0f} {ay + dy:.0f}L{bx + dx:.0f} {by + dy:.0f}"


def _words(graph: Graph, shown: int, drawn: int) -> str:
    if shown < graph.of:
        who = f"the {shown:,} best linked of {graph.of:,} accounts"
    else:
        who = wording.count(shown, "account")
    links = wording.count(len(graph.links), "link")
    return f"A network of {who} with {links}" + (
        f", {drawn} of them drawn." if drawn < len(graph.links) else "."
    )
