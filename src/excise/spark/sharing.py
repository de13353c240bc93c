"""What several accounts share, found in Spark, and the few exchanges of it that come to the driver, for the detectors' own functions.

Every filter here is one that the detectors apply themselves, so that what it leaves out could not have mattered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F  # noqa: N812  as everybody names it

from excise.detect import block_replay, echo, multiplicity, pivot
from excise.model.ragged import Ragged
from excise.model.tables import I32, I64, U64, Accounts, Exchanges, Traffic
from excise.settings import Settings
from excise.sketch.assemble import FIXED
from excise.sketch.blocks import LISTS
from excise.sketch.gathering import merge_systems
from excise.spark.buckets import bare
from excise.spark.frames import columns
from excise.spark.reading import ragged, signed, unsigned
from excise.spark.relations import People, of, parameters
from excise.spark.survey import DEVICE, GIVEN, HEARD, NET, REPLAYED, SAID, SESSION, TEXT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True, slots=True)
class Fact:
    """A coincidence of exchanges that a detector found, by its name (`Traffic.once`): places of them, and their accounts.

    One column of places and the accounts beside it (`other`), or two columns. `texts`: of those places, where they matter.
    """

    name: str
    places: tuple[I64, ...]
    owners: tuple[I32, ...]
    other: I32 | None = None
    texts: tuple[U64, ...] = ()

    def tell(self, traffic: Traffic, places: I64) -> None:
        """Let traffic know it, as positions among `places` (ascending); what is not there is left out."""
        where = [np.searchsorted(places, p) for p in self.places]
        there = np.ones(len(self.places[0]), np.bool_)
        for position, place in zip(where, self.places, strict=True):
            found = np.append(places, np.int64(-1))[np.minimum(position, len(places))]
            there &= found == place
        first = [] if self.other is None else [self.other[there]]
        traffic.know(self.name, (*first, *(position[there] for position in where)))


@dataclass(frozen=True, slots=True)
class Keys:
    """Who holds a key that others hold too: `kind` as in `survey`, and the holder's hash as Spark has it."""

    kind: I32
    key: U64
    holder: I64


def shared_keys(session: SparkSession, survey: DataFrame, accounts: Accounts) -> Keys:
    """Bring the sessions, devices and networks that two and more accounts hold.

    A session and a device of one name are one key, and a network may be shared with somebody's signing up.
    """
    rows = survey.filter(F.col("kind").isin(SESSION, DEVICE, NET)).select("kind", "key", "a")
    signup = np.flatnonzero(accounts.signup_net)
    beside = pa.table(
        {
            "kind": pa.array(np.full(len(signup), NET, np.int32)),
            "key": signed(accounts.signup_net[signup]),
            "a": signed(accounts.hash[signup]),
        }
    )
    everything = (
        rows.union(session.createDataFrame(beside, "kind int, key long, a long")) if len(signup) else rows
    )
    is_net = (F.col("kind") == NET).alias("is_net")
    held = everything.groupBy(is_net, "key").agg(F.min("a").alias("low"), F.max("a").alias("high"))
    held = held.filter(F.col("low") != F.col("high"))
    both = rows.withColumn("is_net", F.col("kind") == NET).join(held, ["is_net", "key"])
    kind, key, account = columns(both, "kind", "key", "a")
    return Keys(kind, unsigned(key), account)


def same_texts(survey: DataFrame, known: People, settings: Settings) -> Fact:
    """Find texts that several accounts send within hours (`multiplicity`)."""
    p = parameters(multiplicity.DETECTOR, settings)
    texts = of(survey, TEXT).select("key", "a", "b", "c")
    lives = texts.groupBy("key").agg(
        F.count("*").alias("n"),
        F.min("a").alias("low"),
        F.max("a").alias("high"),
        (F.max("b") - F.min("b")).alias("life"),
    )
    short = (F.col("n") <= p["most_copies"]) & (F.col("life") <= p["within_hours"] * pivot.HOUR)
    lives = lives.filter(short & (F.col("low") != F.col("high"))).select("key")
    doc, account, at, place = columns(texts.join(lives, "key"), "key", "a", "b", "c")
    order = np.argsort(place)
    account, place = known.codes(account[order]), place[order]
    e = some(
        len(order),
        account=account,
        at=at[order],
        doc=unsigned(doc[order]),
        tokens=int(np.ceil(p["least_tokens"])),
    )
    first, second = multiplicity.coincidences(_only(e, known), p)
    return Fact(
        multiplicity.coincidences_name(p),
        (place[first], place[second]),
        (account[first], account[second]),
        texts=(e.doc[first], e.doc[second]),
    )


