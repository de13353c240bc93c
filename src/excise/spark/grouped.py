"""What is asked of clusters, and their harvest: answered by executors a bucket at a time, joined here; in Spark where whole clusters must be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F  # noqa: N812  as everybody names it

from excise.detect import matching, prompt_novelty, synchrony
from excise.detect.pivot import HOUR
from excise.detect.repeats import LOW
from excise.engine.budget import Budget
from excise.judge import facts
from excise.judge.campaigns import Life
from excise.model.clusters import Clusters
from excise.model.tables import I64, Exchanges, Traffic
from excise.spark.frames import KEPT, columns, streams
from excise.spark.members import (
    ANSWERS,
    AT_WORK,
    EACH,
    FRESH,
    HARVEST,
    LIFE,
    NAMED,
    OF_ACCOUNTS,
    OF_CLUSTERS,
    SUMS,
    WRAPPED_ROW,
    Members,
    Named,
    columns_of,
)
from excise.spark.relations import of
from excise.spark.sharing import some

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ITEMS, PROMPT, NEW, TIME = range(4)
"""What Spark says of a whole cluster, each as the function of the embedded engine: public items, carriers of the most common prompt, exchanges with new material, times."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The tables on the cluster that answers come from, the accounts that they are about (codes), and the clusters."""

    session: SparkSession
    buckets: DataFrame
    mine: I64
    clusters: Clusters


def bring_answers(asked: Asked, work: Members, traffic: Traffic, fresh_runs: int) -> None:
    """Let traffic know what detectors and judges ask of the exchanges of accounts in clusters."""
    found, clusters, mine = asked.buckets.mapInArrow(work, ANSWERS).persist(KEPT), asked.clusters, asked.mine
    nothing = replace(
        traffic,
        exchanges=some(0),
        accounts=replace(traffic.accounts, starts=np.zeros(len(clusters.label) + 1, np.int64)),
    )
    of_accounts, of_clusters, at_work = streams(found, OF_ACCOUNTS, OF_CLUSTERS, AT_WORK)
    each = {name: function(nothing, clusters) for name, function in EACH.items()}
    for table in of_accounts:
        who = mine[table["account"].to_numpy()]
        for column, values in columns_of(each).items():
            values[who] = table[column].to_numpy()
    sums = {name: function(nothing, clusters) for name, function in SUMS.items()}
    for table in of_clusters:
        which = table["cluster"].to_numpy()
        for column, values in columns_of(sums).items():
            values[which] += table[column].to_numpy()
    for name, answer in (each | sums).items():
        traffic.know(name, answer)
    traffic.know(synchrony.HOURS, _hours(at_work, mine))
    _know_whole(asked, found, traffic, sums[facts.COUNTS][0], fresh_runs)
    found.unpersist()


def _hours(tables: Sequence[pa.Table], mine: I64) -> tuple[I64, I64]:
    account, hour = (
        np.concatenate([np.zeros(0, np.int32), *(t[name].to_numpy() for t in tables)])
        for name in ("account", "hour")
    )
    order = np.argsort(account, kind="stable")
    return mine[account[order]], hour[order].astype(np.int64)


def _know_whole(asked: Asked, found: DataFrame, traffic: Traffic, total: I64, fresh_runs: int) -> None:
    what, cluster, place, value = columns(
        _whole(found, _wanted(asked.session, total), fresh_runs), "what", "cluster", "place", "value"
    )
    counts = np.zeros((3, len(total)), np.int64)
    counted = what != TIME
    counts[what[counted], cluster[counted]] = value[counted]
    times: dict[int, dict[int, int]] = {}
    for k, p, at in zip(*(c[~counted].tolist() for c in (cluster, place, value)), strict=True):
        times.setdefault(k, {})[p] = at
    begun = np.array([times[k][0] if k in times else 0 for k in range(len(total))], np.int64)
    days = np.array([facts.days_between(times.get(k, {}), n) for k, n in enumerate(total.tolist())])
    traffic.know(matching.ITEMS, counts[ITEMS] / np.maximum(total, 1))
    traffic.know(facts.SPANS, (counts[PROMPT], begun, days))
    new = counts[NEW] if fresh_runs > 0 else total  # an exchange without any run has none first
    traffic.know(prompt_novelty.NEW, (total.astype(np.float64), new.astype(np.float64)))


