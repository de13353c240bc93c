"""One inspection from left to right: walk, read, conclude, prove, order."""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Final

from excise.inspect import proof
from excise.inspect.analyser import Analyser, Notes, Tree, is_python
from excise.inspect.cache import Cache, FileNotes
from excise.inspect.collector import uncollected
from excise.inspect.finding import Coverage, Finding, Gap, Report, Severity, Step, digest
from excise.inspect.registry import ANALYSERS
from excise.inspect.sandbox import Refused
from excise.inspect.tree import Entry, Source, Unparsable
from excise.inspect.walk import Listing, read, walk
from excise.inspect.weakness import BY_ID

CHUNK = 64
"""Files a worker takes at a time."""


def inspect(
    root: Path,
    *,
    jobs: int = 1,
    cache: Cache | None = None,
    exclude: Sequence[str] = (),
    analysers: Sequence[Analyser] = ANALYSERS,
    replaced: Mapping[str, bytes] | None = None,
) -> Report:
    """Look at the tree below `root`, without the paths of `exclude`, in `jobs` processes.

    `replaced` holds contents, by path, that are looked at in place of those on disk.

    Raises `UnreadableFile` where there is none; a bad file is a gap, never an error.
    """
    with uncollected():
        listing = replace(walk(root, exclude), replaced=replaced or {})
        report = _inspect(listing, jobs, cache or Cache(), exclude, analysers)
    return replace(report, root=root.name or str(root))


def _inspect(
    listing: Listing, jobs: int, cache: Cache, exclude: Sequence[str], analysers: Sequence[Analyser]
) -> Report:
    done = tuple(_read_all(listing, jobs, cache, analysers))
    found, failed = _conclude(listing, done, analysers)
    done = tuple(replace(f, notes=()) for f in done)  # the proofs need the room that the notes took
    gaps = tuple(sorted({*listing.gaps, *(g for f in done for g in f.gaps), *failed}, key=lambda g: g.path))
    found += [_gap(g) for g in gaps if g.reason in HIDING]
    proven = _proved(listing, found, {f.path: f.key for f in done}, cache)
    coverage = Coverage(
        files=sum(e.kind == "file" for e in listing.entries),
        lines=sum(f.lines for f in done),
        python_files=sum(is_python(f.path) for f in done),
        gaps=gaps,
    )
    notes = tuple(f"Left out by --exclude: {e}" for e in exclude)
    return Report("", ordered(proven), coverage, notes)


def _proved(
    listing: Listing, found: Sequence[Finding], keys: Mapping[str, str], cache: Cache
) -> Iterator[Finding]:
    """Each finding replayed, or remembered where it and the files of its steps are the same as when it was."""
    marks = [digest(repr(f), *(keys.get(s.path, "") for s in f.steps)) for f in found]
    new = [(f, m) for f, m in zip(found, marks, strict=True) if m not in cache.proofs]
    new.sort(key=lambda one: [s.path for s in one[0].steps])  # each file is parsed for all that is about it
    if len(new) > CHUNK:
        # many trees need the room of what was linked, which refers to itself and is of no use any more
        gc.collect()
    replayed = dict(zip((m for _, m in new), proof.replay(listing, (f for f, _ in new)), strict=True))
    for finding, mark in zip(found, marks, strict=True):
        known = cache.proofs.get(mark)
        if known is None:
            done = replayed[mark]
            cache.proved(mark, (done.proven, [s.text for s in done.steps]))
        else:
            steps = tuple(replace(s, text=t) for s, t in zip(finding.steps, known[1], strict=True))
            done = replace(finding, proven=known[0], steps=steps)
            cache.proved(mark, known)
        yield done


HIDING: Final = frozenset({"unparsable", "unreadable", "analyser", "too-large", "too-deep"})
"""Gaps that somebody could have made to hide something; each is a finding as well."""


