"""Tail probabilities, and what a p-value is worth as evidence. Pure functions of numbers.

Exact sums where a test needs them: clusters have tens to thousands of members, so no approximation is called for.
"""

from __future__ import annotations

import math

SMALLEST_P = 1e-12
"""Floor of every p-value: nothing below is supported by the modelling, whatever the sum says."""


def binomial_tail(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X ~ Binomial(n, p). O(n - k)."""
    if k <= 0:
        return 1.0
    if p <= 0.0 or k > n:
        return 0.0
    if p >= 1.0:
        return 1.0
    log_p, log_q = math.log(p), math.log1p(-p)
    log_first = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_p + (n - k) * log_q
    total, term, ratio = 1.0, 1.0, p / (1.0 - p)
    for x in range(k, n):
        term *= (n - x) / (x + 1) * ratio
        total += term
        if term < total * 1e-15 and x > n * p:
            break
    return min(1.0, math.exp(log_first) * total)


def poisson_tail(k: int, mean: float) -> float:
    """Return P(X >= k) for X ~ Poisson(mean). O(k)."""
    if k <= 0:
        return 1.0
    if mean <= 0.0:
        return 0.0
    term = math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1))
    total, x = term, k
    while term > total * 1e-15 and x < k + 10_000:
        x += 1
        term *= mean / x
        total += term
    return min(1.0, total)


def normal_tail(z: float) -> float:
    """Return P(Z >= z) of the standard normal law."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def student_quantile(p: float, df: int) -> float:
    """Return the `p` quantile of Student's t law with `df` degrees of freedom, 0.5 < p < 1.

    The density's integral by Simpson's rule, inverted by bisection: six digits for df >= 3 and p <= 0.9999.
    """
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)

    def above_half(x: float, steps: int = 400) -> float:
        width = x / steps
        weights = (1 if k in (0, steps) else 4 if k % 2 else 2 for k in range(steps + 1))
        density = (
            math.exp(log_scale - (df + 1) / 2 * math.log1p((k * width) ** 2 / df)) for k in range(steps + 1)
        )
        return width / 3 * sum(w * d for w, d in zip(weights, density, strict=True))

    low, high = 0.0, 1.0
    while above_half(high) < p - 0.5:
        low, high = high, 2 * high
    while high - low > 1e-7 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if above_half(middle) < p - 0.5 else (low, middle)
    return (low + high) / 2


def rank_p(observed: float, null: list[float]) -> float:
    """Return the p-value of a statistic among draws of its null, (1 + #{null >= observed}) / (1 + #null).

    Source: Phipson and Smyth 2010, "Permutation P-values should never be zero", equation 2.
    """
    return (1 + sum(value >= observed for value in null)) / (1 + len(null))


def log_odds_of(p: float) -> float:
    """Return the most that a p-value can be worth as natural log-odds against its null: -ln(-e p ln p), 0 from 1/e on.

    Source: Sellke, Bayarri and Berger 2001, "Calibration of p values for testing precise null hypotheses", section 2.
    """
    p = max(p, SMALLEST_P)
    if p >= 1.0 / math.e:
        return 0.0
    return -math.log(-math.e * p * math.log(p))


def sigmoid(log_odds: float) -> float:
    """Return the probability of these log-odds."""
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    return math.exp(log_odds) / (1.0 + math.exp(log_odds))


def q_values(errors: list[float]) -> list[float]:
    """Return, for each item, the expected share of false ones among all items at least as strong.

    `errors` are the local probabilities of being false (1 - confidence), so the estimate is their running mean.
    Source: Newton et al. 2004, "Detecting differential gene expression with a semiparametric hierarchical mixture method",
    section 2.4 (the Bayesian form of the false discovery rate). Ties count as one step.
    """
    order = sorted(range(len(errors)), key=lambda i: errors[i])
    out = [0.0] * len(errors)
    total, start = 0.0, 0
    while start < len(order):
        end = start
        while end < len(order) and errors[order[end]] == errors[order[start]]:
            total += errors[order[end]]
            end += 1
        for i in order[start:end]:
            out[i] = total / end
        start = end
    return out
