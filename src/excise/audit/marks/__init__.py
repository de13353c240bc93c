"""Keyed choices in what we serve. A mark changes the next token's distribution by 64 keyed bits a candidate.

    red-green    what the key calls green becomes likelier            strong, costs quality
    gumbel       the key chooses among likely tokens, fairly          free on average over keys
    tournament   eight keyed rounds, the likelier green survives      free on average over keys, weaker

`rerank` chooses among whole answers and needs no logits; `choices` are keyed free choices inside an answer.
"""

from __future__ import annotations

from typing import Final

from excise.audit import prf
from excise.audit.marks.gumbel import GUMBEL
from excise.audit.marks.mark import Mark
from excise.audit.marks.red_green import RED_GREEN
from excise.audit.marks.tournament import TOURNAMENT

MARKS: Final[tuple[Mark, ...]] = (RED_GREEN, GUMBEL, TOURNAMENT)

KINDS: Final[dict[str, int]] = {mark.id: mark.kind for mark in MARKS} | {"rerank": prf.UNIFORM}
"""How the tuples of each purpose are scored."""

__all__ = ["KINDS", "MARKS", "Mark"]
