"""What an executor does with a bucket: whole accounts in canonical order, from which narrow tables of numbers are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from excise.detect import header_contradiction, multiplicity, pivot
from excise.detect.client import usual_key
from excise.detect.habits import (
    count_users,
    every_distinct_text,
    repeated_keys,
    weigh_habits,
)
from excise.detect.matching import Held, count_uses, match_rows
from excise.detect.pairs import distinct_holders
from excise.detect.repeats import pack_key
from excise.model.clusters import WRAPPED
from excise.model.ragged import Ragged
from excise.model.tables import I64, U64, Accounts, Bool, Events, Exchanges, Habits, Systems, Traffic
from excise.settings import Settings
from excise.sketch.assemble import in_order, taken
from excise.sketch.available import SEEN, seen_columns
from excise.sketch.blocks import Rows, unpack
from excise.sketch.lexicon import load_pack
from excise.spark.reading import signed, to_stream, unsigned

NARROW: Final = "kind int, key long, a long, b long, c long, d long"
"""Schema of the narrow tables, one above the other; unused columns are 0. Hashes in signed numbers of the same bits."""

(
    SEEN_ACCOUNT,  # key: account; a: exchanges, b, c: times of the first and last, d: usual client
    CLIENT,  # key: client; a: account, b: requests, c: bits of the habits that they show
    REPEATED,  # key: token; a: account that repeats it
    USERS,  # key: token; a: accounts of this bucket that say it
    SESSION,  # key: session; a: account (each pair once a bucket, also of the next two)
    DEVICE,
    NET,
    TEXT,  # key: text; a: account, b: time, c: place, of every exchange with a text that is long enough
    SAID,  # key: run of words in an answer; a: account, b: time of the first
    HEARD,  # key: run of words in a request; a: account, b: time, c: place
    GIVEN,  # key: block; a: account, b: session, c: place
    REPLAYED,
    EVIDENCE,  # key: position in `SEEN` of a column that holds values
    HABIT,  # key: token; a: account, b: users, c: bits of the weight
    ADOPTER,  # key: account; a: 1 early, b: 1 could have been, c: calls then
) = range(15)

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


def whole_rows(number: int, blocks: list[bytes], shared: Shared) -> tuple[Rows, I64]:
    """Return the rows of a bucket in canonical order with their places, before repeats are left out."""
    rows = unpack(blocks)
    if shared.since is not None:
        rows = taken(rows, np.flatnonzero(rows.columns["at"] >= shared.since))
    rows = in_order(rows, shared.systems, load_pack())
    return rows, (number << PLACE_SHIFT) + np.arange(len(rows), dtype=np.int64)


def as_bucket(number: int, blocks: list[bytes], shared: Shared) -> Bucket:
    """Return a bucket without its repeats."""
    rows, places = whole_rows(number, blocks, shared)
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


class Ids(Work):
    """Where each id stands (`id long, place long`)."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Say so of every row, repeats included."""
        for bucket in self.buckets(batches):
            yield pa.record_batch({"id": signed(bucket.traffic.exchanges.id), "place": bucket.places})


class Survey(Work):
    """The narrow tables that need no other bucket (`NARROW`)."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Make them of each bucket."""
        settings = self.shared.value.settings
        for bucket in self.buckets(batches):
            yield _accounts(bucket)
            yield _clients(bucket)
            yield from _habits(bucket, settings)
            yield from _holders(bucket)
            yield _texts(bucket, settings)
            yield from _runs(bucket)
            yield from _blocks(bucket)
            there = seen_columns(bucket.traffic.exchanges)
            yield narrow(EVIDENCE, np.array([k for k, name in enumerate(SEEN) if name in there], np.int64))


class Weights(Work):
    """Habits with their weights, and early adopters (`NARROW`), of `bucket int, blocks array<binary>, kept array<…>`."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Weigh the `kept` (token, account, users) of each bucket."""
        p = pivot.DETECTOR.settings(self.shared.value.settings.detect.get(pivot.DETECTOR.id, {}))
        within = int(p["within_hours"]) * pivot.HOUR
        for batch in batches:
            for row in range(len(batch)):
                one = batch.slice(row, 1)
                for bucket in self.buckets(iter([one])):
                    yield _adopters(bucket, within)
                    kept = one["kept"].flatten()
                    if len(kept):
                        yield _weights(bucket, *(kept.field(k).to_numpy() for k in range(3)))


