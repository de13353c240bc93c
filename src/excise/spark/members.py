"""What an executor does with a bucket once there are clusters: count uses of their wrappers, say what is asked of its accounts, name the harvest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from excise.detect import (
    address,
    block_replay,
    displacement,
    elicitation,
    flat_rhythm,
    handover,
    lifecycle,
    no_consumer,
    prompt_novelty,
    relay_signature,
    synchrony,
)
from excise.detect.matching import Held, count_uses, match_rows
from excise.detect.repeats import LOW
from excise.judge import decide, facts
from excise.judge.campaigns import life_of
from excise.judge.harvest import harvest_rows
from excise.model.clusters import WRAPPED, Clusters, Edges
from excise.model.tables import I32, I64, U64, Bool, Traffic
from excise.spark.buckets import Bucket, Work
from excise.spark.reading import signed, to_stream
from excise.spark.survey import NARROW, narrow

Answer = Callable[[Traffic, Clusters], tuple[np.ndarray, ...]]
EACH: Final[dict[str, Answer]] = {
    address.CALLS: address.calls,
    handover.CARRIES: handover.carries,
    relay_signature.SIGNED: relay_signature.signed,
    block_replay.BLOCKS: block_replay.has_blocks,
    flat_rhythm.PACE: flat_rhythm.pace,
    displacement.FIRST: displacement.first_wrapped,
    lifecycle.LIVES: lifecycle.lives,
    facts.WORLDS: facts.worlds,
    decide.HOLDERS: decide.holders,
}
"""What is asked of each account in a cluster, by the name of the answer (`Traffic.ask`): columns of one value an account."""
SUMS: Final[dict[str, Answer]] = {
    elicitation.ASKING: elicitation.count_asking,
    no_consumer.SINGLE: no_consumer.count_single,
    facts.COUNTS: facts.count_wrapped,
}
"""What is asked of each cluster and may be added up over its accounts."""
ANSWERS: Final = f"{NARROW}, data binary"
"""Schema of answers: Arrow streams (`key`: the bucket) of the first three kinds, and narrow tables."""

(
    OF_ACCOUNTS,  # account (position among those in clusters), columns of `EACH`
    OF_CLUSTERS,  # cluster, columns of `SUMS`
    AT_WORK,  # account, hour: as `synchrony.active_hours`
    WRAPPED_ROW,  # key: text; a: cluster, b: account, c: time, d: system prompt, of every wrapped exchange
    FRESH,  # key: as `prompt_novelty.first_holders`; a: time, b: id, c: place of the first exchange of this bucket with it
) = range(5)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of clusters (`matching.cluster_tokens`), those of cluster k at `starts[k]:starts[k + 1]`: a bucket needs a few clusters' only."""

    keys: U64
    starts: I64

    def of(self, clusters: I32) -> U64:
        """Return the tokens of these clusters."""
        each = [self.keys[self.starts[k] : self.starts[k + 1]] for k in np.unique(clusters).tolist()]
        return np.concatenate([self.keys[:0], *each])


def by_cluster(tokens: U64, clusters: int) -> Tokens:
    """Sort tokens by their clusters."""
    cluster = (tokens & LOW).astype(np.int64)
    order = np.argsort(cluster, kind="stable")
    return Tokens(tokens[order], np.searchsorted(cluster[order], np.arange(clusters + 1)))


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
                uses = count_uses(bucket.traffic, tokens.of(cluster[mine]), code, cluster[mine])
                yield pa.record_batch({"pair": mine, "uses": uses})


@dataclass(frozen=True, slots=True)
class Grouping:
    """Who is in which cluster: hashes of these accounts (ascending), their clusters, and the clusters' tokens."""

    hashes: U64
    cluster: I32
    tokens: Tokens

    def find(self, bucket: Bucket) -> tuple[I32, I32]:
        """Return the accounts of a bucket that are in clusters: codes there, and positions here."""
        where = np.minimum(np.searchsorted(self.hashes, bucket.hashes), max(0, len(self.hashes) - 1))
        codes = np.flatnonzero(np.append(self.hashes, np.uint64(0))[where] == bucket.hashes)
        return codes.astype(np.int32), where[codes].astype(np.int32)

    def match(self, bucket: Bucket, codes: I32, mine: I32) -> tuple[I32, Held]:
        """Return the clusters of all accounts of a bucket (but these: -1), and what exchanges hold of them."""
        label = np.full(len(bucket.hashes), -1, np.int32)
        label[codes] = self.cluster[mine]
        return label, match_rows(bucket.traffic, self.tokens.of(label[codes]), label)


