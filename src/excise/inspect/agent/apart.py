"""The process that reads the tree while another one talks to an endpoint: behind walls that have no gap.

It is forked before anything is read and answers four calls over a pipe. What it sends back is values of this package;
the other side's wall refuses any other class.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self

from excise.errors import ExciseError, OutputError, UnreadableFile
from excise.inspect import run, sandbox
from excise.inspect.agent import claims, patches, slices
from excise.inspect.agent.answer import Claim, Fix
from excise.inspect.agent.slices import Question
from excise.inspect.cache import Cache
from excise.inspect.collector import uncollected
from excise.inspect.finding import Coverage, Finding, Patch, Report
from excise.inspect.scope import Scope, folders
from excise.inspect.walk import Listing, walk
from excise.report.staging import replace_file


class Reader:
    """The four calls, in the process that has them. `scan` comes first."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.report = Report("", (), Coverage(0, 0, 0))
        self.listing = Listing(scope.root, (), ())
        self.known = Cache()

    def scan(self) -> Report:
        """The report of the tree as it is."""
        known = Cache(self.scope.cache, keeping=True)
        self.listing = walk(self.scope.root, self.scope.exclude)
        self.report = self._inspect(known, {})
        self.known = known
        if self.scope.cache is not None:
            replace_file(self.scope.cache, known.encoded())
        return self.report

    def questions(self, most: int) -> list[Question]:
        """What to ask about."""
        return slices.questions(self.report, self.listing, self.known.notes("flow"), most)

    def replayed(self, said: Sequence[Claim]) -> list[Finding]:
        """The hypotheses as findings, proven or not."""
        return claims.findings(said, self.listing, self.known.notes("flow"))

    def tried(self, fix: Fix, finding: Finding, shown: Sequence[str]) -> Patch:
        """What a fix does."""
        memory = self.known.after()
        return patches.tried(
            fix, finding, self.listing, shown, self.report, lambda texts: self._inspect(memory, texts)
        )

    def _inspect(self, cache: Cache, replaced: dict[str, bytes] | Any) -> Report:
        scope = self.scope
        jobs = 1 if replaced else scope.jobs
        return run.inspect(scope.root, jobs=jobs, cache=cache, exclude=scope.exclude, replaced=replaced)


class Apart:
    """A `Reader` in a process of its own. Use as a context manager; leaving it ends the process."""

    def __init__(self, scope: Scope) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._pipe, scope))
        self._process.start()
        theirs.close()

    def scan(self) -> Report:
        """As `Reader.scan`. Raises what that raises."""
        return self._call("scan")

    def questions(self, most: int) -> list[Question]:
        """As `Reader.questions`."""
        return self._call("questions", most)

    def replayed(self, said: Sequence[Claim]) -> list[Finding]:
        """As `Reader.replayed`."""
        return self._call("replayed", said)

    def tried(self, fix: Fix, finding: Finding, shown: Sequence[str]) -> Patch:
        """As `Reader.tried`."""
        return self._call("tried", fix, finding, shown)

    def _call(self, name: str, *args: Any) -> Any:
        try:
            self._pipe.send((name, args))
            said = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise UnreadableFile(
                "the process that read the tree ended", hint="inspect it without --agent"
            ) from error
        if isinstance(said, _Failed):
            raise (OutputError if said.output else UnreadableFile)(
                said.message, subject=said.subject, hint=said.hint
            )
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(1)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


@dataclass(frozen=True, slots=True)
class _Failed:
    """An error on its way to the other side. `output` tells writing from reading."""

    message: str
    subject: str
    hint: str
    output: bool = False


def _failed(error: Exception) -> _Failed:
    if isinstance(error, ExciseError):
        return _Failed(error.message, error.subject, error.hint, isinstance(error, OutputError))
    return _Failed(f"reading the tree failed: {type(error).__name__}", "", "inspect it without --agent")


def _serve(pipe: Connection, theirs: Connection, scope: Scope) -> None:
    theirs.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader = Reader(scope)
    writable = folders([scope.cache])
    with suppress(EOFError, OSError), uncollected(), sandbox.walls(scope.root, writable, jobs=scope.jobs):
        while True:
            name, args = pipe.recv()
            try:
                said = getattr(reader, name)(*args)
            except Exception as error:  # noqa: BLE001  it is raised on the other side
                said = _failed(error)
            pipe.send(said)