def _wanted(session: SparkSession, total: I64) -> DataFrame:
    """Say which of a cluster's wrapped exchanges, by time, must be known: the first, and those about the first and the last tenth."""
    cluster, place = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for k in np.flatnonzero(total).tolist():
        low = np.array(facts.tenths(int(total[k]))).astype(np.int64)
        place.append(np.unique(np.minimum(np.concatenate([[0], low, low + 1]), total[k] - 1)))
        cluster.append(np.full(len(place[-1]), k))
    table = pa.table({"cluster": np.concatenate(cluster), "place": np.concatenate(place)})
    return session.createDataFrame(table, "cluster long, place long")


def _whole(found: DataFrame, wanted: DataFrame, fresh_runs: int) -> DataFrame:
    """Look at whole clusters (`what int, cluster long, place long, value long`)."""
    wrapped, cluster = of(found, WRAPPED_ROW), F.col("a").alias("cluster")
    texts = wrapped.groupBy("a", "key").agg(
        F.count("*").alias("n"),
        F.min("b").alias("low"),
        F.max("b").alias("high"),
        (F.max("c") - F.min("c")).alias("apart"),
    )
    public = texts.filter((F.col("low") != F.col("high")) & (F.col("apart") > 24 * HOUR))
    prompts = wrapped.filter(F.col("d") >= 0).groupBy("a", "d").count()
    first = of(found, FRESH).groupBy("key").agg(F.min(F.struct("a", "b", "c")).alias("first"))
    first = first.select(F.col("key").bitwiseAND(int(LOW)).alias("a"), F.col("first.c").alias("place"))
    new = first.groupBy("a", "place").count().filter(F.col("count") >= fresh_runs)
    by_time = (F.row_number().over(Window.partitionBy("a").orderBy("c")) - 1).cast("long").alias("place")
    times = wrapped.select(cluster, by_time, F.col("c").alias("value")).join(wanted, ["cluster", "place"])
    return (
        _told(ITEMS, public.groupBy(cluster).agg(F.sum("n").alias("value")))
        .union(_told(PROMPT, prompts.groupBy(cluster).agg(F.max("count").alias("value"))))
        .union(_told(NEW, new.groupBy(cluster).agg(F.count("*").alias("value"))))
        .union(_told(TIME, times, F.col("place")))
    )


def _told(what: int, frame: DataFrame, place: Column | None = None) -> DataFrame:
    where = F.lit(0).cast("long") if place is None else place
    return frame.select(F.lit(what).alias("what"), "cluster", where.alias("place"), "value")


@dataclass(frozen=True, slots=True)
class Harvest:
    """The exchanges that are part of a harvest, in canonical order, what they hold, and the lives of the groups that are told."""

    exchanges: Exchanges
    held: matching.Held
    lives: list[Life]


def bring_harvest(asked: Asked, work: Named, groups: int, budget: Budget) -> Harvest:
    """Bring the harvest, and when the accounts of so many groups were at work. Raises `UsageError` where memory is too little."""
    found = asked.buckets.mapInArrow(work, NAMED).persist(KEPT)
    (rows,) = columns(of(found, HARVEST).agg(F.coalesce(F.sum("rows"), F.lit(0)).alias("rows")), "rows")
    budget.check(int(rows[0]), len(asked.clusters.label))
    harvest, lives = streams(found, HARVEST, LIFE)
    found.unpersist()
    if not harvest:
        return Harvest(some(0), (np.zeros(0, np.int32), np.zeros(0, np.uint64)), _lives(lives, groups))
    table = pa.concat_tables(harvest)
    given = {name: table[name].to_numpy() for name in table.column_names}
    held = given.pop("matched"), given.pop("wrapper")
    account = asked.mine[given.pop("account")].astype(np.int32)
    return Harvest(some(len(account), account=account, **given), held, _lives(lives, groups))


def _lives(tables: Sequence[pa.Table], groups: int) -> list[Life]:
    """Add up what the buckets say of each group."""
    if not groups:
        return []
    table = pa.concat_tables(tables)
    told, first, last, day, *counts = (table[c].to_numpy() for c in table.column_names)
    order = np.argsort(told, kind="stable")
    start = np.searchsorted(told[order], np.arange(groups + 1))
    pieces = [order[start[k] : start[k + 1]] for k in range(groups)]
    return [
        Life(
            int(first[p].min()),
            int(last[p].max()),
            *(np.bincount(day[p] - day[p].min(), weights=c[p]).astype(np.int64) for c in counts),
        )
        for p in pieces
    ]
