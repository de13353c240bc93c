"""What a count or a handful of seeds supports: exact binomial bounds, and intervals over worlds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from excise.stats.tails import binomial_tail

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Two-sided 95 % points of Student's t for 1 to 9 degrees of freedom."""


def upper_bound(hits: int, trials: int, level: float = 0.95) -> float:
    """Return the one-sided exact upper bound of a rate (Clopper and Pearson 1934): the rate at which so few hits have the chance 1 - level."""
    if trials == 0 or hits >= trials:
        return 1.0
    low, high = hits / trials, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if 1 - binomial_tail(hits + 1, trials, middle) > 1 - level:
            low = middle
        else:
            high = middle
    return high


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of one value a world, and the 95 % interval of Student's t around it; without spread for a single world."""
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return mean, mean, mean
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n)
    half = (_T[n - 2] if n - 2 < len(_T) else 1.96) * spread
    return mean, mean - half, mean + half


def share(values: Sequence[float]) -> str:
    """Say shares of several worlds: mean and interval, inside 0 to 1."""
    if not values:
        return "none"
    mean, low, high = interval(values)
    return f"{mean:.3f} [{max(0.0, low):.2f}, {min(1.0, high):.2f}]" if len(values) > 1 else f"{mean:.3f}"
