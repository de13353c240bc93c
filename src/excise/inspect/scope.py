"""What a person asked to inspect, and the inspection behind its walls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from excise.inspect import run, sandbox
from excise.inspect.cache import Cache
from excise.inspect.collector import uncollected
from excise.inspect.finding import Report
from excise.report.staging import replace_file


@dataclass(frozen=True, slots=True)
class Scope:
    """The tree, the processes, the file that remembers, and what is left out: as the options of the command."""

    root: Path
    jobs: int = 1
    cache: Path | None = None
    exclude: Sequence[str] = ()


def folders(paths: Iterable[Path | None]) -> list[Path]:
    """The folders of the files that are named."""
    return [p.absolute().parent for p in paths if p is not None]


@contextmanager
def inspected(scope: Scope, writable: Sequence[Path]) -> Iterator[Report]:
    """The report of `scope`, in this process; the walls, with gaps for writing below `writable`, stand for the body too."""
    writable = [*writable, *folders([scope.cache])]
    with uncollected(), sandbox.walls(scope.root, writable, jobs=scope.jobs):
        known = Cache(scope.cache)
        report = run.inspect(scope.root, jobs=scope.jobs, cache=known, exclude=scope.exclude)
        if scope.cache is not None:
            replace_file(scope.cache, known.encoded())
        yield report
