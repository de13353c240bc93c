"""Packed rows become the tables of a scan, in canonical order: batches, files, threads and row order leave no trace.

Buckets are ranges of account hashes, so sorted buckets one after the other are the sorted whole: only a few buckets are
in memory at a time, and they are sorted in parallel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from excise.engine.embedded import map_ordered
from excise.engine.keys import repeated
from excise.engine.store import Column, Store
from excise.model.ragged import Ragged
from excise.model.tables import I32, I64, U64, Bool, Exchanges, Systems
from excise.sketch.blocks import COLUMNS, LISTS, Rows, unpack
from excise.sketch.gathering import Gathering
from excise.sketch.hashing import combine
from excise.sketch.lexicon import Lexicon

_CHUNK: Final = 1 << 20
"""Rows that are copied at a time when repeated ids are dropped."""
_SORTED_BITS: Final = 62
"""Bits of one number to sort by."""
FIXED: Final[dict[str, npt.DTypeLike]] = {
    **{name: kind for name, kind in COLUMNS if name != "cues"},
    "account": np.int32,
    "system": np.int32,
    "families": np.uint64,
}
"""Columns of `Exchanges` without the lists."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """The whole scan: exchanges in canonical order, hashes and names of the accounts by code, how many ids were duplicates."""

    exchanges: Exchanges
    systems: Systems
    account_hash: U64
    names: np.ndarray
    duplicates: int


def assemble(
    gathered: Gathering, lexicon: Lexicon, *, threads: int = 1, since: int | None = None
) -> Assembled:
    """Sort by account, time and exchange, and drop all but the first exchange of an id; the gathered rows are used up.

    An account of which only repeats were seen was not seen. `since`: rows before this time (microseconds) are left out.
    O(n log n) in the rows; memory for a few buckets beside what the store keeps in memory.
    """
    systems = gathered.systems()
    table = Table(gathered.store, gathered.rows, gathered.values)

    def order(bucket: int) -> Rows:
        rows = unpack(gathered.filled.take(bucket))
        if since is not None:
            rows = taken(rows, np.flatnonzero(rows.columns["at"] >= since))
        return in_order(rows, systems, lexicon)

    for rows in map_ordered(order, range(1 << gathered.bits), threads=threads):
        table.append(rows)
    exchanges, hashes = table.finish()
    repeats = later_of_each(exchanges.id)
    if len(repeats):
        keep = np.ones(len(exchanges), np.bool_)
        keep[repeats] = False
        exchanges, hashes = without(exchanges, hashes, keep, gathered.store)
    return Assembled(exchanges, systems, hashes, gathered.names_of(hashes), len(repeats))


def in_order(rows: Rows, systems: Systems, lexicon: Lexicon) -> Rows:
    """Sort the rows of one bucket; `account` stays a hash, `system` becomes a position, `cues` become `families`."""
    columns = dict(rows.columns)
    account = columns.pop("account")
    columns["system"] = _positions(systems.raw, columns.pop("system"))
    prompt_cues = np.append(systems.cues, np.uint64(0))[columns["system"]]
    columns["families"] = lexicon.families_of(columns.pop("cues") | prompt_cues)
    order = _by_account_and_time(account, columns["at"])
    order = _by_content(order, account, columns, rows.lists)
    return taken(Rows({**columns, "account": account}, rows.lists), order)


def _by_account_and_time(account: U64, at: I64) -> I64:
    """Return an order by account, then time; rows that are equal in both stand together in any order.

    Two sorts by one number each, which processors are quick at, take half the time of one by two.
    """
    order = np.argsort(account)
    account, at = account[order], at[order]
    rank = np.cumsum(account[1:] != account[:-1], dtype=np.int64)
    first = int(at.min()) if len(at) else 0
    bits = (int(at.max(initial=first)) - first).bit_length()
    if bits + (int(rank[-1]) if len(rank) else 0).bit_length() > _SORTED_BITS:
        return order[np.lexsort((at, account))]
    key = at - first
    key[1:] += rank << bits
    return order[np.argsort(key)]


def taken(rows: Rows, order: I64) -> Rows:
    """Return rows in another order (or a selection of them)."""
    columns = {name: column[order] for name, column in rows.columns.items()}
    return Rows(columns, {name: lists.take(order) for name, lists in rows.lists.items()})


def _positions(sorted_hashes: U64, wanted: U64) -> I32:
    distinct, back = np.unique(wanted, return_inverse=True)
    where = np.searchsorted(sorted_hashes, distinct)
    where = np.minimum(where, max(0, len(sorted_hashes) - 1))
    if not len(sorted_hashes):
        return np.full(len(wanted), -1, np.int32)
    return np.where(sorted_hashes[where] == distinct, where, -1).astype(np.int32)[back]


def _by_content(order: I64, account: U64, columns: dict[str, np.ndarray], lists: dict[str, Ragged]) -> I64:
    """Put rows of one account and one time into the order of all that they hold: theirs in the source must not matter.

    By id first, and by row where all else is equal. Few rows have such a twin; only they are sorted.
    """
    at = columns["at"]
    same = np.zeros(len(order), np.bool_)
    same[1:] = (account[order[1:]] == account[order[:-1]]) & (at[order[1:]] == at[order[:-1]])
    same[:-1] |= same[1:]
    rows = order[same]
    if not len(rows):
        return order
    scalars = {name: columns[name][rows].astype(np.uint64) for name in columns if name != "row"}
    digests = [_digest(lists[name].take(rows)) for name in LISTS]
    content = combine([*scalars.values(), *digests])
    rest = combine([scalars[name] for name in ("id", "doc", "session", "model", "client", "messages")])
    order[same] = rows[np.lexsort((columns["row"][rows], content, rest, at[rows], account[rows]))]
    return order


def _digest(lists: Ragged) -> U64:
    """One number for each list, by its values and not their order."""
    ends = np.append(np.zeros(1, np.uint64), np.cumsum(combine([lists.values]), dtype=np.uint64))
    return ends[lists.offsets[1:]] - ends[lists.offsets[:-1]] + lists.sizes().astype(np.uint64)


def later_of_each(ids: U64) -> I64:
    """Return the positions of ids that stand earlier already, ascending."""
    rows = repeated(ids)
    rows = rows[np.argsort(ids[rows], kind="stable")]
    return np.sort(rows[1:][ids[rows[1:]] == ids[rows[:-1]]])


def without(exchanges: Exchanges, hashes: U64, keep: Bool, store: Store) -> tuple[Exchanges, U64]:
    """Return the exchanges to keep, and the hashes of the accounts that still have one."""
    values = {name: len(getattr(exchanges, name).values) for name in LISTS}
    table = Table(store, int(keep.sum()), values)
    for start in range(0, len(keep), _CHUNK):
        rows = start + np.flatnonzero(keep[start : start + _CHUNK])
        columns = {name: getattr(exchanges, name)[rows] for name in FIXED}
        columns["account"] = hashes[columns["account"]]
        table.append(Rows(columns, {name: getattr(exchanges, name).take(rows) for name in LISTS}))
    return table.finish()


class Table:
    """The exchanges as they are written down, bucket by bucket, in ascending order of the accounts' hashes."""

    def __init__(self, store: Store, rows: int, values: dict[str, int]) -> None:
        self._columns: dict[str, Column] = {name: store.column(FIXED[name], rows) for name in FIXED}
        self._offsets = {name: store.column(np.int64, rows + 1) for name in LISTS}
        self._values = {name: store.column(np.uint64, values[name]) for name in LISTS}
        self._ends = dict.fromkeys(LISTS, 0)
        self._hashes: list[U64] = [np.zeros(0, np.uint64)]
        self._accounts, self._last = 0, np.uint64(0)
        for name in LISTS:
            self._offsets[name].append(np.zeros(1, np.int64))

    def append(self, rows: Rows) -> None:
        """Add sorted rows whose accounts are none of those before, or go on with the last of them."""
        if not len(rows):
            return
        for name in FIXED:
            self._columns[name].append(
                self._codes(rows.columns["account"]) if name == "account" else rows.columns[name]
            )
        for name, lists in rows.lists.items():
            self._offsets[name].append(lists.offsets[1:] + self._ends[name])
            self._values[name].append(lists.values)
            self._ends[name] += len(lists.values)

    def _codes(self, account: U64) -> I32:
        """Number the accounts as they come."""
        new = account != np.append(self._last, account[:-1])
        codes = self._accounts - 1 + np.cumsum(new)
        self._hashes.append(account[new])
        self._accounts, self._last = int(codes[-1]) + 1, account[-1]
        return codes.astype(np.int32)

    def finish(self) -> tuple[Exchanges, U64]:
        """Return the exchanges and the hashes of the accounts by code."""
        found: dict[str, Any] = {name: column.finish() for name, column in self._columns.items()}
        for name in LISTS:
            found[name] = Ragged(self._offsets[name].finish(), self._values[name].finish())
        return Exchanges(**found), np.concatenate(self._hashes)
