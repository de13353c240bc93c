"""From a pilot to the power of a plan: an estimate, with how little it may be worth.

A pilot is a sample of answers of a model of one's own, tuned on text that was served under a key of its own. Its z grows
with the number of queries n as n^g: as the square root where every answer says something new, more slowly once the same
pairs come again. z and g are taken from the pilot, the whole and its two halves, each with the error that z has: about 1,
whatever the model, since the coins of its pairs are the only chance that is left. Drawn again and again from those errors,
they give the power that is expected and how far it may be off.

The pilot's key is never one of the plan's: the same coins would then be tossed twice, and a key that was lucky in the pilot
would be lucky in the test. Nor may its prompts be: what was seen before the plan is no part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from excise.audit.plan import Estimate
from excise.audit.power import z_needed
from excise.audit.sequential import share_of_alpha
from excise.audit.statistic import contrast, z_of
from excise.audit.tokens import counted
from excise.errors import UsageError
from excise.stats.tails import normal_tail

if TYPE_CHECKING:
    from excise.audit.prf import U64, Numbers
    from excise.audit.tokens import Counts

FEWEST: Final = 50
"""Answers of a pilot: with fewer its halves say nothing of how z grows."""
DRAWS: Final = 4_000
STEEPEST: Final = 0.5
"""z cannot grow faster than the square root of the number of answers."""
SURE: Final = 0.9
"""The range of the power holds this share of the draws, or more where that is needed for it to hold their mean."""


def estimated(
    answers: Sequence[U64], reference: Counts, key: bytes, kind: int, looks: Sequence[int], alpha: float
) -> Estimate:
    """The power of `looks` at `alpha` (0 to 1, after what multiplicity takes), from the tuples of a pilot's answers."""
    if len(answers) < FEWEST:
        raise UsageError(
            f"has {len(answers)} answers; at least {FEWEST}",
            subject="--pilot",
            hint="ask the pilot's model more prompts",
        )
    whole = _z(answers, reference, key, kind)
    halves = (_z(answers[::2], reference, key, kind), _z(answers[1::2], reference, key, kind))
    rng = np.random.default_rng(0)
    end = whole + rng.standard_normal(DRAWS)
    middle = sum(halves) / 2 + rng.standard_normal(DRAWS) / math.sqrt(2)
    grows = np.clip(np.log2(np.maximum(end, 1e-3) / np.maximum(middle, 1e-3)), 0.0, STEEPEST)
    powers = _power(end, grows, len(answers), looks, alpha)
    expected = float(powers.mean())
    low, high = np.quantile(powers, [(1 - SURE) / 2, (1 + SURE) / 2]).tolist()
    return Estimate(
        len(answers), whole, float(np.median(grows)), expected, min(low, expected), max(high, expected)
    )


def _z(answers: Sequence[U64], reference: Counts, key: bytes, kind: int) -> float:
    return z_of(contrast(counted(answers), reference), key, kind)


def _power(end: Numbers, grows: Numbers, pilot: int, looks: Sequence[int], alpha: float) -> Numbers:
    """For each draw the chance that its best look passes; looks see the same coins, so more of them add little."""
    found = np.zeros(len(end))
    for look, queries in enumerate(looks, 1):
        z = np.maximum(end, 0.0) * (queries / pilot) ** grows
        needed = z_needed(alpha * share_of_alpha(look))
        found = np.maximum(found, [normal_tail(needed - value) for value in z])
    return found
