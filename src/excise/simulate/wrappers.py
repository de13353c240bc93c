"""The wrappers of a campaign: what it says around its material, fixed or worded anew, and the format that it demands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from excise.simulate.cast import Cast, Style
from excise.simulate.grammar import grammar
from excise.simulate.knobs import Knobs

_FOREIGN: Final = 0.25
"""Share of wrappers in other languages from level 5 on."""
_REFUSED: Final = {"filterprobe": 0.35, "safety": 0.06}
_JSON: Final = ("selfinstruct", "grading", "safety")


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Text around a payload. `fixed`: one text; else each request gets its own from the kind's grammar.

    tags: the names that the answer's format is made of. persona: a line that changes goes before the wrapper. foreign:
    share in other languages.
    """

    kind: str
    tags: tuple[str, str, str]
    fixed: str | None
    persona: bool = False
    foreign: float = 0.0

    def bound(self, count: int) -> dict[str, list[str]]:
        """Return the tags as symbols of the grammar, for `count` texts."""
        return {name: [tag] * count for name, tag in zip(("taga", "tagb", "key"), self.tags, strict=True)}


def campaign_styles(cast: Cast, k: Knobs, kind: str) -> list[list[int]]:
    """Return styles by persona: one fixed wrapper up to content level 3, three to six at 4, drawn for each request from 5 on."""
    return [_persona(cast, kind, k) for _ in range(k.personas)]


def _persona(cast: Cast, kind: str, k: Knobs) -> list[int]:
    a, b, c = grammar().draw("tagname", 3, cast.rng)
    tools = grammar().one("tools", cast.rng) if kind == "agentic" else None
    drawn = k.content >= 5
    styles = []
    for _ in range(int(cast.rng.integers(3, 7)) if k.content == 4 else 1):
        fixed = None if drawn else wrapper_texts(Wrapper(kind, (a, b, c), None), 1, cast.rng)[0]
        system = fixed if k.as_system and k.content <= 4 else None
        style = Style(
            f"{kind}payload",
            system=system,
            tools=tools,
            wrapper=Wrapper(
                kind, (a, b, c), "" if system else fixed, k.content == 3, _FOREIGN if drawn else 0.0
            ),
            answer="jsonanswer" if kind in _JSON else "harvestanswer",
            refused=_REFUSED.get(kind, 0.01),
        )
        styles.append(cast.style(style))
    return styles


def wrapper_texts(wrapper: Wrapper, count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` texts of a wrapper's instruction, without the payload."""
    text = grammar()
    kinds = np.where(rng.random(count) < wrapper.foreign, "fremd", wrapper.kind)
    task, contract = [""] * count, [""] * count
    for kind in np.unique(kinds).tolist():
        rows = np.flatnonzero(kinds == kind)
        part = wrapper.bound(len(rows))
        tasks, contracts = (text.draw(kind + end, len(rows), rng, part) for end in ("task", "contract"))
        for i, a, b in zip(rows.tolist(), tasks, contracts, strict=True):
            task[i], contract[i] = a, b
    return text.draw(
        "layout", count, rng, wrapper.bound(count) | {"kindtask": task, "kindcontract": contract}
    )


def wrap(texts: list[str], rows: list[int], wrapper: Wrapper, rng: np.random.Generator) -> None:
    """Put the wrapper before `texts[row]`, in place. `fixed=""`: it is the system prompt already."""
    if not rows or (wrapper.fixed == "" and not wrapper.persona):
        return
    fixed = wrapper.fixed
    heads = wrapper_texts(wrapper, len(rows), rng) if fixed is None else [fixed] * len(rows)
    if wrapper.persona:
        personas = grammar().draw("expert", len(rows), rng)
        heads = [f"{p}\n{h}" if h else p for p, h in zip(personas, heads, strict=True)]
    for row, head in zip(rows, heads, strict=True):
        texts[row] = f"{head}\n\n{texts[row]}"
