"""The scan on a cluster, from left to right, as `pipeline.py` has it: the only place that knows where each step runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from excise import __version__
from excise.detect import DETECTORS, client, header_contradiction, prompt_novelty, shared_wrapper
from excise.detect.detector import Detector
from excise.detect.matching import cluster_tokens
from excise.detect.repeats import MAX_ACCOUNTS
from excise.detect.run import find_ties, usable
from excise.engine.budget import Budget, memory_there
from excise.engine.progress import Clock, Progress, Silence
from excise.errors import InputError, UsageError
from excise.ingest.layout import is_database
from excise.ingest.ledger import Rejected, enforce_limit
from excise.ingest.pseudonym import Pseudonymiser
from excise.ingest.source import MAX_BAD_ROWS
from excise.judge.campaigns import LIVES, subject_of
from excise.judge.decide import Finding, accused_of, with_harvest
from excise.model.clusters import Clusters, Ties
from excise.model.run import Run
from excise.model.tables import I32, I64, Accounts, Events, Family, Traffic
from excise.outcome import about, present, worth_telling
from excise.pipeline import complete, hold, join, weigh, with_duplicates
from excise.settings import Settings
from excise.sketch.available import SEEN, available_kinds
from excise.sketch.lexicon import load_pack
from excise.sketch.side import align_accounts, code_events
from excise.spark import frames, grouped, relations, sharing
from excise.spark.buckets import Shared
from excise.spark.files import Found, Options, find
from excise.spark.frames import Gathered
from excise.spark.grouped import Asked
from excise.spark.members import Grouping, Members, Named, Uses, Wanted, by_cluster
from excise.spark.reading import Reader
from excise.spark.relations import People
from excise.spark.session import connected
from excise.spark.texts import Texts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FILE_BYTES_A_ROW = 250
"""Of packed files, about: the number of buckets is chosen by it. The result does not depend on it."""
_ROWS_A_BUCKET = 65_536
_LEAST_BITS, _MOST_BITS = 4, 16


def scan(
    source: str | Path,
    *,
    master: str | None = None,
    accounts: str | None = None,
    events: str | None = None,
    asn: str | None = None,
    format: str | None = None,  # noqa: A002  the option's name
    max_bad_rows: float = MAX_BAD_ROWS,
    pseudonymise: Pseudonymiser | None = None,
    settings: Settings | None = None,
    memory: int | None = None,
    window: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Find the campaigns in `source` (a folder that every machine sees, or an object store's address) on the cluster of `master`.

    The result is that of `pipeline.scan` for the same rows and settings. `memory` bounds what comes to the driver: accounts,
    habits, phrases, and the harvest. Raises the errors of `excise.errors`.
    """
    if is_database(str(source)):
        raise UsageError(
            "a database is read by the embedded engine only",
            subject="--engine spark",
            hint="leave --engine out",
        )
    settings = settings or Settings()
    clock = Clock(progress or Silence())
    budget = Budget(memory or memory_there() // 2, Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="excise-") as staging, ExitStack() as stack:
        with clock.stage("reading"):
            options = Options(format, pseudonymise)
            found = find(str(source), Path(staging), options, accounts=accounts, events=events, asn=asn)
            bits = bits_for(sum(unit.size for unit in found.units))
            session = stack.enter_context(connected(master, 1 << bits))
        job = Job(session, found, options, settings, bits, max_bad_rows, window)
        with clock.stage("sketching"):
            gathered, rejected = job.read()
            stack.callback(gathered.buckets.unpersist)
        with clock.stage("sorting"):
            whole = job.survey(gathered, rejected)
            stack.callback(whole.survey.unpersist)
        detectors = usable(DETECTORS, whole.traffic)
        with clock.stage("linking"):
            ties, traffic, places = job.tie(whole, detectors)
            clusters, traffic = join(ties, traffic, settings)
            clusters = complete(clusters, ties, traffic, settings, partial(job.count_users, whole))
            group = job.answer(whole, clusters, traffic)
            clusters = hold(clusters, ties, traffic, settings, held=(clusters.matched, clusters.wrapper))
        with clock.stage("judging"):
            findings, signals = weigh(detectors, traffic, clusters, settings, cores())
            telling = np.unique(np.concatenate([places[:0], *(places[rows] for rows in signals.values())]))
            traffic, clusters, findings = job.name(whole, group, telling, traffic, clusters, findings, budget)
        with clock.stage("describing"):
            texts = Texts(session, found, options, tuple(i for told in gathered.told for i in told.inputs))
            campaigns, tables = present(findings, detectors, traffic, clusters, texts, settings, cores())
        info = about(texts, traffic, detectors, campaigns, tables, whole.rejected, settings, clock)
    return Run({**info, "version": __version__}, tuple(campaigns), *tables)


def cores() -> int:
    """Return how many threads the driver may use."""
    return os.cpu_count() or 1


def bits_for(size: int) -> int:
    """Return how many bits of the account's hash choose the bucket, for files of so many bytes in all."""
    buckets = size // _FILE_BYTES_A_ROW // _ROWS_A_BUCKET
    return min(_MOST_BITS, max(_LEAST_BITS, buckets.bit_length()))


@dataclass(frozen=True, slots=True)
class Whole:
    """Every account, and tables on the cluster. `traffic` has no exchanges, but knows how many there are and what all of them say."""

    traffic: Traffic
    people: People
    gathered: Gathered
    shared: Any
    survey: DataFrame
    rejected: Rejected


@dataclass(frozen=True, slots=True)
class Job:
    """The steps that run on the cluster, in their order."""

    session: SparkSession
    found: Found
    options: Options
    settings: Settings
    bits: int
    max_bad_rows: float
    window: int | None

    def read(self) -> tuple[Gathered, Rejected]:
        """Read every text once, on the executors."""
        if not self.found.units:
            raise InputError(
                "there are no exchanges to scan", hint="look at the source with `excise ingest --explain`"
            )
        self._name("read texts, group rows by account")
        gathered = frames.gather(
            self.session, Reader(self.found.units, self.options, self.settings.seed, self.bits)
        )
        before = self.found.sides.rejected
        rejected = frames.rejected_by(gathered.told, before)
        bad = rejected.rows - before.rows
        enforce_limit(bad, bad + gathered.rows, self.max_bad_rows, rejected, self.found.units[0].shown)
        if not gathered.rows:
            raise InputError(
                "there are no exchanges to scan", hint="look at the source with `excise ingest --explain`"
            )
        return gathered, rejected

    def survey(self, gathered: Gathered, rejected: Rejected) -> Whole:
        """Leave out repeats, make the narrow tables, and bring what is known of each account; align the side tables."""
        latest = max(told.latest for told in gathered.told)
        shared = Shared(self.settings, gathered.systems, latest - self.window if self.window else None)
        self._name("look for repeated ids")
        repeats = frames.repeats(gathered.buckets, self._send(shared))
        rejected = with_duplicates(rejected, repeats.count(), gathered.rows, self.max_bad_rows)
        shared = replace(shared, gone=frames.by_bucket(frames.columns(repeats, "place")[0]))
        self._name("make narrow tables, count accounts")
        table = frames.survey(gathered.buckets, self._send(shared))
        people = relations.people(table)
        if len(people.hashes) > MAX_ACCOUNTS:
            raise InputError(
                f"{len(people.hashes):,} accounts are more than the {MAX_ACCOUNTS:,} of one scan",
                hint="scan a shorter period, or each product by itself",
            )
        accounts, events, kinds = self._sides(gathered, people)
        sent = self._send(replace(shared, events=events))
        self._name("count users of tokens, weigh habits")
        weighed = relations.weights(
            gathered.buckets, table, sent, self.settings, self.bits, len(people.hashes)
        )
        habits, phrases, adopters = relations.habits_and_phrases(weighed, people, self.settings)
        families = tuple(Family(f.id, f.title, f.capability) for f in load_pack().families)
        nothing = sharing.some(0)
        traffic = Traffic(nothing, gathered.systems, habits, accounts, events, families, kinds, phrases)
        for name, answer in (
            adopters,
            ("period", people.period),
            (client.USUAL, people.usual),
            (header_contradiction.USERS, relations.clients(table, people)),
        ):
            traffic.know(name, answer)
        return Whole(traffic, people, gathered, sent, table, rejected)

    def _sides(self, gathered: Gathered, people: People) -> tuple[Accounts, Events, frozenset[str]]:
        sides, seed = self.found.sides, self.settings.seed
        names = gathered.names[np.searchsorted(gathered.hashes, people.hashes)]
        starts = np.append(0, np.cumsum(people.volume))
        accounts = align_accounts(names, people.hashes, starts, sides.accounts, seed=seed)
        events = code_events(sides.events, accounts, seed=seed)
        seen = frozenset(SEEN[k] for k in people.seen)
        return (
            accounts,
            events,
            available_kinds(seen, accounts, events, has_accounts=sides.accounts is not None),
        )

    def tie(self, whole: Whole, detectors: Sequence[Detector]) -> tuple[list[Ties], Traffic, I64]:
        """Find what accounts share on the cluster, and tie them by it here; also the exchanges that show it, and their places."""
        accounts = whole.traffic.accounts
        self._name("look for texts, answers and blocks that come again")
        facts = (
            sharing.same_texts(whole.survey, whole.people, self.settings),
            sharing.echoes(whole.survey, whole.people, accounts, self.settings),
            sharing.replays(whole.survey, whole.people, accounts),
        )
        self._name("look for shared sessions, devices and networks")
        keys = sharing.shared_keys(self.session, whole.survey, accounts)
        exchanges, places = sharing.witnesses(facts, keys, whole.people)
        traffic = replace(whole.traffic, exchanges=exchanges)
        traffic.learn(whole.traffic)
        for fact in facts:
            fact.tell(traffic, places)
        return find_ties(detectors, traffic, self.settings.detect, threads=cores()), traffic, places

    def count_users(
        self,
        whole: Whole,
        traffic: Traffic,
        clusters: Clusters,
        account: I32,
        cluster: I32,
        *,
        share_inside: float,
    ) -> I64:
        """Count as `matching.count_users` does, where the exchanges are."""
        out = np.zeros(len(account), np.int64)
        self._name("count uses of wrappers")
        if len(account):
            tokens = cluster_tokens(traffic.habits, clusters, share_inside, np.inf)
            asked = self._send((by_cluster(tokens, len(clusters)), whole.people.hashes[account], cluster))
            uses = whole.gathered.buckets.mapInArrow(Uses(whole.shared, asked), "pair long, uses long")
            pair, count = frames.columns(uses, "pair", "uses")
            out[pair] = count
        return out

    def answer(self, whole: Whole, clusters: Clusters, traffic: Traffic) -> Grouping:
        """Let traffic know what is asked of exchanges of accounts in clusters; return who these are, as the executors know it."""
        asked = self._asked(whole, clusters)
        tokens = cluster_tokens(traffic.habits, clusters, self._share_inside())
        group = Grouping(
            whole.people.hashes[asked.mine], clusters.label[asked.mine], by_cluster(tokens, len(clusters))
        )
        self._name("count what clusters sent")
        fresh_runs = int(relations.parameters(prompt_novelty.DETECTOR, self.settings)["fresh_runs"])
        grouped.bring_answers(asked, Members(whole.shared, self._send(group)), traffic, fresh_runs)
        return group

    def name(
        self,
        whole: Whole,
        group: Grouping,
        telling: I64,
        traffic: Traffic,
        clusters: Clusters,
        findings: Sequence[Finding],
        budget: Budget,
    ) -> tuple[Traffic, Clusters, list[Finding]]:
        """Name the harvest of the accused (`telling`: places that show a signal): from here on traffic holds these exchanges and no others."""
        asked, told = self._asked(whole, clusters), worth_telling(findings)
        accused, asking = accused_of(findings, len(clusters.label))
        of_account = np.full(len(clusters.label), -1, np.int32)
        for k, finding in enumerate(told):
            of_account[subject_of(finding)] = k
        wanted = Wanted(group, accused[asked.mine], asking[asked.mine], of_account[asked.mine], telling)
        self._name("name the harvest")
        harvest = grouped.bring_harvest(asked, Named(whole.shared, self._send(wanted)), len(told), budget)
        named = replace(traffic, exchanges=harvest.exchanges)
        named.learn(traffic)
        named.know(LIVES, harvest.lives)
        clusters = replace(clusters, matched=harvest.held[0], wrapper=harvest.held[1])
        rows = np.arange(len(harvest.exchanges))
        return named, clusters, with_harvest(findings, clusters, harvest.exchanges.account, rows)

    def _asked(self, whole: Whole, clusters: Clusters) -> Asked:
        return Asked(self.session, whole.gathered.buckets, np.flatnonzero(clusters.label >= 0), clusters)

    def _share_inside(self) -> float:
        return relations.parameters(shared_wrapper.DETECTOR, self.settings)["share_inside"]

    def _name(self, step: str) -> None:
        """Name what comes next, for those who look at the cluster's own pages."""
        self.session.sparkContext.setJobDescription(f"excise: {step}")

    def _send(self, value: Any) -> Any:
        return self.session.sparkContext.broadcast(value)
