"""The scan, from left to right: ingest -> sketch -> detect -> link -> judge -> report. The only place that knows the order."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

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
from excise.engine.progress import Clock, Progress, Silence
from excise.errors import InputError, TooManyBadRows
from excise.ingest.ledger import Rejected
from excise.ingest.pseudonym import Pseudonymiser
from excise.ingest.source import MAX_BAD_ROWS, open_traffic
from excise.ingest.traffic import Traffic as Opened
from excise.judge.decide import Finding, Findings, decide
from excise.judge.members import Signal
from excise.link.linker import leave, link
from excise.model.clusters import Clusters
from excise.model.run import Run
from excise.model.tables import Family, Traffic
from excise.outcome import about, account_table, harvest_table, present
from excise.settings import Settings
from excise.sketch import exchanges as sketching
from excise.sketch.available import available_kinds
from excise.sketch.lexicon import load_pack
from excise.sketch.side import align_accounts, code_events
from excise.stats.excess import excess_shares


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
    return Run({**info, "version": __version__}, tuple(campaigns), *tables)


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
    p = shared_wrapper.DETECTOR.settings(settings.detect.get(shared_wrapper.DETECTOR.id, {}))
    clusters = link(ties, traffic.accounts, settings.link)
    clusters = leave(clusters, shared_wrapper.strangers(clusters, traffic.habits, p))
    clusters = match(traffic, clusters, share_inside=p["share_inside"])
    return shared_wrapper.fill(clusters, traffic.habits, ties, p)


def weigh(
    detectors: Sequence[Detector], traffic: Traffic, clusters: Clusters, settings: Settings
) -> list[Finding]:
    """Measure every signal on every cluster and judge clusters, members and exchanges."""
    marks = find_marks(detectors, traffic, clusters, settings.detect)
    by_id = {d.id: d for d in detectors}
    signals = {}
    for name, mark in marks.items():
        hits, trials = count_members(clusters, mark.shows & mark.known), count_members(clusters, mark.known)
        baseline = excess_shares(hits.tolist(), trials.tolist(), floor=0.02).baseline
        signals[name] = Signal(
            mark.shows, mark.known, baseline, by_id[name].layer, tied=by_id[name].ties is not None
        )
    found = Findings(
        evidence=measure(detectors, traffic, clusters, marks, settings.detect),
        signals=signals,
        rows=find_rows(detectors, traffic, clusters, settings.detect),
        relays=frozenset(d.id for d in detectors if d.claim == "relay"),
    )
    return decide(traffic, clusters, found, settings.judge)
