"""The tables of a scan that stay on the cluster, and what of them comes to the driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F  # noqa: N812  as everybody names it
from pyspark.storagelevel import StorageLevel

from excise.ingest.ledger import Rejected
from excise.model.tables import I64, U64, Systems
from excise.spark.buckets import PLACE_SHIFT
from excise.spark.reading import (
    ACCOUNT,
    FILE,
    READ,
    ROWS,
    SYSTEM,
    Reader,
    Told,
    decode_told,
    from_stream,
    raise_told,
    unpack_systems,
    unsigned,
)
from excise.spark.survey import NARROW, Ids, Survey

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEPT: Final = StorageLevel.DISK_ONLY
"""Tables wait on the executors' disks. What a lost executor held is made again from what it was made of."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Every text was read: the packed rows by bucket stay on the cluster; the rest is here.

    `hashes` and `names` are those of all accounts that were met, ascending. `told`: by file, in reading order.
    """

    buckets: DataFrame
    told: tuple[Told, ...]
    hashes: U64
    names: np.ndarray
    systems: Systems

    @property
    def rows(self) -> int:
        """Exchanges that were read."""
        return sum(told.rows for told in self.told)


def gather(session: SparkSession, reader: Reader) -> Gathered:
    """Read every file on the cluster, one task a file. Raises the first error that a file ended in."""
    files = len(reader.units)
    read = session.range(0, files, 1, files).mapInArrow(reader, READ).persist(KEPT)
    kind = F.col("kind")
    told = tuple(decode_told(d) for d in columns(read.filter(kind == FILE).orderBy("key"), "data")[0])
    for one in told:
        raise_told(one)
    hashes, names = columns(read.filter(kind == ACCOUNT).dropDuplicates(["key"]), "key", "data")
    raw, packed = columns(read.filter(kind == SYSTEM).dropDuplicates(["key"]), "key", "data")
    buckets = (
        read.filter(kind == ROWS)
        .groupBy(F.col("key").cast("int").alias("bucket"))
        .agg(F.collect_list("data").alias("blocks"))
        .persist(KEPT)
    )
    buckets.count()
    read.unpersist()
    order = np.argsort(unsigned(hashes))
    said = np.array([bytes(name).decode("utf-8", "surrogatepass") for name in names], object)
    return Gathered(
        buckets, told, unsigned(hashes)[order], said[order], unpack_systems(unsigned(raw), list(packed))
    )


def rejected_by(told: tuple[Told, ...], before: Rejected) -> Rejected:
    """Add up what files left out, after what the side tables did."""
    parts = [before, *(one.rejected for one in told)]
    reasons: dict[str, int] = {}
    repaired: dict[str, int] = {}
    for part in parts:
        for total, mine in ((reasons, part.reasons), (repaired, part.repaired)):
            for name, count in mine.items():
                total[name] = total.get(name, 0) + count
    samples = tuple(sample for part in parts for sample in part.samples)[:20]
    reasons = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    return Rejected(sum(p.rows for p in parts), reasons, samples, dict(sorted(repaired.items())))


def repeats(buckets: DataFrame, shared: Any) -> DataFrame:
    """Return the places of all but the first exchange of an id."""
    places = F.array_sort(F.collect_list("place"))
    ids = buckets.mapInArrow(Ids(shared), "id long, place long")
    several = ids.groupBy("id").agg(places.alias("places")).filter(F.size("places") > 1)
    rest = F.slice("places", F.lit(2), F.size("places"))
    return several.select(F.explode(rest).alias("place")).persist(KEPT)


def by_bucket(places: I64) -> dict[int, I64]:
    """Return the positions of places by their bucket."""
    places = np.sort(places)
    bucket = places >> PLACE_SHIFT
    numbers, starts = np.unique(bucket, return_index=True)
    parts = np.split(places & ((1 << PLACE_SHIFT) - 1), starts[1:])
    return dict(zip(numbers.tolist(), parts, strict=True)) if len(places) else {}


def survey(buckets: DataFrame, shared: Any) -> DataFrame:
    """Return the narrow tables of all buckets."""
    return buckets.mapInArrow(Survey(shared), NARROW).persist(KEPT)


def streams(frame: DataFrame, *kinds: int) -> list[list[pa.Table]]:
    """Bring the Arrow streams of each of these kinds, in the order of the buckets."""
    kind, data = columns(frame.filter(F.col("kind").isin(*kinds)).orderBy("key"), "kind", "data")
    return [[from_stream(d) for d in data[kind == wanted]] for wanted in kinds]


def columns(frame: DataFrame, *names: str) -> list[np.ndarray]:
    """Bring columns without nulls to the driver."""
    table: pa.Table = frame.select(*names).toArrow()
    return [table[name].to_numpy() for name in names]