def _gap(gap: Gap) -> Finding:
    about = BY_ID["coverage"]
    fact = f"not analysed: {gap.reason} {gap.detail}".strip()
    return Finding(
        weakness="coverage",
        severity=Severity.LOW,
        confidence="high",
        path=gap.path,
        line=0,
        title=fact,
        steps=(Step(gap.path, 0, fact),),
        controls="the file",
        gets=about.gets,
        fix=about.fix,
    )


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, then by place; of those about the same place the worst alone."""
    kept: dict[tuple[str, str, int | str], Finding] = {}
    for finding in ranked(findings):
        whole = finding.weakness in ONCE and finding.symbol
        kept.setdefault((finding.weakness, finding.path, finding.symbol if whole else finding.line), finding)
    return tuple(kept.values())


ONCE: Final = frozenset({"deny-listed-code"})
"""Classes that are about a function, and that more than one analyser looks for: one finding a function."""


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, then by place."""
    return sorted(findings, key=lambda f: (-f.severity, not f.proven, f.path, f.line, f.weakness, f.title))


def _read_all(
    listing: Listing, jobs: int, cache: Cache, analysers: Sequence[Analyser]
) -> Iterator[FileNotes]:
    wanted = [e for e in listing.entries if e.kind == "file" and any(a.wants(e.path) for a in analysers)]
    work = (listing, analysers, cache)
    if jobs <= 1 or len(wanted) < 2 * CHUNK:
        results: Iterable[FileNotes] = (read_one(listing, e, analysers, cache) for e in wanted)
        yield from cache.kept(results)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=work) as pool:
        yield from cache.kept(_until_broken(pool.map(_read_one, wanted, chunksize=CHUNK), wanted))


def _until_broken(results: Iterable[FileNotes], wanted: Sequence[Entry]) -> Iterator[FileNotes]:
    """The results in order; where a file brings down its process, what is left is a gap."""
    done = 0
    try:
        for result in results:
            done += 1
            yield result
    except BrokenProcessPool:
        for entry in wanted[done:]:
            yield FileNotes(entry.path, (), (Gap(entry.path, "analyser", "the process that read it ended"),))


_work: tuple[Listing, Sequence[Analyser], Cache]


def _begin(listing: Listing, analysers: Sequence[Analyser], cache: Cache) -> None:
    global _work  # noqa: PLW0603  what a worker process was started for
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _work = (listing, analysers, cache)


def _read_one(entry: Entry) -> FileNotes:
    listing, analysers, cache = _work
    return read_one(listing, entry, analysers, cache)


def read_one(listing: Listing, entry: Entry, analysers: Sequence[Analyser], cache: Cache) -> FileNotes:
    """Read one file and let every analyser that wants it take its notes."""
    wanting = [a for a in analysers if a.wants(entry.path)]
    limit = max(a.most_bytes for a in wanting)
    source = read(listing, entry, limit, head=any(a.head for a in wanting))
    if isinstance(source, Gap):
        return FileNotes(entry.path, (), (source,))
    known = cache.get(source)
    if known is not None:
        return known
    notes: list[tuple[str, Notes]] = []
    gaps: list[Gap] = []
    for analyser in wanting:
        if source.size > analyser.most_bytes and not analyser.head:
            gaps.append(Gap(entry.path, "too-large", f"{source.size:,} bytes for {analyser.id}"))
            continue
        took = _notes(analyser, source)
        if isinstance(took, Gap):
            gaps.append(took)
        elif took is not None:
            notes.append((analyser.id, took))
    lines = source.data.count(b"\n") + 1 if is_python(entry.path) else 0
    return FileNotes(entry.path, tuple(notes), tuple(dict.fromkeys(gaps)), lines, source.key)


def _notes(analyser: Analyser, source: Source) -> Notes:
    try:
        return analyser.read(source)
    except Unparsable as error:
        return Gap(source.path, "unparsable", str(error))
    except Refused:
        raise
    except (RecursionError, MemoryError) as error:
        return Gap(source.path, "unparsable", f"too deep for {analyser.id} ({type(error).__name__})")
    except Exception as error:  # noqa: BLE001  a hostile file must not end the run: it is said instead
        return Gap(source.path, "analyser", f"{analyser.id}: {type(error).__name__}")


def _conclude(
    listing: Listing, done: Sequence[FileNotes], analysers: Sequence[Analyser]
) -> tuple[list[Finding], list[Gap]]:
    found: list[Finding] = []
    failed: list[Gap] = []
    for analyser in analysers:
        notes = {f.path: n for f in done for k, n in f.notes if k == analyser.id}
        try:
            said = [replace(f, analyser=analyser.id) for f in analyser.conclude(Tree(listing.entries, notes))]
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001  as above
            failed.append(Gap("", "analyser", f"{analyser.id}: {type(error).__name__}: {error}"))
        else:
            found += said
    return found, failed
