"""What is known of every account and of every habit: counted and joined over all accounts in Spark, then brought to the driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F  # noqa: N812  as everybody names it

from excise.detect import pivot
from excise.detect.detector import Detector
from excise.detect.phrases import as_phrases
from excise.model.tables import F64, I32, I64, U64, Habits, Phrases
from excise.settings import Settings
from excise.spark.frames import columns
from excise.spark.reading import unsigned
from excise.spark.survey import (
    ADOPTER,
    CLIENT,
    EVIDENCE,
    HABIT,
    NARROW,
    PHRASE,
    REPEATED,
    SEEN_ACCOUNT,
    USERS,
    Weights,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True)
class People:
    """What is known of every account that was seen, ascending by hash."""

    hashes: U64
    volume: I64
    period: tuple[int, int]
    usual: U64
    seen: frozenset[int]

    def codes(self, hashes: I64) -> I32:
        """Return the codes of accounts (hashes as Spark holds them)."""
        return np.searchsorted(self.hashes, unsigned(hashes)).astype(np.int32)


def of(frame: DataFrame, kind: int) -> DataFrame:
    """Return one of the narrow tables."""
    return frame.filter(F.col("kind") == kind)


def people(survey: DataFrame) -> People:
    """Bring what is known of every account."""
    key, a, b, c, d = columns(of(survey, SEEN_ACCOUNT), "key", "a", "b", "c", "d")
    order = np.argsort(unsigned(key))
    seen = columns(of(survey, EVIDENCE).select("key").distinct(), "key")[0]
    period = (int(b.min()), int(c.max())) if len(b) else (0, 0)
    return People(unsigned(key)[order], a[order], period, unsigned(d)[order], frozenset(seen.tolist()))


def clients(survey: DataFrame, known: People) -> tuple[I32, U64, I64, tuple[np.ndarray, ...]]:
    """Bring which account uses which client, as `header_contradiction.client_habits` gives it."""
    client, account, uses, bits = columns(of(survey, CLIENT), "key", "a", "b", "c")
    user = known.codes(account)
    order = np.lexsort((unsigned(client), user))
    habits = tuple((bits[order] >> k & 1).astype(np.bool_) for k in range(3))
    return user[order], unsigned(client)[order], uses[order], habits


def weights(
    buckets: DataFrame, survey: DataFrame, shared: Any, settings: Settings, bits: int, accounts: int
) -> DataFrame:
    """Count the users of each token, weigh what somebody repeats and 2 to `most_accounts` use, and find who of so many accounts says what few do, where the texts are."""
    users = of(survey, USERS).groupBy("key").agg(F.sum("a").alias("users"))
    used = users.filter(F.col("users").between(2, settings.habits.most_accounts))
    habits = of(survey, REPEATED).select("key", "a").join(used, "key")
    bucket = F.shiftrightunsigned("a", 64 - bits).cast("int").alias("bucket")
    kept = habits.groupBy(bucket).agg(F.collect_list(F.struct("key", "a", "users")).alias("kept"))
    said = users.filter(F.col("users").between(2, settings.habits.speakers(accounts))).select("key")
    said = of(survey, USERS).select("key", F.col("b").cast("int").alias("bucket")).join(said, "key")
    rare = said.groupBy("bucket").agg(F.collect_list("key").alias("rare"))
    asked = buckets.join(kept, "bucket", "left").join(rare, "bucket", "left")
    return asked.mapInArrow(Weights(shared), NARROW)


def habits_and_phrases(
    weighed: DataFrame, known: People, settings: Settings
) -> tuple[Habits, Phrases, tuple[str, tuple[np.ndarray, ...]]]:
    """Bring the habits of all accounts, the rare phrases, and who took up a new model soon with the name of that answer."""
    kind, key, a, b, c = columns(weighed, "kind", "key", "a", "b", "c")
    mine = kind == HABIT
    token, account = key[mine].astype(np.uint64), known.codes(a[mine])
    order = np.lexsort((account, token))
    weight: F64 = np.ascontiguousarray(c[mine]).view(np.float64)
    habits = Habits(token[order], account[order], b[mine][order].astype(np.int32), weight[order])
    mine = kind == PHRASE
    token, account = key[mine].astype(np.uint64), known.codes(a[mine])
    order = np.lexsort((account, token))
    phrases = as_phrases(
        token[order], account[order], b[mine][order].astype(np.uint32), c[mine][order].astype(np.uint8)
    )
    n, mine = len(known.hashes), kind == ADOPTER
    early, could, calls = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n, np.int64)
    code = known.codes(key[mine])
    early[code], could[code], calls[code] = a[mine] == 1, b[mine] == 1, c[mine]
    p = parameters(pivot.DETECTOR, settings)
    return habits, phrases, (pivot.adopters_name(int(p["within_hours"]) * pivot.HOUR), (early, could, calls))


def parameters(detector: Detector, settings: Settings) -> dict[str, float]:
    """Return a detector's parameters."""
    return detector.settings(settings.detect.get(detector.id, {}))
