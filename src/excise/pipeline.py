"""The scan, from left to right: ingest -> sketch -> detect -> link -> judge -> report. The only place that knows the order."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from excise import __version__
from excise.detect import DETECTORS, shared_wrapper
from excise.detect.detector import Detector
from excise.detect.groups import count_members
from excise.detect.habits import find_habits
from excise.detect.matching import match
from excise.detect.run import find_marks, find_rows, find_ties, measure, usable
from excise.engine.embedded import map_ordered
from excise.engine.memory import release, return_pages
from excise.errors import InputError, TooManyBadRows
from excise.ingest.ledger import Rejected
from excise.ingest.pseudonym import Pseudonymiser
from excise.ingest.source import open_traffic
from excise.ingest.traffic import Traffic as Opened
from excise.judge.campaigns import describe, iso_time, subject_of
from excise.judge.decide import Finding, Findings, decide
from excise.judge.members import Signal
from excise.judge.wrapper import common_wrapper
from excise.link.linker import link
from excise.model import schema
from excise.model.clusters import Clusters
from excise.model.findings import ACCUSING, Campaign, Mark, Wrapper
from excise.model.run import RUN_SCHEMA, Run
from excise.model.tables import Family, Traffic
from excise.settings import Settings
from excise.sketch import exchanges as sketching
from excise.sketch.available import NEEDS, available_kinds
from excise.sketch.lexicon import load_pack
from excise.sketch.side import align_accounts, code_events
from excise.stats.excess import excess_shares
from excise.stats.tails import q_values

MAX_BAD_ROWS = 0.01
_SHOWN = 200
"""Groups without an accusation that are listed, at most: they explain why nobody was accused, the rest is in the counts."""
_COMPARED = 6
"""Texts that are aligned to show a wrapper."""


class Progress(Protocol):
    """Who wants to know how far the scan is."""

    def stage(self, name: str, total: float | None = None) -> None:
        """Begin a stage of `total` units of work (None: unknown)."""

    def advance(self, amount: float = 1.0) -> None:
        """Some units are done."""


class Silence:
    """Nobody wants to know."""

    def stage(self, name: str, total: float | None = None) -> None:
        """Say nothing."""

    def advance(self, amount: float = 1.0) -> None:
        """Say nothing."""


@dataclass(slots=True)
class Clock:
    """Seconds by stage, passed on to the progress."""

    progress: Progress
    stages: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, total: float | None = None) -> Iterator[None]:
        """Time a stage."""
        self.progress.stage(name, total)
        began = time.perf_counter()
        yield
        self.stages.append({"name": name, "seconds": round(time.perf_counter() - began, 3)})


def scan(
    source: str | Path,
    *,
    accounts: str | None = None,
    events: str | None = None,
    asn: str | None = None,
    edge: str | None = None,
    format: str | None = None,  # noqa: A002  the option's name
    max_bad_rows: float = MAX_BAD_ROWS,
    pseudonymise: Pseudonymiser | None = None,
    settings: Settings | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Find the campaigns in `source` (a file, a folder, a glob or a database's address) and its side tables.

    The result depends on the rows and the settings only, not on threads, files, batches or the order of rows.
    Raises the errors of `excise.errors`; a kind of evidence that is missing is said in the run.
    """
    return_pages()
    settings = settings or Settings()
    clock = Clock(progress or Silence())
    with tempfile.TemporaryDirectory(prefix="excise-") as staging:
        with clock.stage("reading"):
            opened = open_traffic(
                str(source), staging=Path(staging), accounts=accounts, events=events, asn=asn, edge=edge,
                format=format, max_bad_rows=max_bad_rows, pseudonymise=pseudonymise,
            )  # fmt: skip
        traffic, rejected = sketch(opened, settings, threads or os.cpu_count() or 1, max_bad_rows, clock)
        detectors = usable(DETECTORS, traffic)
        with clock.stage("linking"):
            clusters = cluster(detectors, traffic, settings)
        with clock.stage("judging"):
            findings = weigh(detectors, traffic, clusters, settings)
        with clock.stage("describing"):
            campaigns, order = present(findings, detectors, traffic, clusters, opened, settings)
            tables = account_table(traffic, findings, order), harvest_table(traffic, findings, order, opened)
    info = about(opened, traffic, detectors, campaigns, tables, rejected, settings, clock)
    return Run(info, tuple(campaigns), *tables)


