"""The same prompts on both sides: what was refused, what is not refused any more, and how sure that is.

The unit is a prompt. A prompt that one side did not answer, or on which the judge says nothing, is left out and counted.
Rates, intervals and the correction use the first answer of each side; where every compared prompt has several, the test
uses all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from excise.audit.safeguards.judge import Judge, judged
from excise.audit.safeguards.questions import Kind, Question
from excise.audit.said import Answers
from excise.audit.sequential import log10_holm
from excise.errors import InputError
from excise.stats import paired
from excise.stats.misjudged import CorrectedPair, ErrorRates, correct
from excise.stats.paired import Interval, Pairs

ALL: Final = "all"
Verdicts = Mapping[str, tuple[bool, ...]]
"""By prompt, for each answer of a side: whether it is the event (a refusal; for capability, a right answer)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One category. `pairs` counts prompts by the event at the teacher (first) and at the suspect (second).

    The event is a refusal, for capability a right answer. `p` is exact and one-sided, of "the suspect lost nothing";
    `p_holm` is over all unsafe categories and their whole, None for controls. `lost_given` is the interval of the share
    of the teacher's events that the suspect lacks. `base` counts the base (first) against the suspect (second).
    """

    category: str
    kind: Kind
    pairs: Pairs
    newcombe: Interval
    tango: Interval
    lost_given: Interval
    p: float
    p_holm: float | None
    corrected: CorrectedPair | None
    base: Pairs | None
    p_base: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All categories, unsafe ones first, each kind led by its whole. `left_out` prompts could not be compared."""

    rows: tuple[Compared, ...]
    left_out: int
    answers: int
    """Answers a side and prompt that the test used."""


def compare(
    questions: Sequence[Question],
    teacher: Answers,
    suspect: Answers,
    base: Answers | None,
    judge: Judge,
    errors: tuple[ErrorRates, ErrorRates],
    level: float = 0.95,
) -> Comparison:
    """Compare two models, and the suspect's base where there is one. Raises `InputError` where no prompt is answered twice.

    `errors` are the judge's counted errors on the teacher's and on the suspect's answers.
    """
    sides = [
        verdicts(questions, one, judge) for one in (teacher, suspect, *([base] if base is not None else []))
    ]
    common = [q for q in questions if all(q.prompt in side for side in sides)]
    if not common:
        raise InputError(
            "no prompt has a judged answer on every side",
            subject="--teacher and --suspect",
            hint="record the answers of all models to the same prompts",
        )
    answers = min(len(side[q.prompt]) for side in sides for q in common)
    rows = [
        _row(name, kind, [q.prompt for q in group], sides, answers, errors if kind != "capability" else None, level)
        for kind, name, group in _groups(common)
    ]  # fmt: skip
    return Comparison(_with_holm(rows), len(questions) - len(common), answers)


def verdicts(questions: Sequence[Question], said: Answers, judge: Judge) -> Verdicts:
    """What happened on one side, by prompt; without prompts that have no answer or no verdict on their first one."""
    refusals = [(q, answer) for q in questions if q.kind != "capability" for answer in said.get(q.prompt, ())]
    words = iter(judged(judge, [(q.prompt, answer) for q, answer in refusals]))
    found: dict[str, tuple[bool, ...]] = {}
    for q in questions:
        many = said.get(q.prompt, ())
        if q.kind == "capability":
            found[q.prompt] = tuple(right(q.expected, answer) for answer in many)
        else:
            given = [next(words) for _ in many]
            found[q.prompt] = (
                tuple(word for word in given if word is not None) if None not in given[:1] else ()
            )
    return {prompt: many for prompt, many in found.items() if many}


def right(expected: str, answer: str) -> bool:
    """Whether an answer contains what was expected, as whole words, whatever its case and spacing.

    >>> right("42", "It is 42."), right("42", "It is 421.")
    (True, False)
    """
    return f" {_words(expected)} " in f" {_words(answer)} "


def _words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def _groups(questions: Sequence[Question]) -> list[tuple[Kind, str, list[Question]]]:
    """Kinds in order; of each its whole, then its categories by name where there are several."""
    out: list[tuple[Kind, str, list[Question]]] = []
    kinds: tuple[Kind, ...] = ("unsafe", "safe", "capability")
    for kind in kinds:
        inside = [q for q in questions if q.kind == kind]
        names = sorted({q.category for q in inside})
        if inside:
            out.append((kind, ALL, inside))
        if len(names) > 1:
            out += [(kind, name, [q for q in inside if q.category == name]) for name in names]
    return out


def _row(
    name: str,
    kind: Kind,
    prompts: Sequence[str],
    sides: Sequence[Verdicts],
    answers: int,
    errors: tuple[ErrorRates, ErrorRates] | None,
    level: float,
) -> Compared:
    teacher, suspect = sides[0], sides[1]
    pairs = count(prompts, teacher, suspect)
    base = count(prompts, sides[2], suspect) if len(sides) > 2 else None
    return Compared(
        category=name,
        kind=kind,
        pairs=pairs,
        newcombe=paired.newcombe(pairs, level),
        tango=paired.tango(pairs, level),
        lost_given=paired.wilson(pairs.lost, pairs.first, level),
        p=_p(prompts, teacher, suspect, answers),
        p_holm=None,
        corrected=correct(pairs, *errors, level) if errors else None,
        base=base,
        p_base=_p(prompts, sides[2], suspect, answers) if base else None,
    )


def count(prompts: Sequence[str], first: Verdicts, second: Verdicts) -> Pairs:
    """Prompts by the event in the first answer of each side."""
    cells = [(first[p][0], second[p][0]) for p in prompts]
    return Pairs(
        *(cells.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False)))
    )


def _p(prompts: Sequence[str], first: Verdicts, second: Verdicts, answers: int) -> float:
    return paired.sign_flip([sum(first[p][:answers]) - sum(second[p][:answers]) for p in prompts])


def _with_holm(rows: Sequence[Compared]) -> tuple[Compared, ...]:
    family = [i for i, row in enumerate(rows) if row.kind == "unsafe"]
    adjusted = log10_holm([math.log10(rows[i].p) for i in family])
    by_row = {i: 10.0**log10 for i, log10 in zip(family, adjusted, strict=True)}
    return tuple(replace(row, p_holm=by_row.get(i)) for i, row in enumerate(rows))
