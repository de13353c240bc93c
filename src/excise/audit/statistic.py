"""Does a suspect say what our key chose: one number, and how likely it is for a suspect that never saw the key.

H0: what the suspect says is independent of the key. Then, given all that was said, each distinct tuple's score is an
independent draw that is symmetric about 0, and its size says nothing about its sign. So with any weights chosen without
the key, z = sum(w x) / ||w x|| is a Rademacher sum of unit norm, and its tail has bounds that hold for every sample size:
exp(-z^2 / 2) (Hoeffding 1963, theorem 2) and 3.18 P(N >= z) (Bentkus and Dzindzalieta 2015, "A tight Gaussian bound for
weighted sums of Rademacher random variables", theorem 1.1: the constant is 1 / (4 P(N >= sqrt 2))).

The weights are differences to a reference that never saw the key (the suspect's base, our own unmarked model): what
everybody says cancels, so that the evidence grows with the number of queries. The published tests look at the suspect
alone, count each tuple once, and stand beside it for comparison.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from excise.audit import prf
from excise.audit.tokens import Counts, distinct
from excise.stats.tails import binomial_tail, normal_tail

if TYPE_CHECKING:
    from excise.audit.prf import U64, Numbers

GAUSSIAN_CONSTANT: Final = 1.0 / (4.0 * normal_tail(math.sqrt(2.0)))
"""3.178…, see the head of this file."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """What a suspect says more (weight above 0) or less than its reference: distinct tuples, (n, 3), and weights, (n,)."""

    tuples: U64
    weights: Numbers


def contrast(suspect: Counts, reference: Counts) -> Contrast:
    """The weights (c_s - c_r) / sqrt(c_s + c_r + 1), the reference's counts scaled to the suspect's total.

    The numerator's standard deviation under equal rates is about the denominator, so each tuple weighs as many of its
    own standard deviations. Without a reference the suspect's counts stand alone.
    """
    tuples, place, _ = distinct(np.concatenate([suspect.tuples, reference.tuples]))
    said = np.zeros((2, len(tuples)))
    said[0, place[: len(suspect.tuples)]] = suspect.said
    said[1, place[len(suspect.tuples) :]] = reference.said
    if reference.total > 0:
        said[1] *= suspect.total / reference.total
    weights = (said[0] - said[1]) / np.sqrt(said[0] + said[1] + 1.0)
    kept = weights != 0.0
    return Contrast(tuples[kept], weights[kept])


def open_contrast(tuples: U64, suspect: Numbers, reference: Numbers, seen: Numbers) -> Contrast:
    """The stronger form for a suspect whose probabilities can be read: w = sqrt(seen) (q_s - q_r).

    `suspect` and `reference` are the mean probabilities of each tuple's token after its context, `seen` how often the
    context was looked at, all of shape (n,). No token needs to be sampled, and the same bound holds.
    """
    weights = np.sqrt(seen) * (suspect - reference)
    kept = weights != 0.0
    return Contrast(tuples[kept], weights[kept])


def z_of(found: Contrast, key: bytes, kind: int) -> float:
    """The z under one key, of scores of `kind`."""
    return float(prf.contrasts(np.array([prf.words_of(key)]), found.tuples, found.weights, kind)[0])


def tail_bound(z: float) -> float:
    """The rigorous bound on P(Z >= z) for a Rademacher sum of unit norm; 1 for z <= 0.

    >>> round(tail_bound(4.0), 7), tail_bound(-1.0)
    (0.0001007, 1.0)
    """
    if z <= 0.0:
        return 1.0
    return min(1.0, math.exp(-z * z / 2.0), GAUSSIAN_CONSTANT * normal_tail(z))


def log10_bound(z: float) -> float:
    """log10 of `tail_bound`, also where the bound itself is too small for a float."""
    if z <= 0.0:
        return 0.0
    hoeffding = -z * z / (2.0 * math.log(10.0))
    bound = tail_bound(z)
    return min(hoeffding, math.log10(bound)) if bound > 0.0 else hoeffding


def decoys(seed: bytes, count: int) -> U64:
    """`count` keys that nobody ever served, the same for the same `seed`: SHAKE-128 of it. Shape (count, 2)."""
    return (
        np.frombuffer(hashlib.shake_128(seed).digest(16 * count), "<u8").reshape(count, 2).astype(np.uint64)
    )


@dataclass(frozen=True, slots=True)
class Published:
    """A published test of the suspect alone: each distinct tuple once. `p` is exact, one-sided."""

    name: str
    p: float
    tuples: int
    mean: float
    """The mean score; what a key that was never seen gives is in the test's name."""


def published(suspect: Counts, key: bytes, kind: int) -> Published:
    """The de-duplicated test that was published for the mark.

    Red/green: green tuples are binomial (Sander et al. 2024, "Watermarking Makes Language Models Radioactive", section
    4.1). Gumbel: sum(-log(1 - U)) is Gamma (Aaronson 2022; Fernandez et al. 2023, "Three Bricks to Consolidate Watermarks
    for LLMs", section 3.2). Tournament: layers' bits are binomial (Dathathri et al. 2024, "Scalable watermarking for
    identifying large language model outputs", methods, mean score).
    """
    drawn = prf.draws(key, suspect.tuples)
    n = len(drawn)
    if kind == prf.BIT:
        green = int((drawn >> np.uint64(63)).sum())
        return Published(
            "share of green tuples, 0.5 by chance", fair_tail(green, n), n, green / n if n else 0.5
        )
    if kind == prf.UNIFORM:
        total = float(-np.log1p(-prf.unit(drawn)).sum())
        return Published("mean of -ln(1 - U), 1 by chance", gamma_tail(total, n), n, total / n if n else 1.0)
    ones = int(prf.layers(drawn).sum())
    bits = n * prf.LAYERS
    return Published(
        "share of ones in the layers, 0.5 by chance", fair_tail(ones, bits), n, ones / bits if n else 0.5
    )


def fair_tail(ones: int, n: int) -> float:
    """P(X >= ones) of n fair coins, exact to rounding. O(n)."""
    if 2 * ones <= n:
        return 1.0 - binomial_tail(n - ones + 1, n, 0.5)
    return binomial_tail(ones, n, 0.5)


def gamma_tail(x: float, n: int) -> float:
    """P(G >= x) of a sum of n exponentials of mean 1: e^-x sum over k < n of x^k / k!. O(n)."""
    if n == 0 or x <= 0.0:
        return 1.0
    k = np.arange(n, dtype=float)
    logs = k * math.log(x) - x - np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
    peak = float(logs.max())
    return min(1.0, math.exp(peak) * float(np.exp(logs - peak).sum()))
