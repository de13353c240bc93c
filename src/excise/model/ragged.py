"""Lists of hashes of unequal length, flat in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ragged:
    """`n` lists of hashes in one array: list i is `values[offsets[i]:offsets[i + 1]]`."""

    offsets: I64
    values: U64

    def __len__(self) -> int:
        """Return the number of lists."""
        return len(self.offsets) - 1

    def sizes(self) -> I64:
        """Return the length of each list."""
        return np.diff(self.offsets)

    def owners(self) -> I64:
        """Return, for each value, the list that holds it. As long as the values: for lists that are short or few."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.sizes())

    def owners_of(self, positions: I64) -> I64:
        """Return the lists that hold the values at these positions."""
        return np.searchsorted(self.offsets, positions, side="right") - 1

    def take(self, order: npt.NDArray[np.integer]) -> Ragged:
        """Return the lists in another order (or a selection of them)."""
        offsets = np.zeros(len(order) + 1, np.int64)
        np.cumsum((self.offsets[1:] - self.offsets[:-1])[order], out=offsets[1:])
        values = np.empty(offsets[-1], np.uint64)
        _copy(self.offsets, self.values, np.asarray(order, np.int64), np.arange(len(order)), offsets, values)
        return Ragged(offsets, values)


def gather(parts: Sequence[Ragged], part: I64, position: I64) -> Ragged:
    """Return list `position[i]` of `parts[part[i]]` for each i, copying every value once. Linear in lists and values."""
    offsets = np.zeros(len(part) + 1, np.int64)
    by_part = np.argsort(part, kind="stable")
    ends = np.searchsorted(part[by_part], np.arange(len(parts) + 1))
    mine = [by_part[ends[k] : ends[k + 1]] for k in range(len(parts))]
    for k, source in enumerate(parts):
        offsets[1:][mine[k]] = source.sizes()[position[mine[k]]]
    np.cumsum(offsets, out=offsets)
    values = np.empty(offsets[-1], np.uint64)
    for k, source in enumerate(parts):
        _copy(source.offsets, source.values, position, mine[k], offsets, values)
    return Ragged(offsets, values)


@numba.njit(cache=True, nogil=True)
def _copy(from_offsets: I64, from_values: U64, position: I64, into: I64, offsets: I64, values: U64) -> None:
    for i in into:
        start = from_offsets[position[i]]
        for n in range(offsets[i + 1] - offsets[i]):
            values[offsets[i] + n] = from_values[start + n]
