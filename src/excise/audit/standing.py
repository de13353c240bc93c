"""What a result is worth beside its p-value: was all of it planned, and what happened while it was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from excise.audit import plan as planning
from excise.audit.plan import OpenControl
from excise.audit.scoring import Finding, clean

if TYPE_CHECKING:
    from excise.audit.case import Case
    from excise.audit.transcript import Reading, Transcript


@dataclass(frozen=True, slots=True)
class Course:
    """How the asking of one suspect went. `models` are the names it gave itself, each with the first query that had it."""

    suspect: str
    source: str
    asked: int
    answered: int
    failures: dict[str, int]
    models: tuple[tuple[str, int], ...]
    first_at: str
    last_at: str
    digest: str
    reading: dict[str, Any] | None
    """Over what the suspect's weights were read, and hashes of its and its base's files; None where it was asked."""
    torn_bytes: int
    cut_short: int
    """Answers that end because a limit was reached, as far as the suspect says so."""
    lied_about_length: int
    """Answers whose claimed number of tokens cannot be: more than one a character, or none for a text."""


def course(name: str, found: Transcript) -> Course:
    """What the transcript of suspect `name` says about how it went."""
    models: dict[str, int] = {}
    for answer in found.answers:
        if answer.model:
            models.setdefault(answer.model, answer.query)
    times = sorted(a.at for a in found.answers if a.at)
    return Course(
        suspect=name,
        source=found.header.source,
        asked=found.asked,
        answered=len(found.answers),
        failures=dict(sorted(Counter(f.reason for f in found.failures).items())),
        models=tuple(models.items()),
        first_at=found.reading.at if found.reading else times[0] if times else "",
        last_at=found.reading.at if found.reading else times[-1] if times else "",
        digest=found.digest,
        reading=_told(found.reading) if found.reading else None,
        torn_bytes=found.torn,
        cut_short=sum(a.finish == "length" for a in found.answers),
        lied_about_length=sum(_impossible(a.claimed_tokens, a.answer) for a in found.answers),
    )


def _told(reading: Reading) -> dict[str, Any]:
    fields = ("texts", "places", "contexts", "suspect_sha256", "base_sha256")
    return {name: getattr(reading, name) for name in fields}


def _impossible(claimed: int | None, answer: str) -> bool:
    return claimed is not None and (
        claimed > 4 * len(answer.encode("utf-8", "replace")) + 16 or (claimed <= 0 and answer != "")
    )


def exploratory(case: Case, found: dict[str, Transcript], findings: Sequence[Finding]) -> tuple[str, ...]:
    """Why the result was not committed to before the first query; nothing where it was."""
    sealed = _moment(case.plan.created_at)
    reasons = []
    for name, transcript in found.items():
        if transcript.header.plan != case.commitment:
            reasons.append(f"{name} was asked under another plan, or none")
        times = [a.at for a in transcript.answers] + ([transcript.reading.at] if transcript.reading else [])
        if sealed is None or any(_before(at, sealed) for at in times):
            reasons.append(f"{name} has answers from before the plan, or without a time")
        planned = case.by_weights(name)
        if (planned is None) != (transcript.reading is None):
            reasons.append(f"{name} was {'asked' if planned else 'read'} otherwise than the plan says")
        elif planned and transcript.reading and planned.base != transcript.reading.base_sha256:
            reasons.append(f"{name} was read against another base than the plan sealed")
        if transcript.reading and _beside(transcript.reading) != case.plan.open_controls:
            reasons.append(f"{name} was read beside other controls than the plan sealed")
        strange = sum(
            a.query >= len(case.prompts) or a.prompt != case.prompts[a.query] for a in transcript.answers
        )
        if strange:
            reasons.append(f"{name} answered {strange:,} prompts that are not the plan's; they are left out")
    unplanned = sorted({f.suspect for f in findings if not f.planned})
    reasons += [f"{name} was not asked as often as the first planned look needs" for name in unplanned]
    return tuple(reasons)


def reservations(case: Case, courses: Sequence[Course], findings: Sequence[Finding]) -> tuple[str, ...]:
    """What a reader must know before the result is used."""
    said = [
        f"A negative control stands out under {key}: something is wrong with keys, prompts or files, and no claim is made."
        for key in sorted({f.key for f in findings if not clean(f, case.plan.alpha)})
    ]
    if not case.plan.authorisation:
        said.append("The plan names no authorisation to query the suspects.")
    if case.plan.reference is None:
        said.append(
            "There is no reference: what every model says is not cancelled, which costs power and nothing else."
        )
    if not case.plan.controls and not case.plan.open_controls:
        said.append(
            "There are no negative controls: that keys, prompts and files were handled rightly rests on the operator's word."
        )
    if case.plan.decoys < planning.DECOYS:
        said.append(
            f"The key is ranked among {case.plan.decoys:,} decoys only; {planning.DECOYS:,} are usual."
        )
    if case.plan.prompts_marked:
        said.append(
            "Prompts hold marked text: contexts that stand in a prompt are left out, and the p-value holds given the prompts."
        )
    for one in courses:
        if len(one.models) > 1:
            changes = ", ".join(f"{model!r} from query {query + 1:,}" for model, query in one.models)
            said.append(
                f"{one.suspect} changed its name while it was asked: {changes}. The result is of the mixture."
            )
        if one.lied_about_length:
            said.append(
                f"{one.suspect} claimed an impossible number of tokens for {one.lied_about_length:,} answers."
            )
        if one.torn_bytes:
            said.append(
                f"The transcript of {one.suspect} ends in {one.torn_bytes:,} bytes of a line that was never finished; they are left out."
            )
    return tuple(said)


def _beside(reading: Reading) -> tuple[OpenControl, ...]:
    return tuple(OpenControl(one.name, one.sha256) for one in reading.controls)


def _before(at: str, sealed: datetime) -> bool:
    moment = _moment(at)
    return moment is None or moment < sealed


def _moment(at: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
