"""Samples of windows of tokens: sorted, distinct, the smallest hashes below a limit.

FracMinHash (Irber et al. 2022, "Lightweight compositional analysis of metagenomes with FracMinHash"): a hash is kept when
it is below 2^64 / rate, here the `cap` smallest of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from excise.sketch.hashing import jit, mix64
from excise.sketch.tokens import CARRY


@jit
def keep(sample: Any, start: int, count: int, cap: Any, value: Any) -> int:
    """Put a value into the ascending distinct sample at `start`, which holds the `cap` smallest; the new count."""
    at = start + count
    while at > start and sample[at - 1] > value:
        at -= 1
    if (at > start and sample[at - 1] == value) or at == start + cap:
        return count
    last = min(start + count, start + cap - 1)
    for i in range(last, at, -1):
        sample[i] = sample[i - 1]
    sample[at] = value
    return min(count + 1, cap)


@jit
def room_for(sample: Any, used: int, cap: int) -> Any:
    """Give the sample, or a copy twice as large when `cap` more would not fit."""
    if used + cap <= len(sample):
        return sample
    larger = np.empty(2 * len(sample) + cap, np.uint64)
    for i in range(used):  # a slice would take seconds to compile
        larger[i] = sample[i]
    return larger


@jit
def sample_windows(
    tokens: Any,
    have: int,
    n: int,
    width: int,
    base: Any,
    salt: Any,
    rule: Any,
    sample: Any,
    start: int,
    count: int,
) -> int:
    """Sample windows that end in the n new tokens; `have` (at most CARRY) tokens before them are real."""
    limit, cap = rule
    cap = np.int64(cap)
    power = np.uint64(1)
    for _ in range(width):
        power = power * base
    first = CARRY - min(have, width - 1)
    rolling = np.uint64(0)
    for i in range(first, CARRY + n):
        rolling = rolling * base + tokens[i]
        if i - width >= first:
            rolling = rolling - tokens[i - width] * power
        if i - first + 1 >= width:
            value = mix64(rolling ^ salt)
            if value <= limit and (count < cap or value < sample[start + cap - 1]):
                count = keep(sample, start, count, cap, value)
    return count


def limit_of(rate: int) -> np.uint64:
    """The largest hash that is kept at a rate of one in `rate`."""
    if rate < 1:
        raise ValueError("a sampling rate is one in a whole number of at least 1")
    return np.uint64((1 << 64) // rate - 1)
