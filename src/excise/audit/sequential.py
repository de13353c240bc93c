"""Looks at growing evidence, and claims over everything that was tried, without losing the error rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from excise.audit.prf import Numbers

BETS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""How boldly the e-value bets, in units of 1 / ||w||; their mean is an e-value again."""


def share_of_alpha(look: int) -> float:
    """What look number `look` (from 1) may spend of alpha: 1 / (l (l + 1)). All looks together spend less than all of it."""
    return 1.0 / (look * (look + 1))


def log10_sequential(log10_bounds: Sequence[float]) -> float:
    """log10 of the p-value over all looks so far: min over l of l (l + 1) p_l, at most 1.

    By the union bound it is at most alpha with probability at most alpha, whenever one stops (Bonferroni spending; Lan and
    DeMets 1983, "Discrete sequential boundaries for clinical trials", with this spending function).
    """
    spent = [p - math.log10(share_of_alpha(look)) for look, p in enumerate(log10_bounds, 1)]
    return min(0.0, *spent) if spent else 0.0


def log10_e_value(weighted: Numbers, scale: float) -> float:
    """log10 of an e-value: mean over bets b of prod exp(b x_i / s) / cosh(b x_i / s), `weighted` being w x and `scale` s.

    Under H0 the sign of each x_i is a fair coin given its size, so each product has expectation 1. With `scale` fixed
    before the first query and each tuple entered when it is first said, with the weight that it has then, the product
    over a stream is a test martingale (Ville 1939): it may be looked at after every answer.
    """
    if not len(weighted) or scale <= 0.0:
        return 0.0
    logs = []
    for bet in BETS:
        step = bet * weighted / scale
        size = np.abs(step)
        logs.append(float((step - size - np.log1p(np.exp(-2.0 * size)) + math.log(2.0)).sum()))
    peak = max(logs)
    total = math.log(sum(math.exp(value - peak) for value in logs) / len(logs))
    return (peak + total) / math.log(10.0)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values (1979, "A simple sequentially rejective multiple test procedure").

    Those at most alpha may all be claimed, and a false one is among them with probability at most alpha, however they
    depend on each other.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    adjusted = log10_holm([math.log10(p) if p > 0 else -math.inf for p in p_values])
    return tuple(round(10.0**p, 12) for p in adjusted)


def log10_holm(log10_p: Sequence[float]) -> tuple[float, ...]:
    """`holm` on logarithms, so that nothing is too small to be told."""
    order = sorted(range(len(log10_p)), key=lambda i: log10_p[i])
    adjusted, running = [0.0] * len(log10_p), -math.inf
    for rank, i in enumerate(order):
        running = max(running, min(0.0, log10_p[i] + math.log10(len(log10_p) - rank)))
        adjusted[i] = running
    return tuple(adjusted)