def sketch(
    opened: Opened, settings: Settings, threads: int, max_bad_rows: float, clock: Clock
) -> tuple[Traffic, Rejected]:
    """Read every text once and keep numbers; drop repeated ids; align the side tables."""
    lexicon = load_pack()
    cues = lexicon.cue_table(settings.seed)
    if opened.rows == 0:
        raise InputError(
            "there are no exchanges to scan", hint="look at the source with `excise ingest --explain`"
        )

    def kernel(numbered: tuple[int, pa.RecordBatch]) -> sketching.Piece:
        return sketching.sketch_batch(numbered[1], numbered[0], seed=settings.seed, cues=cues)

    with clock.stage("sketching", opened.rows):
        pieces = []
        for piece in map_ordered(kernel, _numbered(opened), threads=threads):
            pieces.append(piece)
            clock.progress.advance(len(piece.account))
    with clock.stage("sorting"):
        whole = sketching.assemble(pieces, lexicon)
        pieces.clear()
        release()
        starts = np.searchsorted(whole.exchanges.account, np.arange(len(whole.names) + 1)).astype(np.int64)
        accounts = align_accounts(
            whole.names, whole.account_hash, starts, opened.accounts, seed=settings.seed
        )
        events = code_events(opened.events, accounts, seed=settings.seed)
        kinds = available_kinds(whole.exchanges, accounts, events, has_accounts=opened.accounts is not None)
        habits = find_habits(whole.exchanges, whole.systems, len(accounts), settings.habits)
        families = tuple(Family(f.id, f.title, f.capability) for f in lexicon.families)
    traffic = Traffic(whole.exchanges, whole.systems, habits, accounts, events, families, kinds)
    return traffic, _with_duplicates(opened.rejected, len(whole.duplicates), opened.rows, max_bad_rows)


def _numbered(opened: Opened) -> Iterator[tuple[int, pa.RecordBatch]]:
    row = 0
    for batch in opened.batches(sketching.COLUMNS):
        yield row, batch
        row += len(batch)


def _with_duplicates(rejected: Rejected, duplicates: int, rows: int, most: float) -> Rejected:
    """Count repeated ids among the bad rows."""
    if not duplicates:
        return rejected
    total = replace(
        rejected, rows=rejected.rows + duplicates, reasons={**rejected.reasons, "duplicate-id": duplicates}
    )
    seen = rows + rejected.rows
    if total.rows > most * seen:
        raise TooManyBadRows(
            f"{total.rows:,} of {seen:,} rows are bad, {duplicates:,} of them repeat an exchange_id",
            hint="see `excise ingest --explain`, or allow more with --max-bad-rows",
        )
    return total


def cluster(detectors: Sequence[Detector], traffic: Traffic, settings: Settings) -> Clusters:
    """Tie accounts by every signal, join the ties, find the clusters, and the exchanges that hold a cluster's wrapper."""
    ties = find_ties(detectors, traffic, settings.detect)
    clusters = link(ties, traffic.accounts, settings.link)
    p = shared_wrapper.DETECTOR.settings(settings.detect.get(shared_wrapper.DETECTOR.id, {}))
    clusters = match(traffic, clusters, share_inside=p["share_inside"])
    wrapper_ties = next((t for t in ties if t.detector == shared_wrapper.DETECTOR.id), None)
    if wrapper_ties is None:
        return clusters
    return replace(
        clusters,
        wrappers=shared_wrapper.wrappers_shared(
            wrapper_ties, clusters, len(traffic.accounts), closest=p["closest"]
        ),
    )


def weigh(
    detectors: Sequence[Detector], traffic: Traffic, clusters: Clusters, settings: Settings
) -> list[Finding]:
    """Measure every signal on every cluster and judge clusters, members and exchanges."""
    marks = find_marks(detectors, traffic, clusters, settings.detect)
    layers = {d.id: d.layer for d in detectors}
    signals = {}
    for name, mark in marks.items():
        hits, trials = count_members(clusters, mark.shows & mark.known), count_members(clusters, mark.known)
        baseline = excess_shares(hits.tolist(), trials.tolist(), floor=0.02).baseline
        signals[name] = Signal(mark.shows, mark.known, baseline, layers[name])
    found = Findings(
        evidence=measure(detectors, traffic, clusters, marks, settings.detect),
        signals=signals,
        rows=find_rows(detectors, traffic, clusters, settings.detect),
        relays=frozenset(d.id for d in detectors if d.claim == "relay"),
    )
    return decide(traffic, clusters, found, settings.judge)


