"""A bucket of whole accounts, as an executor unpacks it: the functions of the embedded engine run on it as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from excise.model.tables import I64, U64, Accounts, Events, Exchanges, Habits, Systems, Traffic
from excise.settings import Settings
from excise.sketch.assemble import in_order, taken
from excise.sketch.blocks import unpack
from excise.sketch.lexicon import load_pack

PLACE_SHIFT: Final = 40
"""A place is the bucket and, in so many bits, the position in it: ascending places are the canonical order."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What every executor knows. `gone`: positions in a bucket of rows that repeat an id; `since` as in `assemble`."""

    settings: Settings
    systems: Systems
    since: int | None = None
    gone: Mapping[int, I64] = field(default_factory=dict)
    events: Events | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Whole accounts: their exchanges with `places`, account codes local to the bucket, and what these `hashes` are."""

    places: I64
    hashes: U64
    traffic: Traffic

    @property
    def number(self) -> int:
        """Which bucket this is; it has rows."""
        return int(self.places[0] >> PLACE_SHIFT)


def as_bucket(number: int, blocks: list[bytes], shared: Shared) -> Bucket:
    """Return the rows of a bucket in canonical order, without repeats."""
    rows = unpack(blocks)
    if shared.since is not None:
        rows = taken(rows, np.flatnonzero(rows.columns["at"] >= shared.since))
    rows = in_order(rows, shared.systems, load_pack())
    places = (number << PLACE_SHIFT) + np.arange(len(rows), dtype=np.int64)
    gone = shared.gone.get(number)
    if gone is not None:
        keep = np.ones(len(rows), np.bool_)
        keep[gone] = False
        rows, places = taken(rows, np.flatnonzero(keep)), places[keep]
    columns: dict[str, Any] = dict(rows.columns)
    account = columns.pop("account")
    new = np.append(True, account[1:] != account[:-1])[: len(account)]
    codes = (np.cumsum(new) - 1).astype(np.int32)
    lists: dict[str, Any] = dict(rows.lists)
    exchanges = Exchanges(**columns, account=codes, **lists)
    hashes = account[new]
    starts = np.append(0, np.cumsum(np.bincount(codes, minlength=len(hashes))))
    return Bucket(places, hashes, bare(exchanges, shared.systems, hashes, starts, shared.events))


def bare(
    exchanges: Exchanges, systems: Systems, hashes: U64, starts: I64, events: Events | None = None
) -> Traffic:
    """Return traffic of which nothing but exchanges (and events) is known."""
    n = len(hashes)
    unknown: dict[str, Any] = {name: np.zeros(n, np.uint64) for name in _HASHES}
    flags: dict[str, Any] = {name: np.zeros(n, np.uint8) for name in ("verified", "declared")}
    accounts = Accounts(
        name=np.full(n, "", object),
        hash=hashes,
        starts=starts,
        created=np.zeros(n, np.int64),
        **unknown,
        **flags,
    )
    none: list[Any] = [np.zeros(0, kind) for kind in (np.int64, np.uint8, np.int32, np.uint64)]
    habits: list[Any] = [np.zeros(0, kind) for kind in (np.uint64, np.int32, np.int32, np.float64)]
    return Traffic(exchanges, systems, Habits(*habits), accounts, events or Events(*none), (), frozenset())


_HASHES: Final = ("org", "owner", "mail", "payment", "signup_ip", "signup_net", "programme")


@dataclass(frozen=True, slots=True)
class Work:
    """What is made of every bucket (`mapInArrow` of `bucket int, blocks array<binary>`); `shared` is a broadcast."""

    shared: Any

    def buckets(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Bucket]:
        """Unpack the buckets of a partition, one at a time."""
        for batch in batches:
            for row in range(len(batch)):
                blocks = [b.as_buffer() for b in batch["blocks"][row].values]
                bucket = as_bucket(batch["bucket"][row].as_py(), blocks, self.shared.value)
                if len(bucket.places):
                    yield bucket
