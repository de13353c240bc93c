"""The scan, from left to right: ingest -> sketch -> detect -> link -> judge -> report. The only place that knows the order."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from excise import __version__
from excise.detect import DETECTORS, shared_wrapper
from excise.detect.detector import Detector
from excise.detect.groups import count_members
from excise.detect.habits import find_habits
from excise.detect.matching import Held, count_users, match
from excise.detect.phrases import find_phrases
from excise.detect.run import find_marks, find_rows, find_ties, measure, usable
from excise.engine.budget import Budget, memory_there
from excise.engine.embedded import map_ordered, together
from excise.engine.memory import forget, release, return_pages
from excise.engine.progress import Clock, Progress, Silence
from excise.errors import InputError, TooManyBadRows, UsageError
from excise.ingest.layout import is_database
from excise.ingest.ledger import Rejected
from excise.ingest.pseudonym import Pseudonymiser
from excise.ingest.source import MAX_BAD_ROWS, open_traffic
from excise.ingest.traffic import Traffic as Opened
from excise.judge.decide import Finding, Findings, decide, name_harvest
from excise.judge.members import Signal
from excise.link.linker import leave, link
from excise.link.recruits import find_candidates, merge_related, take_in
from excise.model.clusters import Clusters, Ties
from excise.model.run import Run
from excise.model.tables import I64, Accounts, Events, Family, Traffic
from excise.outcome import about, present
from excise.settings import Settings
from excise.sketch.assemble import Assembled, assemble
from excise.sketch.available import available_kinds, seen_columns
from excise.sketch.exchanges import COLUMNS, sketch_batch
from excise.sketch.gathering import Gathering, Piece, bits_for
from excise.sketch.lexicon import load_pack
from excise.sketch.side import align_accounts, code_events
from excise.state.folder import State, open_state
from excise.state.remembered import Remembered
from excise.state.segment import SEGMENT_SHIFT, Seen
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
    memory: int | None = None,
    spill: Path | None = None,
    state: Path | None = None,
    window: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Find the campaigns in `source` (a file, a folder, a glob or a database's address) and its side tables.

    The result depends on the rows and the settings only, not on threads, files, batches or the order of rows, nor on the
    `memory` (bytes; half of what is there) beyond which tables lie in files of the folder `spill` (that for temporary files).
    With a `state` folder the scan goes on: files that it has read are not read again. `window`: microseconds before the latest
    exchange beyond which rows are left out, and forgotten by the state.
    Raises the errors of `excise.errors`; a kind of evidence that is missing is said in the run.
    """
    return_pages()
    if state and is_database(str(source)):
        raise UsageError(
            "a database has no files to go on from",
            subject="--state",
            hint="export its rows to files of a day each, or scan it without --state",
        )
    settings = settings or Settings()
    clock = Clock(progress or Silence())
    budget = Budget(memory or memory_there() // 2, spill or Path(tempfile.gettempdir()))
    with budget.explained(), tempfile.TemporaryDirectory(prefix="excise-") as staging, ExitStack() as stack:
        kept = (
            stack.enter_context(
                open_state(state, settings, version=__version__, pseudonyms=pseudonymise is not None)
            )
            if state
            else None
        )
        fresh: list[Seen] = []
        threads = threads or os.cpu_count() or 1
        with clock.stage("reading"):
            opened = open_traffic(
                str(source), staging=Path(staging), accounts=accounts, events=events, asn=asn, edge=edge,
                format=format, max_bad_rows=max_bad_rows, pseudonymise=pseudonymise,
                skip=(lambda path: kept.knows(path, fresh)) if kept else None,
            )  # fmt: skip
            opened = replace(opened, threads=threads)
        with clock.stage("sketching", opened.rows):
            gathered = read(opened, settings, threads, clock, budget, kept, fresh)
        since = gathered.latest - window if window else None
        with clock.stage("sorting"):
            traffic, duplicates = sort(gathered, opened, settings, threads, since)
        remembered = Remembered(kept, opened) if kept else opened
        rejected = with_duplicates(
            kept.rejected() if kept else opened.rejected, duplicates, gathered.rows, max_bad_rows
        )
        detectors = usable(DETECTORS, traffic)
        with clock.stage("linking"):
            clusters = cluster(detectors, traffic, settings, threads)
            forget(traffic.exchanges)
        with clock.stage("judging"):
            findings, signals = weigh(detectors, traffic, clusters, settings, threads)
            findings = name_harvest(traffic, clusters, signals, findings)
            forget(traffic.exchanges)
        with clock.stage("describing"):
            campaigns, tables = present(findings, detectors, traffic, clusters, remembered, settings, threads)
        if kept and since is not None:
            kept.forget(since)
        info = about(remembered, traffic, detectors, campaigns, tables, rejected, settings, clock)
    return Run({**info, "version": __version__}, tuple(campaigns), *tables)


def read(
    opened: Opened,
    settings: Settings,
    threads: int,
    clock: Clock,
    budget: Budget,
    kept: State | None = None,
    fresh: Sequence[Seen] = (),
) -> Gathering:
    """Read every text once and keep numbers; with a state, those of its files are there already, and the `fresh` ones are added."""
    if kept is None:
        gathered = Gathering(bits_for(opened.rows), budget.store(opened.rows))
        _sketch(_numbered(opened), gathered, settings, threads, clock)
    else:
        if opened.rows:
            with kept.begin(fresh, opened) as segment:
                numbered = _numbered(opened, segment.number << SEGMENT_SHIFT, segment.note)
                _sketch(numbered, segment.gathered, settings, threads, clock)
        gathered = kept.gathered(budget.store(kept.rows))
    if not gathered.rows:
        raise InputError(
            "there are no exchanges to scan", hint="look at the source with `excise ingest --explain`"
        )
    budget.check(gathered.rows, gathered.accounts)
    return gathered


def _sketch(
    numbered: Iterable[tuple[int, pa.RecordBatch]],
    into: Gathering,
    settings: Settings,
    threads: int,
    clock: Clock,
) -> None:
    cues = load_pack().cue_table(settings.seed)

    def kernel(item: tuple[int, pa.RecordBatch]) -> Piece:
        first, batch = item
        return sketch_batch(
            batch, first, seed=settings.seed, cues=cues, bits=into.bits, known=into.known_systems
        )

    for piece in map_ordered(kernel, numbered, threads=threads):
        into.add(piece)
        clock.progress.advance(piece.rows)


def sort(
    gathered: Gathering, opened: Opened, settings: Settings, threads: int, since: int | None = None
) -> tuple[Traffic, int]:
    """Put the rows into canonical order, align the side tables; return the traffic and how many rows repeated an id."""
    lexicon = load_pack()
    whole = assemble(gathered, lexicon, threads=threads, since=since)
    release()
    habits, (accounts, events) = together(
        lambda: find_habits(
            whole.exchanges, whole.systems, len(whole.names), settings.habits, threads=threads
        ),
        lambda: align(whole, opened, settings),
        threads=threads,
    )
    phrases = find_phrases(
        whole.exchanges, whole.systems, most=settings.habits.speakers(len(whole.names)), threads=threads
    )
    kinds = available_kinds(
        seen_columns(whole.exchanges), accounts, events, has_accounts=opened.accounts is not None
    )
    families = tuple(Family(f.id, f.title, f.capability) for f in lexicon.families)
    traffic = Traffic(whole.exchanges, whole.systems, habits, accounts, events, families, kinds, phrases)
    return traffic, whole.duplicates


def align(whole: Assembled, opened: Opened, settings: Settings) -> tuple[Accounts, Events]:
    """Find the accounts that were seen in the side tables."""
    starts = np.append(0, np.cumsum(np.bincount(whole.exchanges.account, minlength=len(whole.names))))
    accounts = align_accounts(whole.names, whole.account_hash, starts, opened.accounts, seed=settings.seed)
    return accounts, code_events(opened.events, accounts, seed=settings.seed)


def _numbered(
    opened: Opened, row: int = 0, note: Callable[[pa.RecordBatch], None] | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield batches with the number of their first row, from `row` on; `note` sees each before."""
    for batch in opened.batches(COLUMNS, dictionaries=True):
        if note is not None:
            note(batch)
        yield row, batch
        row += len(batch)


def with_duplicates(rejected: Rejected, duplicates: int, rows: int, most: float) -> Rejected:
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


def cluster(
    detectors: Sequence[Detector], traffic: Traffic, settings: Settings, threads: int = 1
) -> Clusters:
    """Tie accounts by every signal, join the ties, find the clusters, and the exchanges that hold a cluster's wrapper."""
    ties = find_ties(detectors, traffic, settings.detect, threads=threads)
    clusters, traffic = join(ties, traffic, settings)
    clusters = complete(clusters, ties, traffic, settings, partial(count_users, threads=threads))
    return hold(clusters, ties, traffic, settings, threads)


def join(ties: Sequence[Ties], traffic: Traffic, settings: Settings) -> tuple[Clusters, Traffic]:
    """Join ties into clusters, without those who only use what a cluster published; and let traffic know what clusters say among the habits. Reads no exchange."""
    p = shared_wrapper.DETECTOR.settings(settings.detect.get(shared_wrapper.DETECTOR.id, {}))
    clusters = link(ties, traffic.accounts, settings.link)
    knowing = replace(traffic, habits=shared_wrapper.habits_of(traffic, clusters, p))
    knowing.learn(traffic)
    return leave(clusters, shared_wrapper.strangers(clusters, knowing.habits, p)), knowing


def hold(
    clusters: Clusters,
    ties: Sequence[Ties],
    traffic: Traffic,
    settings: Settings,
    threads: int = 1,
    held: Held | None = None,
) -> Clusters:
    """Find the exchanges that hold their cluster's wrapper (unless it is known what they `held`), how many wrappers each account shares, and which clusters share parts of them."""
    p = shared_wrapper.DETECTOR.settings(settings.detect.get(shared_wrapper.DETECTOR.id, {}))
    matched, filled = together(
        lambda: match(traffic, clusters, share_inside=p["share_inside"], held=held, threads=threads),
        lambda: shared_wrapper.fill(
            clusters, traffic.habits, traffic.accounts, ties, p, most=settings.link.tie_nats
        ),
        threads=threads,
    )
    return replace(matched, wrappers=filled.wrappers, private=filled.private, neighbours=filled.neighbours)


def complete(
    clusters: Clusters,
    ties: Sequence[Ties],
    traffic: Traffic,
    settings: Settings,
    count: Callable[..., I64] = count_users,
) -> Clusters:
    """Merge clusters that are parts of one, then take accounts in that are tied to one by other things and used its wrapper, too seldom to be tied by it.

    `count` is what counts uses (as `count_users` does). Each use without a tie by the wrapper speaks against, by a nat: who belongs comes to be tied, the more often he uses it.
    """
    p = shared_wrapper.DETECTOR.settings(settings.detect.get(shared_wrapper.DETECTOR.id, {}))
    near = find_candidates(clusters, ties, traffic.accounts, least_nats=settings.link.edge_nats)
    near = near[clusters.label[near.account] >= 0]
    uses = count(traffic, clusters, near.account, near.cluster, share_inside=0.0)
    clusters = merge_related(clusters, near[uses >= 1], ties, settings.link)
    near = find_candidates(clusters, ties, traffic.accounts, least_nats=settings.link.recruit_nats)
    near = near[clusters.label[near.account] < 0]
    uses = count(traffic, clusters, near.account, near.cluster, share_inside=p["share_inside"])
    return take_in(clusters, near[(uses >= 1) & (uses <= near.nats)], ties, settings.link)


def weigh(
    detectors: Sequence[Detector], traffic: Traffic, clusters: Clusters, settings: Settings, threads: int = 1
) -> tuple[list[Finding], Mapping[str, I64]]:
    """Measure every signal on every cluster and judge clusters and members; also the exchanges that show a signal, by detector."""
    marks = find_marks(detectors, traffic, clusters, settings.detect, threads=threads)
    by_id = {d.id: d for d in detectors}
    signals = {}
    for name, mark in marks.items():
        hits, trials = count_members(clusters, mark.shows & mark.known), count_members(clusters, mark.known)
        baseline = excess_shares(hits.tolist(), trials.tolist(), floor=0.02).baseline
        signals[name] = Signal(
            mark.shows,
            mark.known,
            baseline,
            by_id[name].layer,
            tied=by_id[name].ties is not None,
            denied=mark.denied,
            doubted=mark.doubted,
        )
    found = Findings(
        evidence=measure(detectors, traffic, clusters, marks, settings.detect, threads=threads),
        signals=signals,
        rows=find_rows(detectors, traffic, clusters, settings.detect),
        relays=frozenset(d.id for d in detectors if d.claim == "relay"),
    )
    return decide(traffic, clusters, found, settings.judge), found.rows
