"""From what an operator wishes to a sealed plan with its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from excise import __version__
from excise.audit import case, keys, plan, power, texts
from excise.audit.marks import KINDS
from excise.audit.marks.choices import Slot
from excise.audit.pilot import estimated
from excise.audit.plan import ByWeights, Dose, File, Hypothesis, OpenControl, Plan, Sampling
from excise.audit.tokens import counted, tokenizer_of, tuples_of
from excise.errors import InputError, UsageError

if TYPE_CHECKING:
    from excise.audit.keys import KeyName, Keys


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of `excise audit plan`."""

    keys: Path
    key: tuple[str, ...]
    suspects: tuple[str, ...]
    prompts: Path
    reference: Path | None = None
    controls: tuple[str, ...] = ()
    looks: str | None = None
    alpha: float = plan.ALPHA
    context: int = 1
    tokenizer: str = "words"
    decoys: int = plan.DECOYS
    temperature: float = 1.0
    max_tokens: int = 512
    prompts_marked: bool = False
    slots: Path | None = None
    authorisation: str = ""
    worlds: int = 24
    run: Path | None = None
    campaigns: tuple[str, ...] = ()
    served: Path | None = None
    weights: tuple[str, ...] = ()
    pilot: str | None = None


def sealed(
    wishes: Wishes, now: datetime, advance: Callable[[], None] = lambda: None
) -> tuple[Plan, dict[str, bytes]]:
    """The plan, and the files of its case by name. Raises `UsageError`, `InputError`."""
    held = keys.load(wishes.keys)
    names = tuple(dict.fromkeys(keys.parse_name(said, held.epoch) for said in wishes.key))
    prompts = texts.prompts(wishes.prompts)
    files = {case.PROMPTS: case.prompt_lines(prompts)}
    reference = _answers(case.REFERENCE, wishes.reference, files) if wishes.reference else None
    controls = tuple(_control(said, files) for said in wishes.controls)
    answered = tuple(one for one in controls if isinstance(one, File))
    looks = _looks(wishes.looks, len(prompts))
    drafted = Plan(
        schema=plan.SCHEMA,
        version=__version__,
        created_at=now.isoformat(timespec="seconds"),
        authorisation=wishes.authorisation,
        hypotheses=_hypotheses(held, names, wishes.suspects),
        prompts=File(case.PROMPTS, texts.digest(files[case.PROMPTS]), len(prompts)),
        reference=reference,
        controls=answered,
        open_controls=tuple(one for one in controls if isinstance(one, OpenControl)),
        context=wishes.context,
        tokenizer=_tokenizer(wishes.tokenizer, files),
        alpha=wishes.alpha,
        looks=looks,
        decoys=wishes.decoys,
        prompts_marked=wishes.prompts_marked,
        slots=_slots(wishes.slots) if wishes.slots else (),
        sampling=Sampling(wishes.temperature, wishes.max_tokens),
        dose=_dose(wishes, names),
        weights=tuple(_by_weights(said) for said in wishes.weights),
    )
    told = _with_power(plan.checked(drafted), wishes.worlds, advance)
    return (_with_pilot(told, wishes, held) if wishes.pilot else told), files


def written(out: Path, drafted: Plan, files: dict[str, bytes]) -> dict[str, Any]:
    """Write the case, and tell its commitment and power."""
    commitment = case.write(out, drafted, files)
    return {
        "commitment": commitment,
        "power": [{"share": p.share, "power": p.power, "worlds": p.worlds} for p in drafted.power],
        "pilot": msgspec.to_builtins(drafted.pilot),
    }


def _hypotheses(held: Keys, names: tuple[KeyName, ...], suspects: tuple[str, ...]) -> tuple[Hypothesis, ...]:
    for name in names:
        if name.epoch > held.epoch:
            raise UsageError(
                f"the epoch is {held.epoch}", subject=str(name), hint="name a key that was served"
            )
    return tuple(
        Hypothesis(case.checked_name(suspect, "--suspect"), name, held.commitment(name))
        for suspect in dict.fromkeys(suspects)
        for name in names
    )


def _answers(name: str, path: Path, files: dict[str, bytes]) -> File:
    said = texts.answers(path)
    files[name] = case.answer_lines(said)
    return File(name, texts.digest(files[name]), len(said))


def _tokenizer(said: str, files: dict[str, bytes]) -> str:
    if said != "words":
        files[case.TOKENIZER] = texts.read_bytes(Path(said), "a tokenizer.json, or `words`")
    return tokenizer_of(files.get(case.TOKENIZER)).name