@dataclass(frozen=True, slots=True)
class Members(Work):
    """What is asked of accounts in clusters (`ANSWERS`); `grouping` is a broadcast."""

    grouping: Any = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Answer for those of each bucket."""
        grouping: Grouping = self.grouping.value
        for bucket in self.buckets(batches):
            codes, mine = grouping.find(bucket)
            if not len(codes):
                continue
            label, held = grouping.match(bucket, codes, mine)
            numbers, local = np.unique(label[codes], return_inverse=True)
            ours = label.copy()
            ours[codes] = local
            clusters = only(ours, held, len(numbers))
            each = {name: values[codes] for name, values in _answers(EACH, bucket, clusters).items()}
            sums = _answers(SUMS, bucket, clusters)
            account, hour = synchrony.active_hours(bucket.traffic, clusters)
            position = np.zeros(len(label), np.int32)
            position[codes] = mine
            hours = {"account": position[account], "hour": hour.astype(np.int32)}
            for kind, table in (
                (OF_ACCOUNTS, {"account": mine, **each}),
                (OF_CLUSTERS, {"cluster": numbers, **sums}),
                (AT_WORK, hours),
            ):
                yield _stream(kind, bucket, table)
            rows = clusters.wrapped_rows(bucket.traffic.exchanges)
            yield _bare(_wrapped(bucket, rows, label))
            yield _bare(_fresh(bucket, rows, label))


def columns_of(answers: Mapping[str, tuple[np.ndarray, ...]]) -> dict[str, np.ndarray]:
    """Return the columns of answers, each by a name of its own."""
    return {f"{name} {k}": values for name, answer in answers.items() for k, values in enumerate(answer)}


def _answers(asked: Mapping[str, Answer], bucket: Bucket, clusters: Clusters) -> dict[str, np.ndarray]:
    return columns_of({name: answer(bucket.traffic, clusters) for name, answer in asked.items()})


def _wrapped(bucket: Bucket, rows: I64, label: I32) -> pa.RecordBatch:
    e = bucket.traffic.exchanges
    account = e.account[rows]
    return narrow(
        WRAPPED_ROW,
        signed(e.doc[rows]),
        label[account],
        signed(bucket.hashes[account]),
        e.at[rows],
        e.system[rows],
    )


def _fresh(bucket: Bucket, rows: I64, label: I32) -> pa.RecordBatch:
    e = bucket.traffic.exchanges
    key, first = prompt_novelty.first_holders(e, rows, label[e.account[rows]])
    return narrow(FRESH, signed(key), e.at[first], signed(e.id[first] ^ _SIGN), bucket.places[first])


_SIGN: Final = np.uint64(1 << 63)
"""Turned over, hashes have the same order in signed numbers."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of whom the harvest is named: of the accounts of `grouping` who is `accused`, and `asking`, as `harvest_rows` has it.

    `told`: which of the groups that are told an account is shown in, -1 for none. `signals`: places that show a signal, ascending.
    """

    grouping: Grouping
    accused: Bool
    asking: Bool
    told: I32
    signals: I64


HARVEST, LIFE = range(2)
NAMED: Final = "kind int, key long, rows long, data binary"
"""Schema of what is named: Arrow streams of exchanges that are part of a harvest, and of the lives of groups (`key`: the bucket)."""


@dataclass(frozen=True, slots=True)
class Named(Work):
    """The harvest, and when the accounts that are told of were at work (`NAMED`); `wanted` is a broadcast."""

    wanted: Any = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Name those of each bucket."""
        wanted: Wanted = self.wanted.value
        for bucket in self.buckets(batches):
            codes, mine = wanted.grouping.find(bucket)
            told = wanted.told[mine]
            lives = [_life(bucket, k, codes[told == k]) for k in np.unique(told[told >= 0]).tolist()]
            if lives:
                yield _named(LIFE, bucket, pa.concat_tables(lives).combine_chunks())
            accused = wanted.accused[mine]
            if accused.any():
                yield _named(HARVEST, bucket, _harvest(bucket, wanted, codes[accused], mine[accused]))


def _harvest(bucket: Bucket, wanted: Wanted, codes: I32, mine: I32) -> pa.Table:
    e = bucket.traffic.exchanges
    label, held = wanted.grouping.match(bucket, codes, mine)
    accused, asking = np.zeros((2, len(label)), np.bool_)
    accused[codes], asking[codes] = True, wanted.asking[mine]
    telling = np.flatnonzero((held[0] >= WRAPPED) | np.isin(bucket.places, wanted.signals))
    rows = harvest_rows(bucket.traffic, only(label, held, 0), telling, accused, asking)
    position = np.zeros(len(label), np.int32)
    position[codes] = mine
    return pa.table(
        {
            "account": position[e.account[rows]],
            **{name: getattr(e, name)[rows] for name in ("row", "id", "at", "system", "families")},
            "matched": held[0][rows],
            "wrapper": held[1][rows],
        }
    )


def _life(bucket: Bucket, told: int, codes: I32) -> pa.Table:
    life = life_of(bucket.traffic, codes)
    same = {"told": told, "first": life.first, "last": life.last}
    days = np.flatnonzero(life.exchanges)
    return pa.table(
        {
            **{name: np.full(len(days), value, np.int64) for name, value in same.items()},
            "day": life.first_day + days,
            "exchanges": life.exchanges[days],
            "active": life.active[days],
        }
    )


def only(label: I32, held: Held, clusters: int) -> Clusters:
    """Return clusters of which no more is known than who is in which, and what exchanges hold of them."""
    nobody, nothing = np.zeros(0, np.int32), np.zeros(0)
    starts = np.zeros(clusters + 1, np.int64)
    edges = Edges(nobody, nobody, nothing, np.zeros(0, np.int64), ())
    unknown = np.zeros(clusters)
    return Clusters(
        label, nobody, starts, edges, starts, *held, nothing, nothing, unknown, np.ones(clusters, np.bool_)
    )


def _stream(kind: int, bucket: Bucket, table: dict[str, np.ndarray]) -> pa.RecordBatch:
    batch = narrow(kind, np.array([bucket.number]))
    return batch.append_column("data", pa.array([to_stream(pa.table(table))]))


def _bare(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.append_column("data", pa.nulls(len(batch), pa.binary()))


def _named(kind: int, bucket: Bucket, table: pa.Table) -> pa.RecordBatch:
    head = {"kind": np.array([kind], np.int32), "key": [bucket.number], "rows": [len(table)]}
    return pa.record_batch({**head, "data": [to_stream(table)]})
