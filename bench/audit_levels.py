"""How often innocent models are accused: shares of keys at each level, beside the interval that chance allows."""

from __future__ import annotations

import numpy as np

from excise.audit import prf
from excise.audit.statistic import decoys, tail_bound
from excise.stats.tails import binomial_tail

LEVELS = (0.05, 0.01, 0.001)
TRIALS = 5_000
SURE = 0.999
HEAD = (
    "| innocent model | form | rank among {null:,} decoys, p at most "
    + " / ".join(map(str, LEVELS))
    + " | rigorous bound | holds |"
)


def interval(n, p):
    """The central 99.9 % interval of Binomial(n, p)."""
    inside = [
        k
        for k in range(n + 1)
        if binomial_tail(k, n, p) > (1 - SURE) / 2 and binomial_tail(k + 1, n, p) < 1 - (1 - SURE) / 2
    ]
    return inside[0], inside[-1]


def allowed():
    """A line that says what chance allows."""
    spans = [interval(TRIALS, level) for level in LEVELS]
    told = ", ".join(f"{low / TRIALS:.4f} to {high / TRIALS:.4f}" for low, high in spans)
    return f"Over {TRIALS:,} keys that were never served. A p-value that holds lies in these 99.9 % intervals: {told}. The bound may be below them and never above."


def row(name, form, found, kind, null):
    """One line of the table; `found` is a contrast, `null` how many other decoys each key is ranked among."""
    trials = decoys(b"trial keys of the bench", TRIALS)
    z = prf.contrasts(trials, found.tuples, found.weights, kind)
    others = prf.contrasts(decoys(b"decoys of the bench", null), found.tuples, found.weights, kind)
    ranks = (1 + null - np.searchsorted(np.sort(others), z, "left")) / (1 + null)
    bounds = np.array([tail_bound(v) for v in z])
    holds = all(
        low <= (ranks <= level).sum() <= high and (bounds <= level).sum() <= high
        for level in LEVELS
        for low, high in [interval(TRIALS, level)]
    )
    cells = [" / ".join(f"{(p <= level).mean():.4f}" for level in LEVELS) for p in (ranks, bounds)]
    return f"| {name} | {form} | {' | '.join(cells)} | {'yes' if holds else 'NO'} |"
