"""Samples of windows of tokens: sorted, distinct, the smallest hashes below a limit.

FracMinHash (Irber et al. 2022, "Lightweight compositional analysis of metagenomes with FracMinHash"): a hash is kept when
it is below 2^64 / rate, here the `cap` smallest of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from excise.sketch.hashing import jit, mix64
from excise.sketch.tokens import CARRY

_BINS: Final = 64
_FEW: Final = 40
"""So many are sorted by counting, for each, how many are smaller: quadratic, and several at a time."""


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
def sample_windows(
    tokens: Any,
    have: int,
    n: int,
    width: int,
    base: Any,
    salt: Any,
    room: Any,
    cap: int,
    below: Any,
    count: int,
) -> tuple[int, Any]:
    """Draw windows that end in the n new tokens; `have` (at most CARRY) tokens before them are real.

    `room` as `drawing_room` gives it, with `count` hashes of at most `below` in no order; their new number and the new bound.
    A hash is written down in any case and counted if it is low enough: which one is low is chance, which no processor foresees.
    """
    drawn = room[0]
    power = np.uint64(1)
    for _ in range(width - 1):
        power = power * base
    first = CARRY - min(have, width - 1)
    full = first + width - 1
    rolling = np.uint64(0)
    for i in range(first, min(full, CARRY + n)):
        rolling = rolling * base + tokens[i]
    for i in range(full, CARRY + n):
        rolling = rolling * base + tokens[i]
        value = mix64(rolling ^ salt)
        rolling = rolling - tokens[i - width + 1] * power
        drawn[count] = value
        count += value <= below
        if count == 2 * cap:
            count = settle(room, count, cap, below)
            if count == cap:
                below = drawn[cap - 1]
    return count, below


def drawing_room(cap: int) -> tuple[Any, Any, Any]:
    """Room for the hashes that are drawn from one text, and to sort them."""
    return np.zeros(2 * cap + 1, np.uint64), np.zeros(2 * cap + 1, np.uint64), np.zeros(_BINS + 1, np.int64)


@jit
def settle(room: Any, count: int, cap: int, below: Any) -> int:
    """Sort what was drawn, drop repeats and all but the `cap` smallest; how many are left."""
    drawn, ordered, _ = room
    _nearly_sort(room, count, below)
    kept = 0
    for i in range(count):
        value, at = ordered[i], kept
        while at > 0 and drawn[at - 1] > value:
            at -= 1
        if at > 0 and drawn[at - 1] == value:
            continue
        for j in range(kept, at, -1):
            drawn[j] = drawn[j - 1]
        drawn[at] = value
        kept += 1
    return min(kept, cap)


@jit
def _nearly_sort(room: Any, count: int, below: Any) -> None:
    """Hashes are spread evenly from 0 to `below`: a few are sorted at once, more come into bins by their first bits."""
    drawn, ordered, ends = room
    if count <= _FEW:
        for i in range(count):
            value, rank = drawn[i], np.uint64(0)
            for j in range(count):
                rank += np.uint64(drawn[j] < value)
            for j in range(i):
                rank += np.uint64(drawn[j] == value)
            ordered[rank] = value
        return
    shift = np.uint64(0)
    while (below >> shift) >= np.uint64(_BINS):
        shift += np.uint64(1)
    for k in range(_BINS + 1):
        ends[k] = 0
    for i in range(count):
        ends[np.int64(drawn[i] >> shift) + 1] += 1
    for k in range(_BINS):
        ends[k + 1] += ends[k]
    for i in range(count):
        bin_ = np.int64(drawn[i] >> shift)
        ordered[ends[bin_]] = drawn[i]
        ends[bin_] += 1


def limit_of(rate: int) -> np.uint64:
    """The largest hash that is kept at a rate of one in `rate`."""
    if rate < 1:
        raise ValueError("a sampling rate is one in a whole number of at least 1")
    return np.uint64((1 << 64) // rate - 1)