def present(
    findings: Sequence[Finding],
    detectors: Sequence[Detector],
    traffic: Traffic,
    clusters: Clusters,
    opened: Opened,
    settings: Settings,
) -> tuple[list[Campaign], dict[int, Campaign]]:
    """Turn what is worth telling into campaigns, strongest first; also by cluster."""
    told = _worth_telling(findings)
    accused = [f for f in told if f.judgement.verdict in ACCUSING]
    q = dict(
        zip(
            (f.cluster for f in accused), q_values([1 - f.judgement.confidence for f in accused]), strict=True
        )
    )
    layers = {d.id: d.layer for d in detectors}
    wrappers = find_wrappers(accused, traffic, clusters, opened) if settings.keep_text else {}
    releases = [
        Mark(at, "model_release", label) for at, kind, label in _dated(opened) if kind == "model_release"
    ]
    by_cluster = {
        f.cluster: describe(
            f, q.get(f.cluster, 1.0), traffic, clusters, layers, wrappers.get(f.cluster), releases
        )
        for f in told
    }
    order = sorted(
        by_cluster.values(),
        key=lambda c: (c.verdict not in ACCUSING, -c.confidence, -c.harvest_exchanges, c.campaign_id),
    )
    return order, by_cluster


def _worth_telling(findings: Sequence[Finding]) -> list[Finding]:
    """Every accusation, and the largest groups of five accounts and more without one."""
    accused = [f for f in findings if f.judgement.verdict in ACCUSING]
    other = [f for f in findings if f.judgement.verdict not in ACCUSING and len(f.members) >= 5 and f.shown]
    return (
        accused
        + sorted(other, key=lambda f: (-f.judgement.harvest.log_odds, -len(f.members), f.cluster))[:_SHOWN]
    )


def find_wrappers(
    findings: Sequence[Finding], traffic: Traffic, clusters: Clusters, opened: Opened
) -> dict[int, Wrapper]:
    """Read a few exchanges of each cluster's most frequent wrapper again, and align them."""
    e = traffic.exchanges
    chosen: dict[int, tuple[np.ndarray, float, bool]] = {}
    for finding in findings:
        rows = finding.harvest[clusters.matched[finding.harvest] > 0]
        if not len(rows):
            continue
        value, count = np.unique(clusters.wrapper[rows], return_counts=True)
        same = rows[clusters.wrapper[rows] == value[np.argmax(count)]]
        same = same[np.argsort(e.id[same], kind="stable")]
        _, first = np.unique(e.account[same], return_index=True)
        in_system = bool((e.system[same] >= 0).mean() > 0.5)
        chosen[finding.cluster] = same[np.sort(first)][:_COMPARED], float(count.max() / len(rows)), in_system
    wanted = (
        np.unique(np.concatenate([e.row[rows] for rows, _, _ in chosen.values()]))
        if chosen
        else np.zeros(0, np.int64)
    )
    texts = opened.take(wanted, ["system_text", "user_text"]).to_pylist() if len(wanted) else []
    out = {}
    for k, (rows, share, in_system) in chosen.items():
        mine = [texts[i] for i in np.searchsorted(wanted, e.row[rows])]
        wrapper = common_wrapper(
            [t["system_text" if in_system else "user_text"] or "" for t in mine], round(share, 4)
        )
        if wrapper is not None:
            out[k] = wrapper
    return out