def echoes(survey: DataFrame, known: People, one_owner: Accounts, settings: Settings) -> Fact:
    """Find answers to one account alone that come back in another's requests (`echo`)."""
    runs = int(parameters(echo.DETECTOR, settings)["runs"])
    said = (
        of(survey, SAID)
        .groupBy("key")
        .agg(F.min("a").alias("low"), F.max("a").alias("high"), F.min("b").alias("first"))
    )
    said = said.filter(F.col("low") == F.col("high")).select("key", "low", "first")
    heard = of(survey, HEARD).select("key", "a", "b", "c").join(said, "key")
    heard = heard.filter((F.col("a") != F.col("low")) & (F.col("first") < F.col("b")))
    enough = heard.groupBy("c", "low").count().filter(F.col("count") >= runs).select("c", "low")
    run, source, first, account, at, place = columns(
        heard.join(enough, ["c", "low"]), "key", "low", "first", "a", "b", "c"
    )
    places, head, back = grouped(place, unsigned(run))
    single, one = np.unique(unsigned(run), return_index=True)
    out = len(single)
    owner = known.codes(np.append(source[one], account[head]))
    e = some(
        out + len(places),
        account=owner,
        at=np.append(first[one], at[head]),
        wide_out=_beside(ragged([single[k : k + 1] for k in range(out)]), 0, len(places)),
        wide_in=_beside(back, out, 0),
    )
    who, row = echo.echoes(_only(e, known, one_owner), runs=runs)
    return Fact(echo.echoes_name(runs), (places[row - out],), (owner[row],), who)


def replays(survey: DataFrame, known: People, one_owner: Accounts) -> Fact:
    """Find reasoning blocks that come back from an account that was never given them (`block_replay`)."""
    given = (
        of(survey, GIVEN)
        .groupBy("key")
        .agg(F.min("a").alias("low"), F.max("a").alias("high"), F.min(F.struct("c", "b")).alias("first"))
    )
    given = given.filter(F.col("low") == F.col("high")).select(
        "key", "low", F.col("first.b").alias("given_in")
    )
    again = (
        of(survey, REPLAYED)
        .select("key", "a", "b", "c")
        .join(given, "key")
        .filter(F.col("a") != F.col("low"))
    )
    block, giver, given_in, account, session, place = columns(again, "key", "low", "given_in", "a", "b", "c")
    places, head, back = grouped(place, unsigned(block))
    single, one = np.unique(unsigned(block), return_index=True)
    out = len(single)
    owner = known.codes(np.append(giver[one], account[head]))
    e = some(
        out + len(places),
        account=owner,
        session=unsigned(np.append(given_in[one], session[head])),
        emitted=_beside(ragged([single[k : k + 1] for k in range(out)]), 0, len(places)),
        replayed=_beside(back, out, 0),
    )
    who, row = block_replay.foreign_replays(_only(e, known, one_owner))
    return Fact(block_replay.REPLAYS, (places[row - out],), (owner[row],), who)


def grouped(place: I64, values: U64) -> tuple[I64, I64, Ragged]:
    """Return distinct places, ascending, an index of each, and the values of each as a list."""
    order = np.argsort(place, kind="stable")
    places, start = np.unique(place[order], return_index=True)
    return places, order[start], Ragged(np.append(start, len(order)).astype(np.int64), values[order])


def _beside(lists: Ragged, before: int, after: int) -> Ragged:
    """Put empty lists around lists."""
    ends = np.full(after, lists.offsets[-1])
    return Ragged(np.concatenate([np.zeros(before, np.int64), lists.offsets, ends]), lists.values)


def some(rows: int, **given: Any) -> Exchanges:
    """Return exchanges of which only some columns are known; the others say "absent", in no memory."""
    absent = {name: -1 if name == "system" else 0 for name in FIXED}
    plain: dict[str, Any] = {
        name: given[name]
        if np.ndim(given.get(name, 0))
        else np.broadcast_to(np.asarray(given.get(name, absent[name]), kind), rows)
        for name, kind in FIXED.items()
    }
    none = Ragged(np.broadcast_to(np.int64(0), rows + 1), np.zeros(0, np.uint64))
    lists: dict[str, Any] = {name: given.get(name, none) for name in LISTS}
    return Exchanges(**plain, **lists)


def _only(e: Exchanges, known: People, accounts: Accounts | None = None) -> Traffic:
    traffic = bare(e, merge_systems(()), known.hashes, np.zeros(len(known.hashes) + 1, np.int64))
    return replace(traffic, accounts=accounts) if accounts is not None else traffic


def witnesses(facts: Sequence[Fact], keys: Keys, known: People) -> tuple[Exchanges, I64]:
    """Return the exchanges that ties are made of, and their places: those of the facts, then one a shared key and account."""
    place = np.concatenate([np.zeros(0, np.int64), *(p for f in facts for p in f.places)])
    owner = np.concatenate([np.zeros(0, np.int32), *(o for f in facts for o in f.owners)])
    places, first = np.unique(place, return_index=True)
    none = np.zeros(len(places), np.uint64)
    doc = np.zeros(len(places) + len(keys.key), np.uint64)
    for fact in facts:
        for where, text in zip(fact.places, fact.texts, strict=False):
            doc[np.searchsorted(places, where)] = text
    held = {
        name: np.append(none, np.where(keys.kind == wanted, keys.key, np.uint64(0)))
        for name, wanted in (("session", SESSION), ("device", DEVICE), ("net", NET))
    }
    account = np.append(owner[first], known.codes(keys.holder))
    return some(len(account), account=account, doc=doc, **held), places
