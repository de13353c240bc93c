"""Cue phrases: found in a stream of tokens by the hash of their tokens, in one pass and without the phrases themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from excise.sketch.hashing import jit, mix64
from excise.sketch.keys import BASE_KEY, CUE_KEY, sketch_keys
from excise.sketch.tokens import CARRY

U64 = npt.NDArray[np.uint64]

MAX_PHRASE: Final = 10
"""Most tokens of a cue phrase."""

_FILTER_SHIFT = np.uint64(48)
_LOW6, _SIX = np.uint64(63), np.uint64(6)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


@dataclass(frozen=True, slots=True)
class CueTable:
    """Phrases as the kernel looks them up: by the hash of their tokens, behind two filters of 2^16 bits each.

    `singles` filters the first token of one-token phrases, `pairs` the last two tokens of longer ones; `slots` and
    `groups` are an open-addressing table (hash, 0 where free -> bit mask of cue groups; for the last two tokens of longer
    phrases, bit mask of how many tokens these have); `longest` is in tokens.
    """

    seed: int
    singles: U64
    pairs: U64
    slots: U64
    groups: U64
    longest: int


@jit
def find_cues(tokens: Any, have: int, n: int, base: Any, salt: Any, cues: Any) -> Any:
    """Bit mask of the cue groups whose phrases end in the n new tokens."""
    singles, pairs, slots, groups, longest = cues
    found, before = np.uint64(0), tokens[CARRY - 1]
    for i in range(CARRY, CARRY + n):
        token = tokens[i]
        rolling = token + before * base
        before = token
        bit = token >> _FILTER_SHIFT
        if (singles[bit >> _SIX] >> (bit & _LOW6)) & _ONE:
            found |= _lookup(slots, groups, mix64(token ^ salt))
        bit = rolling >> _FILTER_SHIFT
        if (pairs[bit >> _SIX] >> (bit & _LOW6)) & _ONE:
            back = min(longest, i - CARRY + 1 + have)
            lengths = _lookup(slots, groups, mix64(rolling ^ ~salt)) & ((_ONE << np.uint64(back + 1)) - _ONE)
            power, j = base, 2
            while lengths >> np.uint64(j):
                if (lengths >> np.uint64(j)) & _ONE:
                    found |= _lookup(slots, groups, mix64(rolling ^ salt))
                power = power * base
                rolling = rolling + tokens[i - j] * power
                j += 1
    return found


@jit
def _lookup(slots: Any, groups: Any, key: Any) -> Any:
    last = np.uint64(len(slots) - 1)
    at = key & last
    while slots[at] != _ZERO:
        if slots[at] == key:
            return groups[at]
        at = (at + _ONE) & last
    return _ZERO


NO_CUES: Final = (
    np.zeros(1, np.uint64),
    np.zeros(1, np.uint64),
    np.zeros(1, np.uint64),
    np.zeros(1, np.uint64),
    0,
)


def phrase_hashes(tokens: U64, *, seed: int) -> tuple[int, int, int]:
    """Hash of a phrase and of its last two tokens as they stand in a cue table, and the number of its bit in the filter of its kind."""
    keys = sketch_keys(seed)
    base, salt, mask = int(keys[BASE_KEY]), int(keys[CUE_KEY]), (1 << 64) - 1
    rolling = 0
    for token in tokens.tolist():
        rolling = (rolling * base + token) & mask
    last = 0
    for token in tokens[-2:].tolist():
        last = (last * base + token) & mask
    value, pair = (int(mix64(np.uint64(x))) or 1 for x in (rolling ^ salt, last ^ salt ^ mask))
    return value, pair, last >> 48
