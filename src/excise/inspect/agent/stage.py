"""The order of the stage: ask about one place after the other, until the budget is used up; replay, try, join, tell.

Every question and answer goes into a transcript whose lines are chained by hashes; its last hash stands in the report.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final, Protocol

import msgspec

from excise import chain
from excise.errors import UsageError
from excise.inspect import sandbox
from excise.inspect.agent import claims, prompt
from excise.inspect.agent.answer import Answer, Claim, Fix, Unusable, parse
from excise.inspect.agent.apart import Apart
from excise.inspect.agent.endpoint import Endpoint, Reply
from excise.inspect.agent.slices import Question
from excise.inspect.finding import Finding, Patch, Report
from excise.inspect.scope import Scope
from excise.wire import Trouble

BYTES_A_TOKEN: Final = 4
"""What a token is reckoned at where an endpoint claims to have used fewer."""
MOST_ANSWER: Final = 200_000
"""Characters of an answer that are looked at and kept."""
LONGEST: Final = 120.0
"""Seconds for one request."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Requests, tokens (the larger of what is claimed and a quarter of the bytes), bytes both ways, seconds in all."""

    requests: int = 20
    tokens: int = 200_000
    bytes: int = 4_000_000
    seconds: int = 600


def budget(said: str) -> Budget:
    """The budget in `requests=5,seconds=60`; what is not named stays. Raises `UsageError`."""
    names = [f.name for f in fields(Budget)]
    given: dict[str, int] = {}
    for part in filter(None, said.split(",")):
        name, _, number = part.strip().partition("=")
        if name not in names or not (number.isascii() and number.isdigit() and 0 < int(number[:12]) < 10**10):
            raise UsageError(
                f"no budget {part!r}", subject="--agent-budget", hint=f"{','.join(f'{n}=N' for n in names)}"
            )
        given[name] = int(number)
    return Budget(**given)


class Model(Protocol):
    """Whom we ask."""

    model: str
    url: str

    def ask(self, words: str, seconds: float) -> Reply:
        """The reply to `words`. Raises `Trouble`."""
        ...


class Scanner(Protocol):
    """What knows the tree (`apart`)."""

    def scan(self) -> Report: ...  # noqa: D102  said there
    def questions(self, most: int) -> list[Question]: ...  # noqa: D102
    def replayed(self, said: Sequence[Claim]) -> list[Finding]: ...  # noqa: D102
    def tried(self, fix: Fix, finding: Finding, shown: Sequence[str]) -> Patch: ...  # noqa: D102


class Opened(msgspec.Struct, frozen=True, tag_field="kind", tag="agent"):
    """The first line of a transcript."""

    schema: int
    model: str
    url: str
    system: str
    nonce: str
    budget: Budget


class Asked(msgspec.Struct, frozen=True, tag_field="kind", tag="asked"):
    """One question and what came back: an answer, or the trouble."""

    number: int
    about: str
    prompt: str
    answer: str = ""
    trouble: str = ""
    tokens: int = 0
    bytes: int = 0
    sha256: str = ""


class Transcript:
    """The lines, in a file where one is named; `digest` is the last line's hash. Raises `UsageError`, `OutputError`."""

    def __init__(self, path: Path | None) -> None:
        if path is not None and path.exists() and path.stat().st_size:
            raise UsageError("there is a transcript", subject=str(path), hint="name a new file")
        self._file = chain.Appender(path) if path is not None else None
        self._digest = chain.START

    @property
    def digest(self) -> str:
        """The hash that stands for all lines."""
        return self._file.digest if self._file is not None else self._digest

    def add(self, record: msgspec.Struct) -> None:
        """Append a line."""
        if self._file is not None:
            self._file.add(record)
        else:
            _, self._digest = chain.link(record, self._digest)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


