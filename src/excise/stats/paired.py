"""Two answers to the same prompts: exact one-sided tests and intervals for the difference of their rates.

The unit is a prompt. With one answer a side the test is McNemar's; with several it is its conditional generalisation,
which flips the sign of a prompt's whole difference, since answers to one prompt are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from excise.stats.tails import binomial_tail

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Prompts by what happened on both sides: `both`, `lost` (first only), `gained` (second only), `neither`."""

    both: int
    lost: int
    gained: int
    neither: int

    @property
    def total(self) -> int:
        """Number of prompts."""
        return self.both + self.lost + self.gained + self.neither

    @property
    def first(self) -> int:
        """Prompts with the event on the first side."""
        return self.both + self.lost

    @property
    def second(self) -> int:
        """Prompts with the event on the second side."""
        return self.both + self.gained

    @property
    def difference(self) -> float:
        """Rate of the first side less that of the second, -1 to 1."""
        return (self.lost - self.gained) / self.total


def mcnemar(pairs: Pairs) -> float:
    """Return the exact one-sided p-value of "lost is not likelier than gained", P(X >= lost), X ~ Bin(lost + gained, 1/2).

    Source: McNemar 1947; conditional on the discordant pairs, so exact at any size.
    """
    return binomial_tail(pairs.lost, pairs.lost + pairs.gained, 0.5)


def sign_flip(differences: Sequence[int]) -> float:
    """Return the exact one-sided p-value of the sum of per-prompt differences, under independent flips of their signs.

    A difference is the first side's count of the event less the second's, over as many answers. O(n * sum of sizes):
    the whole distribution by convolution, no sampling. With differences of -1, 0 and 1 it is `mcnemar`.
    Source: Fisher 1935, The Design of Experiments, section 21.
    """
    sizes = [abs(int(d)) for d in differences if d]
    reach, observed = sum(sizes), sum(int(d) for d in differences)
    law = np.zeros(2 * reach + 1)
    law[reach] = 1.0
    for size in sizes:
        law = 0.5 * (
            np.roll(law, size) + np.roll(law, -size)
        )  # never past the edge: `reach` is the sum of all
    return float(min(1.0, law[reach + observed :].sum()))


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(events: int, total: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a rate (Wilson 1927); (0, 1) where nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    z2, rate = _z(level) ** 2, events / total
    middle = rate + z2 / (2 * total)
    half = math.sqrt(z2 * (rate * (1 - rate) / total + z2 / (4 * total * total)))
    low, high = (middle - half) / (1 + z2 / total), (middle + half) / (1 + z2 / total)
    return (0.0 if events == 0 else max(0.0, low)), (1.0 if events == total else min(1.0, high))


def newcombe(pairs: Pairs, level: float = 0.95) -> Interval:
    """Return the square-and-add interval of the difference of paired rates.

    Source: Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", method 10 (Wilson limits, with the correlation's numerator continuity-corrected where positive).
    """
    n, e, f, g, h = pairs.total, pairs.both, pairs.lost, pairs.gained, pairs.neither
    if n == 0:
        return -1.0, 1.0
    (low1, high1), (low2, high2) = wilson(e + f, n, level), wilson(e + g, n, level)
    p1, p2 = (e + f) / n, (e + g) / n
    product = (e + f) * (g + h) * (e + g) * (f + h)
    top = e * h - f * g
    phi = (max(top - n / 2, 0.0) if top > 0 else top) / math.sqrt(product) if product else 0.0

    def reach(down: float, up: float) -> float:
        return math.sqrt(max(0.0, down * down - 2 * phi * down * up + up * up))

    return p1 - p2 - reach(p1 - low1, high2 - p2), p1 - p2 + reach(high1 - p1, p2 - low2)


def _tango_score(pairs: Pairs, delta: float) -> float:
    """Tango's statistic at a difference `delta`: the observed excess over its standard error under `delta`."""
    n, lost, gained = pairs.total, pairs.lost, pairs.gained
    excess = lost - gained - n * delta
    b = -lost - gained + (2 * n - lost + gained) * delta
    c = -gained * delta * (1 - delta)
    q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * q + delta * (1 - delta))
    if variance <= 0:
        return 0.0 if excess == 0 else math.copysign(math.inf, excess)
    return excess / math.sqrt(variance)


def tango(pairs: Pairs, level: float = 0.95) -> Interval:
    """Return the score interval of the difference of paired rates; it holds every difference that the score test keeps.

    Source: Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", equation 16; the limits by bisection to 1e-10.
    """
    if pairs.total == 0:
        return -1.0, 1.0
    z, middle = _z(level), pairs.difference

    def kept(delta: float) -> bool:
        return abs(_tango_score(pairs, delta)) <= z

    return _edge(middle, -1.0, kept), _edge(middle, 1.0, kept)


def _edge(inside: float, outside: float, kept: Callable[[float], bool]) -> float:
    """The border of `kept` between a point inside and one outside; `outside` itself if that is kept too."""
    if kept(outside):
        return outside
    while abs(outside - inside) > 1e-10:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return (inside + outside) / 2
