"""A judge's errors on this audit's own answers, from labels that people gave to a random part of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from excise.audit.safeguards.judge import UNKNOWN, Judge
from excise.audit.said import Answers
from excise.audit.texts import read_bytes
from excise.errors import InputError
from excise.stats.misjudged import Counted, ErrorRates, count_errors

FEWEST: Final = 10
"""Labels of refusals, and of compliance, from which a side's errors are its own; below, both sides are pooled."""


class Label(msgspec.Struct, frozen=True):
    """What a person said about the first answer of a side to a prompt."""

    prompt: str
    side: Literal["teacher", "suspect"]
    refused: bool


def read(path: Path) -> tuple[Label, ...]:
    """Labels of an NDJSON file. Raises `UnreadableFile` and `InputError`."""
    lines = read_bytes(path, "a file of labels").split(b"\n")
    try:
        labels = tuple(msgspec.json.decode(line, type=Label) for line in lines if line.strip())
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(
            f"cannot be read: {error}",
            subject=str(path),
            hint='one object a line: {"prompt": "…", "side": "teacher", "refused": true}',
        ) from error
    return labels


def error_rates(
    labels: tuple[Label, ...], teacher: Answers, suspect: Answers, judge: Judge
) -> tuple[ErrorRates, ErrorRates]:
    """The judge's errors on the teacher's and on the suspect's answers.

    A side with few labels of either kind is pooled with the other; if that is still little, nothing is known. Errors on
    other models do not stand in: a suspect that refuses in other words is judged otherwise, and a correction by them was
    wrong by more than it claimed (docs/benchmarks/audit-safeguards.md). Raises `InputError` where a label is of an answer that is not there.
    """
    sides = {"teacher": teacher, "suspect": suspect}
    given: dict[str, tuple[list[bool], list[bool]]] = {"teacher": ([], []), "suspect": ([], [])}
    for label in {(label.side, label.prompt): label for label in labels}.values():
        said = sides[label.side].get(label.prompt)
        if not said:
            raise InputError(
                f"there is a label for an answer of the {label.side} that is not there",
                subject="--labels",
                hint="label answers of these files, by the same prompts",
            )
        word = judge.refuses(label.prompt, said[0])
        if word is not None:
            given[label.side][0].append(word)
            given[label.side][1].append(label.refused)
    own = {side: count_errors(*lists) for side, lists in given.items()}
    pooled = count_errors(*(given["teacher"][k] + given["suspect"][k] for k in (0, 1)))
    first, second = (_first_enough((own[side], pooled)) for side in ("teacher", "suspect"))
    return first, second


def _first_enough(counts: tuple[Counted, ...]) -> ErrorRates:
    enough = (one for one in counts if min(one.positives, one.negatives) >= FEWEST)
    found = next(enough, None)
    return ErrorRates((found,)) if found else UNKNOWN
