"""How many queries: the expected power of a plan, simulated on the test-bed of `ngram`.

A first-order chain is no large language model. The figures compare designs and show what a null result leaves open;
a pilot on a model of one's own gives the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from excise.audit import ngram
from excise.audit.marks import MARKS
from excise.audit.plan import Power
from excise.audit.sequential import share_of_alpha
from excise.audit.statistic import contrast, log10_bound, z_of
from excise.audit.tokens import counted

SHARES: Final = (0.01, 0.05, 0.1, 0.25)


def simulated(
    purpose: str,
    looks: Sequence[int],
    alpha: float,
    worlds: int,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> tuple[Power, ...]:
    """Power at `alpha` (0 to 1, after what multiplicity takes) for each of `SHARES`; none for a mark without logits.

    About a second a world.
    """
    mark = next((m for m in MARKS if m.id == purpose), None)
    if mark is None or not looks:
        return ()
    found = np.zeros(len(SHARES))
    for number in range(worlds):
        rng = np.random.default_rng([seed, number])
        of, key = ngram.world(rng), rng.bytes(16)
        teacher = ngram.marked(of.teacher, mark, key)
        reference = counted([ngram.tuples_of(ngram.spoken(of.base, looks[-1], rng))])
        for place, share in enumerate(SHARES):
            words = ngram.spoken(ngram.student(of, share, teacher, rng), looks[-1], rng)
            found[place] += any(
                z_needed(alpha * share_of_alpha(look))
                <= z_of(contrast(counted([ngram.tuples_of(words[:queries])]), reference), key, mark.kind)
                for look, queries in enumerate(looks, 1)
            )
        advance()
    return tuple(Power(s, float(f) / worlds, worlds) for s, f in zip(SHARES, found, strict=True))


def z_needed(alpha: float) -> float:
    """The smallest z whose bound is at most `alpha`, to 1e-9."""
    low, high = 0.0, 60.0
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (low, middle) if log10_bound(middle) <= math.log10(alpha) else (middle, high)
    return high