@dataclass(frozen=True, slots=True)
class Uses(Work):
    """How often accounts use a wrapper of clusters that they are not in (`pair long, uses long`)."""

    asked: Any = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Count for the pairs whose accounts are in these buckets."""
        tokens, account, cluster = self.asked.value
        for bucket in self.buckets(batches):
            mine = np.flatnonzero(np.isin(account, bucket.hashes))
            if len(mine):
                code = np.searchsorted(bucket.hashes, account[mine]).astype(np.int32)
                uses = count_uses(bucket.traffic, tokens, code, cluster[mine])
                yield pa.record_batch({"pair": mine, "uses": uses})


@dataclass(frozen=True, slots=True)
class Members(Work):
    """The exchanges of accounts in clusters: how many there are, and an Arrow stream of them.

    Without what only matching and echoes read: marks, runs of words, and the shingles of exchanges that do not hold their
    cluster's wrapper. `clustered` is a broadcast of these accounts' hashes (ascending) and clusters, and of the clusters' tokens.
    """

    clustered: Any = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give those of each bucket."""
        hashes, cluster, tokens = self.clustered.value
        for bucket in self.buckets(batches):
            where = np.minimum(np.searchsorted(hashes, bucket.hashes), len(hashes) - 1)
            label = np.where(hashes[where] == bucket.hashes, cluster[where], -1).astype(np.int32)
            rows = np.flatnonzero(label[bucket.traffic.exchanges.account] >= 0)
            if len(rows):
                table = _table(bucket, rows, match_rows(bucket.traffic, tokens, label))
                counts = {name: len(table[name].combine_chunks().flatten()) for name in _CARRIED}
                one = {"rows": len(rows), **counts}
                yield pa.record_batch(
                    {
                        "bucket": pa.array([int(bucket.places[0] >> PLACE_SHIFT)], pa.int32()),
                        **{name: pa.array([count], pa.int64()) for name, count in one.items()},
                        "data": pa.array([to_stream(table)]),
                    }
                )


_CARRIED: Final = ("shingles", "emitted", "replayed")


def _table(bucket: Bucket, rows: I64, held: Held) -> pa.Table:
    e = bucket.traffic.exchanges
    columns: dict[str, Any] = {"place": bucket.places[rows], "account": bucket.hashes[e.account[rows]]}
    columns["matched"], columns["wrapper"] = (column[rows] for column in held)
    for name in Exchanges.__dataclass_fields__:
        value = getattr(e, name)
        if name in _CARRIED:
            lists = value.take(rows)
            if name == "shingles":
                lists = _emptied(lists, columns["matched"] < WRAPPED)
            columns[name] = pa.LargeListArray.from_arrays(pa.array(lists.offsets), pa.array(lists.values))
        elif not isinstance(value, Ragged) and name != "account":
            columns[name] = value[rows]
    return pa.table(columns)


def _emptied(lists: Ragged, which: Bool) -> Ragged:
    """Return lists of which some hold nothing."""
    sizes = np.where(which, 0, lists.sizes())
    return Ragged(np.append(0, np.cumsum(sizes)), lists.values[np.repeat(~which, lists.sizes())])


def rows_of(table: pa.Table) -> tuple[Rows, I64, Held]:
    """Undo `_table`: rows whose `account` is a hash and whose other lists are empty, their places, and what they hold."""
    flat = {name: table[name].combine_chunks() for name in table.column_names}
    places = flat.pop("place").to_numpy()
    held = flat.pop("matched").to_numpy(), flat.pop("wrapper").to_numpy()
    empty = Ragged(np.zeros(len(places) + 1, np.int64), np.zeros(0, np.uint64))
    lists = {"marks": empty, "wide_in": empty, "wide_out": empty}
    for name in _CARRIED:
        column = flat.pop(name)
        lists[name] = Ragged(column.offsets.to_numpy(), column.values.to_numpy())
    return Rows({name: column.to_numpy() for name, column in flat.items()}, lists), places, held


def narrow(kind: int, key: I64, a: Any = 0, b: Any = 0, c: Any = 0, d: Any = 0) -> pa.RecordBatch:
    """Return rows of one kind; a single value stands in every row."""
    n = len(key)
    wide = {
        name: np.broadcast_to(np.asarray(v, np.int64), n)
        for name, v in zip("abcd", (a, b, c, d), strict=True)
    }
    return pa.record_batch({"kind": np.full(n, kind, np.int32), "key": np.asarray(key, np.int64), **wide})


def _accounts(bucket: Bucket) -> pa.RecordBatch:
    a, at = bucket.traffic.accounts, bucket.traffic.exchanges.at
    first, last = at[a.starts[:-1]], at[a.starts[1:] - 1]
    usual = signed(usual_key(bucket.traffic))
    return narrow(SEEN_ACCOUNT, signed(bucket.hashes), a.volume(), first, last, usual)


