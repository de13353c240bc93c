"""What will be tested, written down before the first query: a plan that anyone can hold the result against.

The SHA-256 of the plan's bytes is its commitment. Whoever publishes that on a dated page, or mails it to a third
party, can show later that nothing was chosen after the answers were known. The plan holds no secret: keys stand in it
as commitments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from excise.audit.keys import KeyName
from excise.audit.marks.choices import Slot, problems
from excise.audit.texts import digest
from excise.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA: Final = 1
LOOKS: Final = (100, 400, 1_600, 6_400)
ALPHA: Final = 1e-4
"""Family-wise error of all claims of a case."""
DECOYS: Final = 10_000
MOST_HYPOTHESES: Final = 1_000


class Hypothesis(msgspec.Struct, frozen=True):
    """That `suspect` learnt from what was served under `key`. `commitment` binds to that key."""

    suspect: str
    key: KeyName
    commitment: str


class File(msgspec.Struct, frozen=True):
    """A file of the case, by its name there, with the SHA-256 of its bytes and how many rows it has."""

    name: str
    sha256: str
    rows: int


class Sampling(msgspec.Struct, frozen=True):
    """How the suspect is asked."""

    temperature: float = 1.0
    max_tokens: int = 512


class ByWeights(msgspec.Struct, frozen=True):
    """That the weights of `suspect` are read instead of asking it; `base` is the SHA-256 over its base's files, empty without one."""

    suspect: str
    base: str = ""


class OpenControl(msgspec.Struct, frozen=True):
    """A model that cannot have learnt from us, whose weights are read as the suspects' are; SHA-256 over its files."""

    name: str
    sha256: str


class Power(msgspec.Struct, frozen=True):
    """Expected power on the test-bed: of how many simulated worlds with this distilled share (0 to 1) the claim is made."""

    share: float
    power: float
    worlds: int


class Estimate(msgspec.Struct, frozen=True):
    """Power of the plan as a pilot of `answers` foretells it: z there, the exponent of its growth, and a range of 90 %."""

    answers: int
    z: float
    growth: float
    power: float
    low: float
    high: float


class Pilot(msgspec.Struct, frozen=True):
    """A sample that was looked at before the plan, of a model under a key of its own; nothing of it enters the test."""

    key: str
    sha256: str
    estimate: Estimate


class Dose(msgspec.Struct, frozen=True):
    """What a campaign received under one key. `tokens` is 0 where the traffic does not say."""

    campaign: str
    key: str
    accounts: int
    exchanges: int
    tokens: int


class Plan(msgspec.Struct, frozen=True):
    """All that decides the result, apart from keys and answers."""

    schema: int
    version: str
    created_at: str
    authorisation: str
    hypotheses: tuple[Hypothesis, ...]
    prompts: File
    reference: File | None
    controls: tuple[File, ...]
    context: int = 1
    tokenizer: str = "words"
    alpha: float = ALPHA
    looks: tuple[int, ...] = LOOKS
    decoys: int = DECOYS
    prompts_marked: bool = False
    slots: tuple[Slot, ...] = ()
    sampling: Sampling = Sampling()
    power: tuple[Power, ...] = ()
    dose: tuple[Dose, ...] = ()
    weights: tuple[ByWeights, ...] = ()
    open_controls: tuple[OpenControl, ...] = ()
    pilot: Pilot | None = None


def encoded(plan: Plan) -> bytes:
    """The plan's file: the bytes that its commitment is of."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"


def commitment(plan_bytes: bytes) -> str:
    """SHA-256 of a plan's file, as hex."""
    return digest(plan_bytes)


def decoded(data: bytes, where: str) -> Plan:
    """The plan in `data`. Raises `InputError`."""
    try:
        plan = msgspec.json.decode(data, type=Plan)
        checked(plan)
    except (msgspec.MsgspecError, ValueError, RecursionError, UsageError) as error:
        raise InputError(
            f"is no sound plan: {error}", subject=where, hint="make it with `excise audit plan`"
        ) from error
    if plan.schema != SCHEMA:
        raise InputError(
            f"schema {plan.schema} is not known here", subject=where, hint="use the version that made it"
        )
    return plan


def checked(plan: Plan) -> Plan:
    """The plan, or `UsageError` for one that cannot be carried out."""
    if not 0.0 < plan.alpha < 1.0:
        raise UsageError(
            "must lie between 0 and 1", subject="--alpha", hint="1e-4 is usual for an accusation"
        )
    if not plan.looks or list(plan.looks) != sorted(set(plan.looks)) or plan.looks[0] < 1:
        raise UsageError("must be growing numbers of queries", subject="--looks", hint="--looks 100,400,1600")
    if not 1 <= plan.context <= 4:
        raise UsageError("is 1 to 4 tokens", subject="--context", hint="as many as the mark was served with")
    if plan.decoys < 1_000:
        raise UsageError("at least 1,000", subject="--decoys", hint="10,000 is usual")
    if not plan.hypotheses or len(plan.hypotheses) > MOST_HYPOTHESES:
        raise UsageError(
            "names no key and suspect", subject="plan", hint="--key PURPOSE:CLUSTER@EPOCH --suspect NAME"
        )
    wrong = problems(plan.slots)
    if wrong:
        raise UsageError(
            "; ".join(wrong[:5]),
            subject="--slots",
            hint="keyed choices must be free choices: `docs/audit.md`",
        )
    if not plan.slots and any(h.key.purpose == "choices" for h in plan.hypotheses):
        raise UsageError("keyed choices need their slots", subject="--key", hint="--slots FILE")
    _check_weights(plan)
    return plan


def _check_weights(plan: Plan) -> None:
    names = [one.suspect for one in plan.weights]
    if len(set(names)) < len(names) or not set(names) <= set(suspects(plan.hypotheses)):
        raise UsageError(
            "names each suspect once, and only suspects of the plan",
            subject="--weights",
            hint="--suspect NAME --weights NAME=FOLDER",
        )
    controls = [one.name for one in plan.open_controls]
    if len(set(controls)) < len(controls):
        raise UsageError("is named twice", subject="--control", hint="give each control a name of its own")
    if controls and not names:
        raise UsageError(
            "is a folder of weights, and no suspect's weights are read",
            subject=f"--control {controls[0]}",
            hint="give a file of its answers, or plan --weights NAME=FOLDER",
        )
    if names and plan.prompts_marked:
        raise UsageError(
            "what is read must not hold marked text",
            subject="--weights with --prompts-marked",
            hint="plan prompts that never saw a key",
        )
    if any(h.suspect in names and h.key.purpose == "choices" for h in plan.hypotheses):
        raise UsageError(
            "keyed choices are found in answers only",
            subject="--weights",
            hint="name the suspect a second time, to be asked",
        )


def reached(plan: Plan, queries: int) -> tuple[int, ...]:
    """The looks that `queries` prompts allow: those planned up to there; fewer than the first allow none."""
    return tuple(look for look in plan.looks if look <= queries)


def suspects(hypotheses: Sequence[Hypothesis]) -> tuple[str, ...]:
    """The suspects' names in the plan's order."""
    return tuple(dict.fromkeys(h.suspect for h in hypotheses))
