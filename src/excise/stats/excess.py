"""How much a share stands out among the groups of the same deployment: the null is made of its own traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from excise.stats.tails import binomial_tail, log_odds_of

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shares:
    """The null of a share: pooled rate (0 to 1), what each group is held against, overdispersion (1 and above), log-odds a group."""

    baseline: float
    baselines: tuple[float, ...]
    dispersion: float
    log_odds: tuple[float, ...]


def excess_shares(hits: Sequence[float], trials: Sequence[float], *, floor: float) -> Shares:
    """Test each group's hits / trials for being above what the other groups of this traffic show.

    Rate and overdispersion are those of the groups without the tenth that has the highest rates (they may be what is looked
    for), each group held against the others only. The overdispersion is Pearson's chi-square over its expectation
    (McCullagh and Nelder 1989, section 4.5), at least 1; it divides hits and trials before the exact tail, which takes the
    rate at no less than `floor`.
    """
    h, n = np.asarray(hits, float), np.asarray(trials, float)
    ordinary = _ordinary(h, n)
    all_hits, all_trials = float(h[ordinary].sum()), float(n[ordinary].sum())
    rate = all_hits / max(1.0, all_trials)
    dispersion = _dispersion(h[ordinary], n[ordinary], rate)
    others = (all_hits - h * ordinary) / np.maximum(1.0, all_trials - n * ordinary)
    baselines = tuple(np.maximum(floor, others).tolist())
    log_odds = tuple(
        _log_odds(x, y, b, dispersion) for x, y, b in zip(h.tolist(), n.tolist(), baselines, strict=True)
    )
    return Shares(max(floor, rate), baselines, dispersion, log_odds)


def _ordinary(hits: Numbers, trials: Numbers) -> npt.NDArray[np.bool_]:
    kept = trials > 0
    rates = np.divide(hits, trials, out=np.zeros(len(hits)), where=kept)
    return kept & (rates <= np.quantile(rates[kept], 0.9)) if kept.any() else kept


def _dispersion(hits: Numbers, trials: Numbers, rate: float) -> float:
    expected = float((trials * rate * (1 - rate)).sum())
    return max(1.0, float(((hits - trials * rate) ** 2).sum()) / expected) if expected > 1.0 else 1.0


def _log_odds(hits: float, trials: float, baseline: float, dispersion: float) -> float:
    if trials <= 0 or hits / trials <= baseline:
        return 0.0
    k, n = math.ceil(hits / dispersion - 1e-9), max(1, round(trials / dispersion))
    return log_odds_of(binomial_tail(k, n, baseline))
