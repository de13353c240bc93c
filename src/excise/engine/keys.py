"""Sets of 64-bit keys that are met one after the other: which are new, and which may come again.

Key 0 stands for "absent" and is never in a set. `Seen` is exact; the
other functions may keep a key too many and never lose one, so that what follows has less to sort and the same result.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from excise.engine.memory import forget

U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]


class Seen:
    """A growing set. Memory: 16 to 32 bytes a key."""

    def __init__(self) -> None:
        self._table = np.zeros(1 << 12, np.uint64)
        self._count = 0

    def __len__(self) -> int:
        """Return the number of keys."""
        return self._count

    def add(self, keys: U64) -> Bool:
        """Put keys into the set; return which were not in it, the first time that each is met."""
        while 2 * (self._count + len(keys)) > len(self._table):
            larger = np.zeros(2 * len(self._table), np.uint64)
            _insert(larger, self._table)
            self._table = larger
        new = _insert(self._table, keys)
        self._count += int(new.sum())
        return new

    def has(self, keys: U64) -> Bool:
        """Return which keys are in the set. While another thread adds some, it may not know of these yet."""
        return _find(self._table, keys)


@numba.njit(cache=True, nogil=True)
def _insert(table: U64, keys: U64) -> Bool:
    new, mask = np.zeros(len(keys), np.bool_), np.uint64(len(table) - 1)
    for i in range(len(keys)):
        if keys[i] == 0:
            continue
        slot = _spread(keys[i]) & mask
        while table[slot] != 0 and table[slot] != keys[i]:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] == 0:
            table[slot] = keys[i]
            new[i] = True
    return new


@numba.njit(cache=True, nogil=True)
def _find(table: U64, keys: U64) -> Bool:
    found, mask = np.zeros(len(keys), np.bool_), np.uint64(len(table) - 1)
    for i in range(len(keys)):
        slot = _spread(keys[i]) & mask
        while table[slot] != 0 and table[slot] != keys[i]:
            slot = (slot + np.uint64(1)) & mask
        found[i] = table[slot] != 0
    return found


@numba.njit(inline="always")
def _spread(key: np.uint64) -> np.uint64:
    """Mix a key: callers' keys may be small numbers."""
    mixed = (key ^ (key >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(29))


_ONCE, _AGAIN = np.uint8(1), np.uint8(2)
_RECENT = 1 << 12
_PIECE = 1 << 23


def repeated(keys: U64) -> I64:
    """Return the positions of keys that may come more than once (all that do, and about one in eight of the others)."""
    state = _states(len(keys))
    _count(state, keys)
    return _select(state, keys)


def shared(keys: U64, holders: I32) -> I64:
    """Return positions that hold, for each key of two and more holders, every holder at least once, and few others.

    Best where equal holders stand together, as in canonical order. A holder that repeats a key counts once where the
    repetition is near, which saves the most and need not be exact.
    """
    state = _states(len(keys))
    kept = _count_holders(state, keys, holders)
    return kept[_select(state, keys[kept])]


def common(keys: U64, others: U64) -> I64:
    """Return the positions of `keys` that may be among `others` (all that are, and about one in eight of the rest).

    Where they lie in files, only a piece of them is in memory at a time.
    """
    state, found = _states(len(others)), [np.zeros(0, np.int64)]
    for start in range(0, len(others), _PIECE):
        _count(state, others[start : start + _PIECE])
        forget(others)
    for start in range(0, len(keys), _PIECE):
        found.append(start + _select_any(state, keys[start : start + _PIECE]))
        forget(keys)
    return np.concatenate(found)


def _states(keys: int) -> U8:
    """Two bits for each of 8 to 16 slots a key, up to 2^32: not met, once, again."""
    size = 1 << 6
    while size < 8 * keys and size < 1 << 32:
        size *= 2
    return np.zeros(size >> 2, np.uint8)


@numba.njit(inline="always")
def _place(state: U8, key: np.uint64) -> tuple[np.uint64, np.uint8]:
    """Return the byte and the shift of a key's slot."""
    slot = _spread(key) & np.uint64(4 * len(state) - 1)
    return slot >> np.uint64(2), np.uint8((slot & np.uint64(3)) * np.uint64(2))


@numba.njit(inline="always")
def _met(state: U8, key: np.uint64) -> np.uint8:
    at, shift = _place(state, key)
    return (state[at] >> shift) & np.uint8(3)


@numba.njit(inline="always")
def _meet(state: U8, key: np.uint64) -> None:
    at, shift = _place(state, key)
    if (state[at] >> shift) & np.uint8(3) < _AGAIN:
        state[at] += _ONCE << shift


@numba.njit(cache=True, nogil=True)
def _count(state: U8, keys: U64) -> None:
    for key in keys:
        if key != 0:
            _meet(state, key)


@numba.njit(cache=True, nogil=True)
def _count_holders(state: U8, keys: U64, holders: I32) -> I64:
    """Count keys, but not one that its holder had recently; return the positions that were counted."""
    recent, owner = np.zeros(_RECENT, np.uint64), np.zeros(_RECENT, np.int32)
    kept, n = np.empty(len(keys), np.int64), 0
    for i in range(len(keys)):
        key = keys[i]
        if key == 0:
            continue
        slot = _spread(key) >> np.uint64(52)
        if recent[slot] == key and owner[slot] == holders[i]:
            continue
        recent[slot], owner[slot] = key, holders[i]
        _meet(state, key)
        kept[n] = i
        n += 1
    return kept[:n].copy()


@numba.njit(cache=True, nogil=True)
def _select(state: U8, keys: U64) -> I64:
    out, n = np.empty(len(keys), np.int64), 0
    for i in range(len(keys)):
        if keys[i] != 0 and _met(state, keys[i]) == _AGAIN:
            out[n] = i
            n += 1
    return out[:n].copy()


@numba.njit(cache=True, nogil=True)
def _select_any(state: U8, keys: U64) -> I64:
    out, n = np.empty(len(keys), np.int64), 0
    for i in range(len(keys)):
        if keys[i] != 0 and _met(state, keys[i]) > 0:
            out[n] = i
            n += 1
    return out[:n].copy()


@numba.njit(cache=True, nogil=True)
def count_distinct(owner: I32, keys: U64, owners: int) -> I64:
    """Return how many different keys, 0 left out, each of `owners` has. Equal owners stand together, ascending. Linear."""
    out, table = np.zeros(owners, np.int64), np.zeros(64, np.uint64)
    start = 0
    while start < len(keys):
        end, size = start, 64
        while end < len(keys) and owner[end] == owner[start]:
            end += 1
        while size < 2 * (end - start):
            size *= 2
        if size > len(table):
            table = np.zeros(size, np.uint64)
        mask, n = np.uint64(size - 1), 0
        for row in range(start, end):
            key = keys[row]
            if key == 0:
                continue
            slot = _spread(key) & mask
            while table[slot] != 0 and table[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            if table[slot] == 0:
                table[slot] = key
                n += 1
        for slot in range(size if n else 0):
            table[slot] = 0
        out[owner[start]] = n
        start = end
    return out


def group(owner: I32, keys: U64) -> tuple[I32, U64, I64, I64]:
    """Return the distinct (owner, key) by owner, then key, with how often each comes; and for each row its place among them.

    Equal owners stand together, ascending, as in canonical order: so only the keys of one owner are sorted at a time.
    """
    of_row = np.empty(len(keys), np.int64)
    return *_group(np.asarray(owner), np.asarray(keys), of_row), of_row


@numba.njit(cache=True, nogil=True)
def _group(owner: I32, keys: U64, of_row: I64) -> tuple[I32, U64, I64]:
    who, what, count = (
        np.empty(len(keys), np.int32),
        np.empty(len(keys), np.uint64),
        np.empty(len(keys), np.int64),
    )
    order = np.empty(len(keys), np.int64)
    n, start = 0, 0
    while start < len(keys):
        end, alike = start, True
        while end < len(keys) and owner[end] == owner[start]:
            alike = alike and keys[end] == keys[start]
            end += 1
        if alike:
            who[n], what[n], count[n] = owner[start], keys[start], end - start
            for row in range(start, end):
                of_row[row] = n
            n, start = n + 1, end
            continue
        for row in range(start, end):
            order[row - start] = row
        sort_by(keys, order, end - start)
        for k in range(end - start):
            row = order[k]
            if k == 0 or keys[row] != what[n - 1]:
                who[n], what[n], count[n] = owner[row], keys[row], 0
                n += 1
            count[n - 1] += 1
            of_row[row] = n - 1
        start = end
    return who[:n].copy(), what[:n].copy(), count[:n].copy()


@numba.njit(cache=True, nogil=True)
def sort_by(keys: U64, order: I64, n: int) -> None:
    """Put the first n positions of `order` into the order of their keys: by heap (Williams 1964), which compiles in no time."""
    for root in range(n // 2 - 1, -1, -1):
        _sift(keys, order, root, n)
    for last in range(n - 1, 0, -1):
        order[0], order[last] = order[last], order[0]
        _sift(keys, order, np.int64(0), last)


@numba.njit(cache=True, nogil=True)
def _sift(keys: U64, order: I64, root: int, n: int) -> None:
    moved = order[root]
    while 2 * root + 1 < n:
        child = 2 * root + 1
        if child + 1 < n and keys[order[child + 1]] > keys[order[child]]:
            child += 1
        if keys[order[child]] <= keys[moved]:
            break
        order[root] = order[child]
        root = child
    order[root] = moved