def _clients(bucket: Bucket) -> pa.RecordBatch:
    user, client, uses, habits = header_contradiction.client_habits(bucket.traffic.exchanges)
    bits = sum((has.astype(np.int64) << k for k, has in enumerate(habits)), np.zeros(len(user), np.int64))
    return narrow(CLIENT, signed(client), signed(bucket.hashes[user]), uses, bits)


def _habits(bucket: Bucket, settings: Settings) -> Iterator[pa.RecordBatch]:
    e, s = bucket.traffic.exchanges, bucket.traffic.systems
    texts = every_distinct_text(e)
    keys = repeated_keys(e, s, texts, settings.habits.repeats)
    token, code = (keys >> np.uint64(24)).astype(np.int64), (keys & np.uint64(0xFFFFFF)).astype(np.int64)
    yield narrow(REPEATED, token, signed(bucket.hashes[code]))
    tokens = _tokens(e, s)
    users = count_users(e, s, texts, tokens)
    yield narrow(USERS, tokens[users > 0].astype(np.int64), users[users > 0])


def _tokens(e: Exchanges, s: Systems) -> U64:
    """Return every token that is said in a bucket, as the upper 40 bits of a key, ascending."""
    prompts = np.unique(e.system[e.system >= 0])
    parts = (e.shingles.values, e.marks.values, s.shingles.take(prompts).values, s.marks.take(prompts).values)
    return np.unique(_key(np.concatenate(parts)) >> np.uint64(24))


def _key(tokens: U64) -> U64:
    pack: Any = pack_key
    return np.asarray(pack.py_func(tokens, np.uint64(0)), np.uint64)


def _holders(bucket: Bucket) -> Iterator[pa.RecordBatch]:
    e = bucket.traffic.exchanges
    device = np.where(e.relay == 1, np.uint64(0), e.device)  # as `handover.tie` reads it
    for kind, keys in ((SESSION, e.session), (DEVICE, device), (NET, e.net)):
        key, account, _ = distinct_holders(keys, e.account)
        yield narrow(kind, signed(key), signed(bucket.hashes[account]))


def _texts(bucket: Bucket, settings: Settings) -> pa.RecordBatch:
    e = bucket.traffic.exchanges
    p = multiplicity.DETECTOR.settings(settings.detect.get(multiplicity.DETECTOR.id, {}))
    rows = np.flatnonzero((e.tokens >= p["least_tokens"]) & (e.doc != 0))
    return narrow(TEXT, signed(e.doc[rows]), *_where(bucket, rows))


def _where(bucket: Bucket, rows: I64) -> tuple[I64, I64, I64]:
    e = bucket.traffic.exchanges
    return signed(bucket.hashes[e.account[rows]]), e.at[rows], bucket.places[rows]


def _runs(bucket: Bucket) -> Iterator[pa.RecordBatch]:
    e = bucket.traffic.exchanges
    rows = e.wide_out.owners()
    order = np.lexsort((e.at[rows], e.account[rows], e.wide_out.values))
    run, rows = e.wide_out.values[order], rows[order]
    account = e.account[rows]
    new = np.append(True, (run[1:] != run[:-1]) | (account[1:] != account[:-1]))[: len(run)]
    yield narrow(SAID, signed(run[new]), signed(bucket.hashes[account[new]]), e.at[rows[new]])
    yield narrow(HEARD, signed(e.wide_in.values), *_where(bucket, e.wide_in.owners()))


def _blocks(bucket: Bucket) -> Iterator[pa.RecordBatch]:
    e = bucket.traffic.exchanges
    for kind, lists in ((GIVEN, e.emitted), (REPLAYED, e.replayed)):
        account, _, place = _where(bucket, rows := lists.owners())
        yield narrow(kind, signed(lists.values), account, signed(e.session[rows]), place)


def _adopters(bucket: Bucket, within: int) -> pa.RecordBatch:
    early, could, calls = pivot.early_adopters(bucket.traffic, within=within)
    told = np.flatnonzero(could | early | (calls > 0))
    return narrow(ADOPTER, signed(bucket.hashes[told]), early[told], could[told], calls[told])


def _weights(bucket: Bucket, token: I64, account: I64, users: I64) -> pa.RecordBatch:
    e, s = bucket.traffic.exchanges, bucket.traffic.systems
    code = np.searchsorted(bucket.hashes, unsigned(account)).astype(np.uint64)
    keys = token.astype(np.uint64) << np.uint64(24) | code
    order = np.argsort(keys)
    h = weigh_habits(
        e, s, every_distinct_text(e), keys[order], users[order].astype(np.int32), len(bucket.hashes)
    )
    return narrow(
        HABIT, h.token.astype(np.int64), signed(bucket.hashes[h.account]), h.spread, h.weight.view(np.int64)
    )
