"""What each key of a seed is for, in the sketch of a text. Every use has a key of its own, so that no hash says another."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from excise.sketch.hashing import keys_of
from excise.sketch.tokens import KEYS as TOKEN_KEYS

BASE_KEY, DOC_KEY, NARROW_KEY, WIDE_KEY, EDGE_KEY, MARK_KEY, CUE_KEY = range(TOKEN_KEYS, TOKEN_KEYS + 7)
_COUNT: Final = TOKEN_KEYS + 7


def sketch_keys(seed: int) -> npt.NDArray[np.uint64]:
    """Derive the keys of a sketch: u64[10], those of the tokens first."""
    return keys_of(seed, _COUNT)
