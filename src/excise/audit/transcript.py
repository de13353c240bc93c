"""What was asked and answered, one JSON value a line, each line bound to all before it by a hash.

Line 1 is a `Header`; then `Answer` and `Failure` in the order in which they happened. `hash` of a line is the SHA-256 of
the hash before it (64 zeros at the start) and of the line's bytes without its own hash, so that no line can be changed,
dropped or moved without every later one showing it. Texts are kept as they came; JSON escapes what steers a screen.

A process that is killed while it writes leaves a torn last line: `Writer` cuts it off, `Transcript.torn` says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final

import msgspec

from excise.errors import InputError, OutputError, UnreadableFile, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, Self

SCHEMA: Final = 1
LINE_LIMIT: Final = 16 << 20
"""Bytes of one line that are read at most."""
START: Final = "0" * 64


class Header(msgspec.Struct, frozen=True, tag_field="kind", tag="header"):
    """Who is asked, under which plan. `plan` is the sealed plan's commitment, empty where there is none."""

    schema: int
    suspect: str
    plan: str
    at: str
    source: str
    """What answers: `endpoint`, `recorded` or `model`."""


class Answer(msgspec.Struct, frozen=True, tag_field="kind", tag="answer"):
    """One answer. `query` counts the plan's prompts from 0; `at` is ISO 8601 in UTC, empty where it is not known."""

    query: int
    prompt: str
    answer: str
    at: str = ""
    model: str = ""
    """The name that the suspect gives itself, with its fingerprint where there is one."""
    finish: str = ""
    claimed_tokens: int | None = None
    attempts: int = 1
    raw_sha256: str = ""
    """Of the response's body as it came."""


class Failure(msgspec.Struct, frozen=True, tag_field="kind", tag="failure"):
    """A query that got no usable answer. `reason` is a short stable word, e.g. `timeout`, `status`, `too-large`."""

    query: int
    reason: str
    detail: str = ""
    at: str = ""
    attempts: int = 1
    final: bool = False
    """Asking again would not help."""


Record = Header | Answer | Failure


class Transcript(msgspec.Struct, frozen=True):
    """A whole transcript. `digest` is the last line's hash: it stands for all of it."""

    header: Header
    answers: tuple[Answer, ...]
    failures: tuple[Failure, ...]
    digest: str
    torn: int = 0
    """Bytes of a torn last line that were left out."""

    @property
    def asked(self) -> int:
        """How many prompts are done with: up to the last that was answered, or that asking again would not help.

        Only later ones are asked when a run goes on, so that what a look has seen never changes.
        """
        done = [a.query for a in self.answers] + [f.query for f in self.failures if f.final]
        return max(done, default=-1) + 1


def line(record: Record, before: str) -> tuple[bytes, str]:
    """The line for `record` after the line with hash `before`, with its line feed, and its hash."""
    body = msgspec.json.encode(record)
    digest = hashlib.sha256(before.encode() + body).hexdigest()
    return body[:-1] + b',"hash":"' + digest.encode() + b'"}\n', digest


def read(path: Path) -> Transcript:
    """The transcript in `path`. Raises `UnreadableFile` where it cannot be read, `InputError` where the chain is broken."""
    lines, torn = _lines(path)
    header, answers, failures, digest = None, [], [], START
    for number, text in enumerate(lines, 1):
        record, digest = _checked(path, number, text, digest)
        if isinstance(record, Header) != (number == 1):
            raise _broken(path, number, "a header stands first and nowhere else")
        if isinstance(record, Header):
            header = record
        elif isinstance(record, Answer):
            answers.append(record)
        else:
            failures.append(record)
    if header is None:
        raise _broken(path, 1, "there is no header")
    return Transcript(header, tuple(answers), tuple(failures), digest, torn)


def _lines(path: Path) -> tuple[list[bytes], int]:
    """The whole lines of a file, and how many bytes a torn last one has."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFile("not a plain file", subject=str(path), hint="name a transcript")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            (error.strerror or str(error)).lower(),
            subject=str(path),
            hint="name a transcript of `excise audit run`",
        ) from error
    *whole, rest = data.split(b"\n")
    return whole, len(rest)


def _checked(path: Path, number: int, text: bytes, before: str) -> tuple[Record, str]:
    """The record of a line, and its hash, which is what it must be after `before`."""
    body, mark, tail = text.rpartition(b',"hash":"')
    digest = hashlib.sha256(before.encode() + body + b"}").hexdigest()
    if len(text) > LINE_LIMIT or not mark or tail != digest.encode() + b'"}':
        raise _broken(path, number, "its hash is not that of what it says after the lines before it")
    try:
        return msgspec.json.decode(body + b"}", type=Record), digest
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _broken(path, number, str(error)) from error


def _broken(path: Path, number: int, why: str) -> InputError:
    return InputError(
        f"line {number} of the transcript does not hold: {why}",
        subject=str(path),
        hint="fetch the file again whole; a transcript that was changed proves nothing",
    )


class Writer:
    """Appends records to a transcript, each on disk before the next query. Use as a context manager.

    A new file gets `header`; one that is there is read first, its torn last line cut off, and `done` holds what it had.
    Raises `UsageError` where the file belongs to another suspect or plan, or another run is writing it, `OutputError` where the system refuses.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self._file = _locked(path)
        try:
            self.done = _continued(path, header)
            self._digest = self.done.digest if self.done else START
            self._cut()
            if self.done is None:
                self.add(header)
        except BaseException:
            self._file.close()
            raise

    def _cut(self) -> None:
        """Take a torn last line away."""
        try:
            self._file.truncate(self.path.stat().st_size - _lines(self.path)[1])
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def add(self, record: Record) -> None:
        """Append `record` and wait until it is on disk."""
        text, self._digest = line(record, self._digest)
        try:
            self._file.write(text)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _continued(path: Path, header: Header) -> Transcript | None:
    """The transcript that is there, None where not even its header is whole. Raises `UsageError` for somebody else's."""
    if not _lines(path)[0]:
        return None
    found = read(path)
    if (found.header.suspect, found.header.plan) != (header.suspect, header.plan):
        raise UsageError(
            "this transcript is of another suspect or plan",
            subject=str(path),
            hint="choose another --suspect",
        )
    return found


def _locked(path: Path) -> BinaryIO:
    """The file, opened to append, and no other run's as long as it is open."""
    try:
        file = path.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UsageError(
            "another run is writing it", subject=str(path), hint="wait for it, or stop it"
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    return file


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot be written: {(error.strerror or str(error)).lower()}",
        subject=str(path),
        hint="free some space or permit it; what was answered so far is kept, and the same command goes on there",
    )
