"""How much a share stands out among the groups of the same deployment: the null is made of its own traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from excise.stats.tails import binomial_tail, log_odds_of

_MEDIAN_CHI2 = 0.4549
"""Median of the chi-square law with one degree of freedom."""
_LEAST_TRIALS = 5
"""A share of fewer trials says nothing about how much groups differ."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The null of a share: pooled rate (0 to 1), overdispersion between groups (1 and above), log-odds a group (0 and above)."""

    baseline: float
    dispersion: float
    log_odds: tuple[float, ...]


def excess_shares(hits: Sequence[float], trials: Sequence[float], *, floor: float) -> Shares:
    """Test each group's hits / trials for being above what the other groups of this traffic show.

    The pooled rate leaves out the tenth of the groups with the highest rates (they may be what is looked for) and is at
    least `floor`; the overdispersion is the robust ratio of Pearson residuals to their expectation (McCullagh and Nelder
    1989, section 4.5, with the median in place of the mean), and divides both hits and trials before the exact tail.
    """
    h, n = np.asarray(hits, float), np.asarray(trials, float)
    baseline = max(floor, _trimmed_rate(h, n))
    enough = n >= _LEAST_TRIALS
    residual = (h - n * baseline) ** 2 / np.maximum(n * baseline * (1 - baseline), 1e-9)
    dispersion = max(1.0, float(np.median(residual[enough])) / _MEDIAN_CHI2) if enough.any() else 1.0
    log_odds = tuple(
        log_odds_of(binomial_tail(math.ceil(x / dispersion - 1e-9), max(1, round(y / dispersion)), baseline)) if y > 0 and x / y > baseline else 0.0
        for x, y in zip(h.tolist(), n.tolist(), strict=True)
    )
    return Shares(baseline, dispersion, log_odds)


def _trimmed_rate(hits: npt.NDArray[np.float64], trials: npt.NDArray[np.float64]) -> float:
    kept = trials > 0
    if not kept.any():
        return 0.0
    rates = hits[kept] / trials[kept]
    low = rates <= np.quantile(rates, 0.9)
    return float(hits[kept][low].sum() / max(1.0, trials[kept][low].sum()))
