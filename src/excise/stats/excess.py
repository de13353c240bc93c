"""How much a share stands out among the groups of the same deployment: the null is made of its own traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from excise.stats.tails import binomial_tail, log_odds_of

Numbers = npt.NDArray[np.float64]


_LEAST_PEERS = 10
"""Groups that a null is made of, where there are so many."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The null of a share: pooled rate (0 to 1), what each group is held against, and log-odds a group (0 and above)."""

    baseline: float
    baselines: tuple[float, ...]
    log_odds: tuple[float, ...]


def excess_shares(
    hits: Sequence[float], trials: Sequence[float], *, floor: float, by_size: bool = False
) -> Shares:
    """Test each group's hits / trials for being above what other groups of this traffic show.

    Peers are all groups, or, with `by_size`, those of at least half as many trials (for what small groups such as families
    share by nature), without the tenth of highest rates (they may be what is looked for) and the group itself. Their
    overdispersion is Pearson's chi-square over its expectation (McCullagh and Nelder 1989, section 4.5), at least 1; it
    divides hits and trials before the exact tail, which takes the peers' rate at no less than `floor`. O(g log g) in the groups.
    """
    h, n = np.asarray(hits, float), np.asarray(trials, float)
    baselines, log_odds = np.full(len(h), floor), np.zeros(len(h))
    size_class = np.floor(np.log2(np.maximum(n, 1.0))).astype(int)
    if not by_size:
        size_class[:] = 0
    for c in np.unique(size_class).tolist():
        mine, peers = size_class == c, _peers(n, c)
        baselines[mine], log_odds[mine] = _test(h, n, mine, peers, floor)
    everyone = _ordinary(h, n)
    rate = float(h[everyone].sum()) / max(1.0, float(n[everyone].sum()))
    return Shares(max(floor, rate), tuple(baselines.tolist()), tuple(log_odds.tolist()))


def excess_over(
    hits: Sequence[float], trials: Sequence[float], expected: Sequence[float]
) -> tuple[float, ...]:
    """Return log-odds a group (0 and above) for hits above what is expected of its very members (a rate for each group, 0 to 1).

    For rates that differ between members for reasons that are no evidence. A binomial law of the mean rate is at least as wide
    as that of the different ones (Hoeffding 1956); overdispersion as in `excess_shares`.
    """
    h, n, p = (np.asarray(x, float) for x in (hits, trials, expected))
    ratio = np.divide(h, n * p, out=np.zeros(len(h)), where=n * p > 0)
    kept = (n > 0) & (ratio <= np.quantile(ratio[n > 0], 0.9)) if (n > 0).any() else n > 0
    variance = float((n * p * (1 - p))[kept].sum())
    spread = float(((h - n * p)[kept] ** 2).sum())
    dispersion = max(1.0, spread / variance) if variance > 1.0 else 1.0
    rows = zip(h.tolist(), n.tolist(), p.tolist(), strict=True)
    return tuple(_log_odds(x, y, q, dispersion) for x, y, q in rows)


def _peers(trials: Numbers, size_class: int) -> npt.NDArray[np.bool_]:
    """Groups of half the size and more; smaller ones too where there are too few of them."""
    least = 2.0 ** (size_class - 1)
    while least > 1.0 and (trials >= least).sum() <= _LEAST_PEERS:
        least /= 2.0
    return trials >= least


def _test(
    h: Numbers, n: Numbers, mine: npt.NDArray[np.bool_], peers: npt.NDArray[np.bool_], floor: float
) -> tuple[Numbers, Numbers]:
    ordinary = np.zeros(len(h), np.bool_)
    ordinary[peers] = _ordinary(h[peers], n[peers])
    all_hits, all_trials = float(h[ordinary].sum()), float(n[ordinary].sum())
    dispersion = _dispersion(h[ordinary], n[ordinary], all_hits / max(1.0, all_trials))
    others = (all_hits - h * ordinary) / np.maximum(1.0, all_trials - n * ordinary)
    baselines = np.maximum(floor, others)[mine]
    values = [
        _log_odds(x, y, b, dispersion)
        for x, y, b in zip(h[mine].tolist(), n[mine].tolist(), baselines.tolist(), strict=True)
    ]
    return baselines, np.array(values)


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
