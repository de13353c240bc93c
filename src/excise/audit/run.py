"""Asking a suspect, or reading its weights: the plan's prompts in their order, each answer on disk before the next question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from excise.audit.reading import read, same_vocabulary
from excise.audit.suspects import NoReply, Suspect
from excise.audit.transcript import SCHEMA, Answer, ControlReading, Failure, Header, Reading, Writer
from excise.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from excise.audit.case import Case
    from excise.audit.reading import OpenModel
    from excise.audit.statistic import Contrast

GIVE_UP: Final = 5
"""Failures in a row after which the suspect is taken to be down."""


class Errand(Protocol):
    """What is asked, under which commitment, and where the answers go: a case, or prompts without a plan."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts in their order."""
        ...

    @property
    def commitment(self) -> str:
        """What binds a transcript to these prompts."""
        ...

    def transcript_path(self, suspect: str) -> Path:
        """The file of the suspect's transcript."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run did. `left` prompts have no answer yet; `gave_up` says that the suspect seemed to be down."""

    answered: int
    failed: int
    before: int
    left: int
    gave_up: bool


def ask(
    case: Errand,
    name: str,
    suspect: Suspect,
    now: Callable[[], str],
    *,
    budget: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Asked:
    """Ask `suspect` the planned prompts that are not done with, at most `budget` of them: it goes on where it was stopped.

    Raises `OutputError` where the transcript cannot be written, `InputError` where it was changed.
    """
    header = Header(SCHEMA, name, case.commitment, now(), suspect.source)
    answered = failed = in_a_row = 0
    with Writer(case.transcript_path(name), header) as writer:
        had = writer.done.asked if writer.done else 0
        waiting = range(had, len(case.prompts))
        for query in waiting[:budget]:
            record = _one(suspect, query, case.prompts[query], now)
            writer.add(record)
            advance()
            answered += isinstance(record, Answer)
            failed += isinstance(record, Failure)
            in_a_row = in_a_row + 1 if isinstance(record, Failure) and not record.final else 0
            if in_a_row >= GIVE_UP:
                break
    left = len(waiting) - answered - failed + in_a_row
    return Asked(answered, failed, had, left, gave_up=in_a_row >= GIVE_UP)


@dataclass(frozen=True, slots=True)
class WeightsRead:
    """What reading a suspect's weights did. `before` says that they had been read, and nothing was done."""

    texts: int
    places: int
    pairs: int
    before: bool


def read_weights(
    case: Case,
    name: str,
    suspect: Model,
    base: Model | None,
    controls: Mapping[str, Model],
    now: Callable[[], str],
    advance: Callable[[], None],
) -> WeightsRead:
    """Read the planned texts by the suspect, its base and the controls, and write what they say into the transcript of `name`.

    Raises `UsageError` where the plan has others, or where the base has another vocabulary than one of them.
    """
    check_weights(case, name, base.sha256 if base else "", {n: m.sha256 for n, m in controls.items()})
    _check_vocabularies(suspect, base, controls)
    header = Header(SCHEMA, name, case.commitment, now(), "weights")
    with Writer(case.transcript_path(name), header) as writer:
        if writer.done is not None and (one := writer.done.reading) is not None:
            return WeightsRead(one.texts, one.places, len(one.weights) // 8, before=True)
        texts, tokenizer, against = case.texts_to_read(), case.tokenizer(), base.model if base else None
        found = read(texts, suspect.model, against, tokenizer, case.plan.context, advance)
        beside = []
        for sealed in case.plan.open_controls:
            model = controls[sealed.name].model
            said = read(texts, model, against, tokenizer, case.plan.context, advance)
            beside.append(ControlReading(sealed.name, sealed.sha256, *_bytes(said.contrast)))
        writer.add(
            Reading(
                now(),
                found.texts,
                found.places,
                found.contexts,
                suspect.sha256,
                base.sha256 if base else "",
                *_bytes(found.contrast),
                tuple(beside),
            )
        )
    return WeightsRead(found.texts, found.places, len(found.contrast.weights), before=False)


def _bytes(found: Contrast) -> tuple[bytes, bytes]:
    return found.tuples.astype("<u8").tobytes(), found.weights.astype("<f8").tobytes()


def check_weights(case: Case, name: str, base: str, controls: Mapping[str, str]) -> None:
    """Raise `UsageError` where the plan has this suspect asked, or another base or other controls than those of these hashes."""
    planned = case.by_weights(name)
    if planned is None:
        raise UsageError(
            "is to be asked, says the plan", subject=name, hint="plan it with --weights NAME=FOLDER"
        )
    if planned.base != base:
        raise UsageError(
            "is not the base that the plan sealed", subject="--base", hint="name that one's folder"
        )
    sealed = {one.name: one.sha256 for one in case.plan.open_controls}
    if wrong := sorted({n for n, _ in sealed.items() ^ controls.items()}):
        raise UsageError(
            "is not among the open controls that the plan sealed, or is missing or another model",
            subject=f"--control {wrong[0]}",
            hint="name the folders of all of them: --control NAME=FOLDER",
        )


def _check_vocabularies(suspect: Model, base: Model | None, controls: Mapping[str, Model]) -> None:
    for name, one in {"the suspect": suspect, **controls}.items():
        if base is not None and not same_vocabulary(one.model, base.model):
            raise UsageError(
                f"has another vocabulary than {name}",
                subject="--base",
                hint="plan without it: --weights NAME",
            )


@dataclass(frozen=True, slots=True)
class Model:
    """A model that shows its probabilities, and the SHA-256 over its files."""

    model: OpenModel
    sha256: str


def _one(suspect: Suspect, query: int, prompt: str, now: Callable[[], str]) -> Answer | Failure:
    try:
        reply = suspect.ask(query, prompt)
    except NoReply as why:
        return Failure(query, why.reason, why.detail[:2_000], now(), why.attempts, why.final)
    at = reply.at if suspect.source == "recorded" else now()
    return Answer(
        query,
        prompt,
        reply.text,
        at,
        reply.model,
        reply.finish,
        reply.claimed_tokens,
        reply.attempts,
        reply.raw_sha256,
    )