def account_table(
    traffic: Traffic, findings: Sequence[Finding], campaigns: Mapping[int, Campaign]
) -> pa.Table:
    """Return `accounts.parquet`: every account that was seen."""
    n = len(traffic.accounts)
    score, harvest = np.zeros(n), np.zeros(n, np.int64)
    campaign: list[str | None] = [None] * n
    verdict: list[str | None] = [None] * n
    reasons: list[list[str]] = [[] for _ in range(n)]
    for finding in findings:
        members = finding.members
        score[members] = np.round(finding.judgement.confidence * finding.belonging, 6)
        told = campaigns.get(finding.cluster)
        if told is None:
            continue
        np.add.at(harvest, traffic.exchanges.account[finding.harvest], 1)
        why = [f"{e.detector}: {e.statement}" for e in told.evidence if e.log_odds > 0]
        for account in subject_of(finding).tolist():
            campaign[account], verdict[account], reasons[account] = told.campaign_id, told.verdict, why
    columns = [traffic.accounts.name, traffic.accounts.volume(), score, campaign, verdict, harvest, reasons]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema.ACCOUNTS_OUT, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema.ACCOUNTS_OUT).sort_by("account_id")


def harvest_table(
    traffic: Traffic, findings: Sequence[Finding], campaigns: Mapping[int, Campaign], opened: Opened
) -> pa.Table:
    """Return `harvest.parquet`: the exchanges that are judged part of a harvest, with their ids read again."""
    e = traffic.exchanges
    kept = [f for f in findings if len(f.harvest) and f.cluster in campaigns]
    if not kept:
        return schema.HARVEST_OUT.empty_table()
    rows = np.concatenate([f.harvest for f in kept])
    campaign = np.repeat([campaigns[f.cluster].campaign_id for f in kept], [len(f.harvest) for f in kept])
    confidence = np.repeat([f.judgement.confidence for f in kept], [len(f.harvest) for f in kept])
    order = np.argsort(e.row[rows], kind="stable")
    rows = rows[order]
    ids = opened.take(e.row[rows], ["exchange_id"])["exchange_id"].combine_chunks()
    arrays = [
        ids,
        pa.array(traffic.accounts.name[e.account[rows]], pa.string()),
        pa.array(campaign[order], pa.string()),
        pa.array(confidence[order]),
    ]
    return pa.Table.from_arrays(arrays, schema=schema.HARVEST_OUT).sort_by("exchange_id")


def about(
    opened: Opened, traffic: Traffic, detectors: Sequence[Detector], campaigns: Sequence[Campaign], tables: tuple[pa.Table, pa.Table],
    rejected: Rejected, settings: Settings, clock: Clock,
) -> dict[str, Any]:  # fmt: skip
    """Return `run.json`."""
    verdicts = {v: sum(c.verdict == v for c in campaigns) for v in sorted({c.verdict for c in campaigns})}
    at = traffic.exchanges.at
    return {
        "schema": RUN_SCHEMA,
        "product": "excise",
        "version": __version__,
        "settings": settings.as_dict(),
        "settings_hash": settings.digest(),
        "inputs": [
            {"path": i.path, "kind": i.kind, "format": i.format, "rows": i.rows, "sha256": i.sha256}
            for i in opened.inputs
        ],
        "rejected": rejected.as_json(),
        "unavailable": [
            {"evidence": name, "why": why} for name, why in NEEDS.items() if name not in traffic.available
        ],
        "skipped_detectors": [d.id for d in DETECTORS if d not in detectors],
        "counts": {
            "exchanges": len(traffic.exchanges),
            "accounts": len(traffic.accounts),
            "campaigns": len(campaigns),
            "accused_accounts": sum(c.accounts for c in campaigns if c.verdict in ACCUSING),
            "harvest_exchanges": tables[1].num_rows,
            "verdicts": verdicts,
        },
        "period": {"first": iso_time(at.min()), "last": iso_time(at.max())},
        "events": [
            {"at": when, "kind": kind, "label": label}
            for when, kind, label in _dated(opened)
            if kind != "suspension"
        ],
        "timing": {
            "stages": clock.stages,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        },
    }


def _dated(opened: Opened) -> list[tuple[str, str, str]]:
    """Events that may be named: of models and prices, never of an account."""
    if opened.events is None:
        return []
    public = ("model_release", "outage", "price_change")
    rows = [r for r in opened.events.to_pylist() if r["kind"] in public and r["at"] is not None]
    return sorted((r["at"].strftime("%Y-%m-%dT%H:%M:%SZ"), r["kind"], str(r["subject"] or "")) for r in rows)
