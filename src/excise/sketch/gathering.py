"""Between the reading of texts and the sort: packed rows in buckets, and each account's name and system prompt once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from excise.engine.keys import Seen
from excise.engine.store import Buckets, Memory, Readable, Store
from excise.model.ragged import Ragged, gather
from excise.model.tables import I64, U64, Systems
from excise.sketch.blocks import LISTS, Rows, pack

ROWS_A_BUCKET = 1 << 18
"""A bucket is sorted at once: at most so many rows, some 100 MB, for a few threads (a giant account makes its bucket larger)."""
MOST_BITS = 8
"""256 buckets at most: each may be an open file."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a batch leaves behind: packed rows by bucket, with their number, the values of each list and the latest time.

    `accounts` (hashes) and `names`, and `systems`, are the distinct ones of the batch.
    """

    blocks: list[tuple[int, bytes]]
    rows: int
    values: dict[str, int]
    latest: int
    accounts: U64
    names: pa.Array
    systems: Systems


def packed(rows: Rows, bits: int, accounts: U64, names: pa.Array, systems: Systems) -> Piece:
    """Return the piece of a batch."""
    return Piece(
        pack(rows, bits),
        len(rows),
        {name: len(rows.lists[name].values) for name in LISTS},
        int(rows.columns["at"].max(initial=0)),
        accounts,
        names,
        systems,
    )


def bits_for(rows: int) -> int:
    """Return how many bits of the account's hash choose the bucket, for so many rows in all."""
    return min(MOST_BITS, max(0, (max(rows, 1) - 1) // ROWS_A_BUCKET).bit_length())


@dataclass(slots=True)
class Gathering:
    """Everything that was read so far; `bits` as in `bits_for`. `source`: rows that lie elsewhere already, none are added."""

    bits: int
    store: Store = field(default_factory=Memory)
    rows: int = 0
    latest: int = 0
    values: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LISTS, 0))
    source: Readable | None = None
    _buckets: Buckets | None = None
    _accounts: list[U64] = field(default_factory=list)
    _names: list[pa.Array] = field(default_factory=list)
    _systems: list[Systems] = field(default_factory=list)
    _known_accounts: Seen = field(default_factory=Seen)
    known_systems: Seen = field(default_factory=Seen)

    @property
    def filled(self) -> Readable:
        """The packed rows, to be read."""
        return self.source or self.buckets

    @property
    def buckets(self) -> Buckets:
        """The packed rows, to be added to."""
        if self._buckets is None:
            self._buckets = self.store.buckets(1 << self.bits)
        return self._buckets

    @property
    def accounts(self) -> int:
        """How many accounts were met."""
        return len(self._known_accounts)

    def add(self, piece: Piece) -> None:
        """Keep a piece; the order of pieces leaves no trace in what is assembled."""
        for bucket, block in piece.blocks:
            self.buckets.put(bucket, block)
        self.rows += piece.rows
        self.latest = max(self.latest, piece.latest)
        for name, count in piece.values.items():
            self.values[name] += count
        self.learn(piece.accounts, piece.names, piece.systems)

    def learn(self, accounts: U64, names: pa.Array, systems: Systems) -> None:
        """Keep the accounts and system prompts that were not met before."""
        new = np.flatnonzero(self._known_accounts.add(accounts))
        if len(new):
            self._accounts.append(accounts[new])
            self._names.append(names.take(pa.array(new)))
        new = np.flatnonzero(self.known_systems.add(systems.raw))
        if len(new):
            self._systems.append(take_systems(systems, new))

    def known(self) -> tuple[U64, pa.Array]:
        """Return the hashes and names of all accounts, as they were met."""
        none = np.zeros(0, np.uint64)
        return np.concatenate([none, *self._accounts]), pa.chunked_array(
            self._names, pa.string()
        ).combine_chunks()

    def systems(self) -> Systems:
        """Return the distinct system prompts, ascending by the hash of their bytes."""
        self._systems = [merge_systems(self._systems)]
        return self._systems[0]

    def names_of(self, accounts: U64) -> np.ndarray:
        """Return the names of accounts (hashes, ascending, all of them met): objects[n]. They are given away."""
        known, names = self.known()
        self._accounts, self._names = [], []
        order = np.argsort(known)
        place = order[np.searchsorted(known[order], accounts)] if len(accounts) else order[:0]
        return names.take(pa.array(place)).to_numpy(zero_copy_only=False)


def take_systems(systems: Systems, rows: I64) -> Systems:
    """Return some of the system prompts."""
    return Systems(
        systems.raw[rows], systems.doc[rows], systems.tokens[rows], systems.cues[rows],
        systems.shingles.take(rows), systems.marks.take(rows),
    )  # fmt: skip


def merge_systems(parts: Sequence[Systems]) -> Systems:
    """Return system prompts of several batches, each there once, ascending by the hash of their bytes."""
    if not parts:
        none, empty = np.zeros(0, np.uint64), Ragged(np.zeros(1, np.int64), np.zeros(0, np.uint64))
        return Systems(none, none, np.zeros(0, np.uint32), none, empty, empty)
    raw = np.concatenate([p.raw for p in parts])
    order = np.argsort(raw)
    ends = np.cumsum([len(p.raw) for p in parts])
    part = np.searchsorted(ends, order, side="right")
    places = part, order - np.append(0, ends)[part]
    return Systems(
        raw[order],
        np.concatenate([p.doc for p in parts])[order],
        np.concatenate([p.tokens for p in parts])[order],
        np.concatenate([p.cues for p in parts])[order],
        gather([p.shingles for p in parts], *places),
        gather([p.marks for p in parts], *places),
    )
