"""The narrow tables of numbers that an executor makes of a bucket: what Spark then joins and sums over all accounts."""

from __future__ import annotations

from collections.abc import Iterator
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
from excise.detect.pairs import distinct_holders
from excise.detect.phrases import first_said
from excise.detect.repeats import pack_key
from excise.model.tables import I64, U64, Exchanges, Systems
from excise.settings import Settings
from excise.sketch.available import SEEN, seen_columns
from excise.spark.buckets import Bucket, Work
from excise.spark.reading import signed, unsigned

NARROW: Final = "kind int, key long, a long, b long, c long, d long"
"""Schema of the narrow tables, one above the other; unused columns are 0. Hashes in signed numbers of the same bits."""

(
    SEEN_ACCOUNT,  # key: account; a: exchanges, b, c: times of the first and last, d: usual client
    CLIENT,  # key: client; a: account, b: requests, c: bits of the habits that they show
    REPEATED,  # key: token; a: account that repeats it
    USERS,  # key: token; a: accounts of this bucket that say it, b: the bucket
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
    PHRASE,  # key: token; a: account, b: text, c: runs of words there, as `phrases.first_said`
) = range(16)


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
    """Habits with their weights, early adopters and phrases (`NARROW`), of `bucket int, blocks array<binary>, kept array<…>, rare array<long>`."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Weigh the `kept` (token, account, users) of each bucket, and say who says the `rare` tokens, and where."""
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
                    rare = one["rare"].flatten()
                    if len(rare):
                        yield _phrases(bucket, rare.to_numpy())


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
    yield narrow(USERS, tokens[users > 0].astype(np.int64), users[users > 0], bucket.number)


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


def _phrases(bucket: Bucket, rare: I64) -> pa.RecordBatch:
    t = bucket.traffic
    token, account, text, runs = first_said(t.exchanges, t.systems, np.sort(rare.astype(np.uint64)))
    return narrow(PHRASE, token.astype(np.int64), signed(bucket.hashes[account]), text, runs)
