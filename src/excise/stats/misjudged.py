"""What rates were before a judge that errs looked at them, with intervals that carry the judge's own uncertainty.

Observed rates mix truth and error: q = TPR p + FPR (1 - p). Rogan and Gladen 1978 invert that; here it is inverted for
paired answers, so that a loss and the conditional "the second side does it where the first did not" are corrected too.
Assumed: the judge's errors on both sides are independent given the truth, and its error rates were measured on answers
like these. Where they were measured on other models, `ErrorRates` has one group a model, and a model that was not
measured is taken to be like one of them drawn at random: the interval then holds how much the judge varies by model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from excise.stats.paired import Interval, Pairs

DRAWS = 20_000
"""Draws behind an interval: its ends vary by about a hundredth of its width from seed to seed."""
LEAST_YOUDEN = 0.1
"""TPR - FPR below which a judge says nothing: the inversion divides by it."""
_SEED = 20_240_229

Draws = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counted:
    """A judge beside people on one group of answers: `hits` of `positives` were called so, `alarms` of `negatives` too."""

    hits: int
    positives: int
    alarms: int
    negatives: int


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """A judge's counted errors, one group for each model whose answers people labelled."""

    groups: tuple[Counted, ...]

    @property
    def tpr(self) -> float:
        """Share of true events that the judge sees, pooled."""
        return sum(g.hits for g in self.groups) / max(1, sum(g.positives for g in self.groups))

    @property
    def fpr(self) -> float:
        """Share of true non-events that the judge calls events, pooled."""
        return sum(g.alarms for g in self.groups) / max(1, sum(g.negatives for g in self.groups))


PERFECT = ErrorRates((Counted(10**9, 10**9, 0, 10**9),))
"""A judge that does not err: correcting by it changes nothing."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected figure with its interval."""

    estimate: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class CorrectedPair:
    """Corrected rates of both sides, their difference, and the share of the first side's events that the second lacks."""

    first: Corrected
    second: Corrected
    difference: Corrected
    lost_given_first: Corrected


def correct(
    pairs: Pairs,
    first: ErrorRates,
    second: ErrorRates,
    level: float = 0.95,
    *,
    seed: int = _SEED,
    draws: int = DRAWS,
) -> CorrectedPair | None:
    """Correct judged `pairs` by the judge's error rates on each side; None where it is too weak or nothing was judged.

    Estimates invert the pooled rates and are cut to what is possible. Intervals are quantiles over `draws` draws:
    cells from a Dirichlet law (prior 1/2 a cell), error rates from Beta laws (prior 1/2) of a group drawn at random.
    The same arguments give the same bytes. Source: Rogan and Gladen 1978, "Estimating prevalence from the results of a
    screening test"; the Monte Carlo form follows Greenland 2006, "Bayesian perspectives for epidemiological research".
    """
    youden = min(first.tpr - first.fpr, second.tpr - second.fpr)
    if pairs.total == 0 or youden < LEAST_YOUDEN or not _measured(first) or not _measured(second):
        return None
    point = _figures(
        np.array([[pairs.both, pairs.lost, pairs.gained, pairs.neither]], float) / pairs.total,
        *(np.array([rate]) for rate in (first.tpr, first.fpr, second.tpr, second.fpr)),
    )
    rng = np.random.default_rng(seed)
    cells = rng.dirichlet(np.array([pairs.both, pairs.lost, pairs.gained, pairs.neither]) + 0.5, size=draws)
    drawn = _figures(cells, *_rates(first, rng, draws), *_rates(second, rng, draws))
    ends = ((1 - level) / 2, (1 + level) / 2)
    return CorrectedPair(
        *(
            Corrected(float(estimate[0]), _pair(np.quantile(many, ends)))
            for estimate, many in zip(point, drawn, strict=True)
        )
    )


def _pair(ends: Draws) -> Interval:
    return float(ends[0]), float(ends[1])


def _measured(rates: ErrorRates) -> bool:
    return bool(rates.groups) and all(g.positives > 0 and g.negatives > 0 for g in rates.groups)


def _rates(rates: ErrorRates, rng: np.random.Generator, draws: int) -> tuple[Draws, Draws]:
    """Draws of TPR and FPR of a model that is like one of the groups."""
    counts = np.array([[g.hits, g.positives, g.alarms, g.negatives] for g in rates.groups], float)
    hits, positives, alarms, negatives = counts[rng.integers(len(counts), size=draws)].T
    return (
        rng.beta(hits + 0.5, positives - hits + 0.5),
        rng.beta(alarms + 0.5, negatives - alarms + 0.5),
    )


def _figures(
    cells: Draws, tpr1: Draws, fpr1: Draws, tpr2: Draws, fpr2: Draws
) -> tuple[Draws, Draws, Draws, Draws]:
    """Invert observed cells (n, 4) on both sides; returns first, second, difference, lost given first, each (n,).

    A drawn judge below `LEAST_YOUDEN` counts as that weak and no weaker: the ends stay finite and the interval wide.
    """
    gap1, gap2 = np.maximum(tpr1 - fpr1, LEAST_YOUDEN), np.maximum(tpr2 - fpr2, LEAST_YOUDEN)
    both, lost = cells[:, 0], cells[:, 1]
    seen1, seen2 = both + lost, both + cells[:, 2]
    first, second = (seen1 - fpr1) / gap1, (seen2 - fpr2) / gap2
    joint = (both - fpr1 * seen2 - fpr2 * seen1 + fpr1 * fpr2) / (gap1 * gap2)
    first, second = np.clip(first, 0.0, 1.0), np.clip(second, 0.0, 1.0)
    joint = np.clip(joint, np.maximum(0.0, first + second - 1), np.minimum(first, second))
    kept = np.divide(joint, first, out=np.ones_like(joint), where=first > 0)
    return first, second, first - second, 1 - kept


def count_errors(judged: Sequence[bool], labelled: Sequence[bool]) -> Counted:
    """Count a judge's verdicts against people's on the same answers."""
    pairs = list(zip(judged, labelled, strict=True))
    return Counted(
        hits=sum(j and t for j, t in pairs), positives=sum(t for _, t in pairs),
        alarms=sum(j and not t for j, t in pairs), negatives=sum(not t for _, t in pairs),
    )  # fmt: skip