@dataclass
class _Spent:
    """What was used, and what came of it."""

    budget: Budget
    clock: Callable[[], float]
    began: float
    requests: int = 0
    tokens: int = 0
    bytes: int = 0
    failed: int = 0
    dropped: int = 0
    claims: list[Finding] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Left of the time."""
        return self.budget.seconds - (self.clock() - self.began)

    @property
    def out(self) -> str:
        """What is used up, empty where nothing is."""
        spent = {"requests": self.requests, "tokens": self.tokens, "bytes": self.bytes}
        over = [name for name, used in spent.items() if used >= getattr(self.budget, name)]
        return (over + ["seconds"] * (self.seconds <= 0) + [""])[0]


def second_look(
    scanner: Scanner,
    model: Model,
    most: Budget,
    transcript: Transcript,
    nonce: str,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """The report of `scanner`'s tree, with what `model` adds. Raises what the scanner and the transcript raise."""
    report = scanner.scan()
    transcript.add(Opened(1, model.model, model.url, prompt.system(), nonce, most))
    spent = _Spent(most, clock, clock())
    questions = scanner.questions(most.requests)
    for question in questions:
        if spent.out:
            break
        answer = _asked(question, model, spent, transcript, nonce)
        _weighed(answer, question, scanner, spent)
    whole = claims.joined(report, spent.claims)
    notes = (*report.notes, _told(model, spent, len(questions), transcript.digest))
    return replace(whole, notes=notes, patches=tuple(spent.patches))


def _asked(question: Question, model: Model, spent: _Spent, transcript: Transcript, nonce: str) -> Answer:
    words = prompt.user(question, nonce)
    spent.requests += 1
    asked = Asked(spent.requests, question.about, words)
    try:
        reply = model.ask(words, max(1.0, min(LONGEST, spent.seconds)))
    except Trouble as trouble:
        spent.failed += 1
        spent.bytes += len(words.encode("utf-8", "replace"))
        transcript.add(msgspec.structs.replace(asked, trouble=f"{trouble.reason} {trouble.detail}".strip()))
        return Answer()
    spent.bytes += reply.bytes
    spent.tokens += max(reply.tokens, reply.bytes // BYTES_A_TOKEN)
    text = reply.text[:MOST_ANSWER]
    done = msgspec.structs.replace(
        asked, answer=text, tokens=reply.tokens, bytes=reply.bytes, sha256=reply.sha256
    )
    try:
        answer = parse(text)
    except Unusable as error:
        spent.failed += 1
        transcript.add(msgspec.structs.replace(done, trouble=str(error)))
        return Answer()
    transcript.add(done)
    return answer


def _weighed(answer: Answer, question: Question, scanner: Scanner, spent: _Spent) -> None:
    """Replay the hypotheses, and try the fixes of the finding that was asked about."""
    spent.dropped += answer.dropped
    if answer.claims:
        found = scanner.replayed(answer.claims)
        spent.dropped += len(answer.claims) - len(found)
        spent.claims += found
    for fix in answer.fixes:
        if question.finding is None or fix.finding != question.finding.fingerprint:
            spent.dropped += 1
        else:
            spent.patches.append(scanner.tried(fix, question.finding, sorted(question.paths)))


def _told(model: Model, spent: _Spent, questions: int, digest: str) -> str:
    proven = sum(f.proven for f in spent.claims)
    cleared = sum(p.cleared for p in spent.patches)
    ended = f"; the budget of {spent.out} ended it" if spent.out and spent.requests < questions else ""
    return (
        f"A second look by {model.model} at {model.url}: {spent.requests} of {questions} questions asked, {spent.failed} without a "
        f"usable answer{ended}; {len(spent.claims)} hypotheses, {proven} of them replayed; {len(spent.patches)} fixes, {cleared} of "
        f"them clear their finding; {spent.dropped} proposals that are none; {spent.tokens:,} tokens, {spent.bytes:,} bytes; "
        f"transcript {digest}"
    )


@contextmanager
def looked_twice(
    scope: Scope, writable: Sequence[Path], endpoint: Endpoint, most: Budget, path: Path | None
) -> Iterator[Report]:
    """As `scope.inspected`, with a second look; `path` is the transcript's. Another process reads the tree.

    The walls of this one have a gap for the endpoint's host and port.
    """
    with (
        Apart(scope) as scanner,
        sandbox.walls(scope.root, writable, reach=endpoint.reach),
        closing(Transcript(path)) as transcript,
    ):
        yield second_look(scanner, endpoint, most, transcript, secrets.token_hex(16))