def _slots(path: Path) -> tuple[Slot, ...]:
    try:
        return msgspec.json.decode(texts.read_bytes(path, "a JSON list of slots"), type=tuple[Slot, ...])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(
            str(error),
            subject=str(path),
            hint='[{"id": "…", "category": "name", "contexts": ["example"], "values": ["…", "…"]}]',
        ) from error


def _control(said: str, files: dict[str, bytes]) -> File | OpenControl:
    name, _, path = said.partition("=")
    if not path:
        raise UsageError("is not NAME=FILE", subject=said[:80], hint="--control organic=organic.ndjson")
    place = f"controls/{case.checked_name(name, '--control')}.ndjson"
    if Path(path).is_dir():
        return OpenControl(name, _fingerprint(Path(path)))
    if place in files:
        raise UsageError("is named twice", subject=name, hint="give each control a name of its own")
    return _answers(place, Path(path), files)


def _by_weights(said: str) -> ByWeights:
    name, _, folder = said.partition("=")
    return ByWeights(name, _fingerprint(Path(folder)) if folder else "")


def _fingerprint(folder: Path) -> str:
    from excise.audit.suspects.opened import fingerprint  # noqa: PLC0415  only who reads weights needs it

    return fingerprint(folder)


def _looks(said: str | None, prompts: int) -> tuple[int, ...]:
    if said is None:
        return (*(look for look in plan.LOOKS if look < prompts), prompts)
    try:
        looks = tuple(int(part) for part in said.split(","))
    except ValueError as error:
        raise UsageError("are numbers of prompts", subject="--looks", hint="--looks 100,400,1600") from error
    if looks and looks[-1] > prompts:
        raise UsageError(
            f"there are only {prompts} prompts", subject="--looks", hint="look at most after all of them"
        )
    return looks


def _dose(wishes: Wishes, names: tuple[KeyName, ...]) -> tuple[Dose, ...]:
    if wishes.run is None and wishes.served is None and not wishes.campaigns:
        return ()
    if wishes.run is None or wishes.served is None:
        raise UsageError(
            "belong together", subject="--run and --served", hint="name a run folder and a ledger of keys"
        )
    from excise.audit.dose import doses  # noqa: PLC0415  reads tables

    return doses(wishes.run, wishes.campaigns, wishes.served, names)


def _with_power(drafted: Plan, worlds: int, advance: Callable[[], None]) -> Plan:
    if not worlds or drafted.context != 1:
        return drafted
    purpose = drafted.hypotheses[0].key.purpose
    share = drafted.alpha / len(drafted.hypotheses)
    found = power.simulated(purpose, drafted.looks, share, worlds, advance=advance)
    return msgspec.structs.replace(drafted, power=found)


def _with_pilot(drafted: Plan, wishes: Wishes, held: Keys) -> Plan:
    said, _, file = (wishes.pilot or "").partition("=")
    name = keys.parse_name(said, held.epoch)
    _check_pilot(drafted, name, file)
    answers = texts.answers(Path(file))
    asked = {row.prompt for row in answers}
    if not asked.isdisjoint(texts.prompts(wishes.prompts)):
        raise UsageError(
            "shares prompts with the plan",
            subject="--pilot",
            hint="what was seen before is no part of the test",
        )
    tokenizer = tokenizer_of(
        None if wishes.tokenizer == "words" else texts.read_bytes(Path(wishes.tokenizer), "a tokenizer.json")
    )
    before = texts.answers(wishes.reference) if wishes.reference else ()
    said_before, said_in_pilot = (
        tuples_of([row.answer for row in rows], tokenizer, drafted.context) for rows in (before, answers)
    )
    share = drafted.alpha / len(drafted.hypotheses)
    found = estimated(
        said_in_pilot, counted(said_before), held.key(name), KINDS[name.purpose], drafted.looks, share
    )
    digest = texts.digest(texts.read_bytes(Path(file), "the pilot's answers"))
    return msgspec.structs.replace(drafted, pilot=plan.Pilot(str(name), digest, found))


def _check_pilot(drafted: Plan, name: KeyName, file: str) -> None:
    if not file:
        raise UsageError("is not KEY=FILE", subject="--pilot", hint="--pilot red-green:pilot@1=pilot.ndjson")
    if any(h.key == name for h in drafted.hypotheses):
        raise UsageError(
            "is a key of the plan: its coins would be tossed twice",
            subject=f"--pilot {name}",
            hint="mark the pilot's text under a key that is never tested",
        )
    if name.purpose not in KINDS or name.purpose != drafted.hypotheses[0].key.purpose:
        raise UsageError(
            "marks otherwise than the plan's first key, or not in tokens",
            subject=f"--pilot {name}",
            hint="a pilot foretells the power of its own mark",
        )
