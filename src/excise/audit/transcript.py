"""What was asked and answered, one JSON value a line, in the chain of `chain`.

Line 1 is a `Header`; then `Answer` and `Failure` in the order in which they happened, or one `Reading`. Texts are kept as they came;
JSON escapes what steers a screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from excise import chain
from excise.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: Final = 1


class Header(msgspec.Struct, frozen=True, tag_field="kind", tag="header"):
    """Who is asked, under which plan. `plan` is the sealed plan's commitment, empty or `prompts:SHA-256` where there is none."""

    schema: int
    suspect: str
    plan: str
    at: str
    source: str
    """What answers: `endpoint`, `recorded`, `model` or `weights`."""


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


class ControlReading(msgspec.Struct, frozen=True):
    """What a control's probabilities say, read beside a suspect's over the same texts and against the same base."""

    name: str
    sha256: str
    tuples: bytes
    weights: bytes


class Reading(msgspec.Struct, frozen=True, tag_field="kind", tag="reading"):
    """What an open suspect's probabilities say, whole: see `reading`. Hashes are over the models' files."""

    at: str
    texts: int
    places: int
    contexts: int
    suspect_sha256: str
    base_sha256: str
    tuples: bytes
    """Words of 64 bits, little-endian, three a pair."""
    weights: bytes
    """A double a pair, little-endian."""
    controls: tuple[ControlReading, ...] = ()


Record = Header | Answer | Failure | Reading


class Transcript(msgspec.Struct, frozen=True):
    """A whole transcript. `digest` is the last line's hash: it stands for all of it."""

    header: Header
    answers: tuple[Answer, ...]
    failures: tuple[Failure, ...]
    digest: str
    reading: Reading | None = None
    torn: int = 0
    """Bytes of a torn last line that were left out."""

    @property
    def asked(self) -> int:
        """How many prompts are done with: up to the last that was answered, or that asking again would not help.

        Only later ones are asked when a run goes on, so that what a look has seen never changes.
        """
        if self.reading is not None:
            return self.reading.texts
        done = [a.query for a in self.answers] + [f.query for f in self.failures if f.final]
        return max(done, default=-1) + 1


def read(path: Path) -> Transcript:
    """The transcript in `path`. Raises `UnreadableFile` where it cannot be read, `InputError` where the chain is broken."""
    lines, torn = chain.whole_lines(path)
    header, reading, answers, failures, digest = None, None, [], [], chain.START
    for number, text in enumerate(lines, 1):
        body, digest = chain.checked(path, number, text, digest)
        record = _record(path, number, body)
        if isinstance(record, Header) != (number == 1):
            raise chain.broken(path, number, "a header stands first and nowhere else")
        if isinstance(record, Header):
            header = record
        elif isinstance(record, Answer):
            answers.append(record)
        elif isinstance(record, Reading):
            reading = record
        else:
            failures.append(record)
    if header is None:
        raise chain.broken(path, 1, "there is no header")
    return Transcript(header, tuple(answers), tuple(failures), digest, reading, torn)


def _record(path: Path, number: int, body: bytes) -> Record:
    try:
        return msgspec.json.decode(body, type=Record)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise chain.broken(path, number, str(error)) from error


class Writer(chain.Appender):
    """Appends records to a transcript. A new file gets `header`; `done` is what one that is there already had, or None.

    Raises `UsageError` where the file belongs to another suspect or plan, and what `chain.Appender` raises.
    """

    def __init__(self, path: Path, header: Header) -> None:
        super().__init__(path)
        try:
            self.done = _continued(path, header)
            self.cut()
            if self.done is None:
                self.add(header)
            else:
                self.digest = self.done.digest
        except BaseException:
            self.close()
            raise


def _continued(path: Path, header: Header) -> Transcript | None:
    """The transcript that is there, None where not even its header is whole. Raises `UsageError` for somebody else's."""
    if not chain.whole_lines(path)[0]:
        return None
    found = read(path)
    if (found.header.suspect, found.header.plan) != (header.suspect, header.plan):
        raise UsageError(
            "this transcript is of another suspect or plan",
            subject=str(path),
            hint="choose another --suspect",
        )
    return found
