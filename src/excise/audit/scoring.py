"""From answers to findings: every planned look of every hypothesis, its controls, and what may be claimed of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from excise.audit import sequential, statistic
from excise.audit.marks import KINDS
from excise.audit.plan import Hypothesis, Plan, reached
from excise.audit.statistic import Contrast
from excise.audit.tokens import Counts, Tokenizer, counted, windows
from excise.audit.trial import Spoken, Told, Trial, Weights, trial_of

if TYPE_CHECKING:
    from excise.audit.keys import KeyName
    from excise.audit.prf import U64, Numbers
    from excise.audit.texts import Said

KeyOf = Callable[["KeyName"], bytes]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one suspect answered to the plan's prompts: tuples and texts by query, and how many prompts are done with."""

    tuples: Mapping[int, U64]
    texts: Mapping[int, str]
    asked: int

    def first(self, queries: int) -> Counts:
        """The distinct tuples of the first `queries` prompts."""
        return counted(tuples for query, tuples in sorted(self.tuples.items()) if query < queries)

    def spoken(self, queries: int) -> Spoken:
        """The same with the texts."""
        return Spoken(
            self.first(queries), tuple(t for query, t in sorted(self.texts.items()) if query < queries)
        )

    def answered(self, queries: int) -> int:
        """How many of the first `queries` prompts have an answer."""
        return sum(query < queries for query in self.tuples)


@dataclass(frozen=True, slots=True)
class Shown:
    """What one open suspect's probabilities said, over how many texts, and those of the open controls beside it."""

    contrast: Contrast
    texts: int
    controls: Mapping[str, Contrast]


@dataclass(frozen=True, slots=True)
class Look:
    """One look. Logarithms are to base 10: `log10_p` bounds this look alone, `log10_spent` is after its share of alpha."""

    queries: int
    answered: int
    tuples: int
    z: float
    log10_p: float
    log10_spent: float
    published: str
    published_p: float
    published_mean: float


@dataclass(frozen=True, slots=True)
class Control:
    """A model that cannot have learnt from us, under the same key and at the same statistic; `form` as in `Finding`."""

    name: str
    form: str
    answered: int
    z: float
    log10_p: float
    published_p: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One hypothesis. `log10_p` is over all looks, `log10_holm` over all hypotheses too; `rank` counts from 1 among `decoys` + 1.

    `claimed` says that `log10_holm` is at most alpha and no control is out of line.
    """

    suspect: str
    key: str
    looks: tuple[Look, ...]
    form: str
    """`sampled`: what it said; `weights`: how likely it was to say it."""
    planned: bool
    """Whether the looks are the plan's; otherwise there is one, at all that was answered."""
    log10_p: float
    log10_holm: float
    log10_e: float
    rank: int
    decoys: int
    controls: tuple[Control, ...] = ()
    claimed: bool = False

    @property
    def rank_p(self) -> float:
        """(1 + decoys at least as far) / (1 + decoys): no smaller than 1 / (1 + decoys) by its nature."""
        return self.rank / (self.decoys + 1)


def heard(
    answers: Mapping[int, str], prompts: Sequence[str], asked: int, tokenizer: Tokenizer, plan: Plan
) -> Heard:
    """The tuples of each answer; where prompts hold marked text, without the contexts that stand in the prompt."""
    tuples = {}
    for query, text in answers.items():
        said = windows(tokenizer(text), plan.context)
        if plan.prompts_marked:
            said = _without(said, windows(tokenizer(prompts[query]), plan.context))
        tuples[query] = said
    return Heard(tuples, answers, asked)


def _without(said: U64, prompt: U64) -> U64:
    known = {(high, low) for high, low, _ in prompt.tolist()}
    return said[np.array([(high, low) not in known for high, low, _ in said.tolist()], np.bool_)]


def of_texts(said: Sequence[Said], tokenizer: Tokenizer, plan: Plan) -> Spoken:
    """What a reference or a control said."""
    counts = counted(windows(tokenizer(row.answer), plan.context) for row in said)
    return Spoken(counts, tuple(row.answer for row in said))


def score(
    plan: Plan,
    seed: bytes,
    key_of: KeyOf,
    suspects: Mapping[str, Heard | Shown],
    reference: Spoken,
    controls: Mapping[str, Spoken],
    advance: Callable[[], None] = lambda: None,
) -> tuple[Finding, ...]:
    """Test every hypothesis about a suspect that was asked; the others count in Holm's family as p = 1.

    `seed` (the plan's commitment) makes the decoy keys. O(decoys x distinct tuples) a hypothesis.
    """
    findings = []
    asked = [(n, h) for n, h in enumerate(plan.hypotheses) if h.suspect in suspects]
    for number, hypothesis in asked:
        decoys = statistic.decoys(seed + number.to_bytes(4, "little"), plan.decoys)
        key, said = key_of(hypothesis.key), suspects[hypothesis.suspect]
        trial = trial_of(hypothesis.key.purpose, plan, reference, seed)
        beside = [_control(n, c, key, trial) for n, c in controls.items()]
        if isinstance(said, Shown):
            one = _of_weights(hypothesis, key, said, decoys)
            kind = KINDS[hypothesis.key.purpose]
            beside += [_open_control(n, said.texts, Weights(kind, c), key) for n, c in said.controls.items()]
        else:
            one = _of_answers(plan, hypothesis, key, said, trial, decoys)
        findings.append(replace(one, controls=tuple(beside)))
        advance()
    unasked = [0.0] * (len(plan.hypotheses) - len(asked))
    adjusted = sequential.log10_holm([f.log10_p for f in findings] + unasked)
    least = math.log10(plan.alpha)
    return tuple(
        replace(f, log10_holm=p, claimed=p <= least and clean(f, plan.alpha))
        for f, p in zip(findings, adjusted, strict=False)
    )


def clean(finding: Finding, alpha: float) -> bool:
    """Whether no control reaches alpha, shared among the controls."""
    return all(10.0**c.log10_p * len(finding.controls) > alpha for c in finding.controls)


def _of_answers(
    plan: Plan, hypothesis: Hypothesis, key: bytes, suspect: Heard, trial: Trial, decoys: U64
) -> Finding:
    planned = reached(plan, suspect.asked)
    looks = tuple(
        _look(trial.tell(suspect.spoken(queries), key), queries, suspect.answered(queries), number)
        for number, queries in enumerate(planned or (suspect.asked,), 1)
    )
    said = suspect.spoken(looks[-1].queries)
    log10_e = trial.log10_e([suspect.spoken(look.queries) for look in looks], key)
    return _finding(hypothesis, "sampled", looks, bool(planned), log10_e, trial.under(said, decoys))


def _of_weights(hypothesis: Hypothesis, key: bytes, suspect: Shown, decoys: U64) -> Finding:
    """One look, since probabilities are read once and whole."""
    read = Weights(KINDS[hypothesis.key.purpose], suspect.contrast)
    looks = (_look(read.tell(key), suspect.texts, 0, 1),)
    return _finding(hypothesis, "weights", looks, True, read.log10_e(key), read.under(decoys))


def _finding(
    hypothesis: Hypothesis,
    form: str,
    looks: tuple[Look, ...],
    planned: bool,
    log10_e: float,
    others: Numbers,
) -> Finding:
    return Finding(
        suspect=hypothesis.suspect,
        key=str(hypothesis.key),
        looks=looks,
        form=form,
        planned=planned,
        log10_p=sequential.log10_sequential([look.log10_p for look in looks]),
        log10_holm=0.0,
        log10_e=log10_e,
        rank=1 + int((others >= looks[-1].z).sum()),
        decoys=len(others),
    )


def _look(told: Told, queries: int, answered: int, number: int) -> Look:
    return Look(
        queries=queries,
        answered=answered,
        tuples=told.units,
        z=told.z,
        log10_p=told.log10_p,
        log10_spent=min(0.0, told.log10_p - math.log10(sequential.share_of_alpha(number))),
        published=told.beside.name,
        published_p=told.beside.p,
        published_mean=told.beside.mean,
    )


def _control(name: str, said: Spoken, key: bytes, trial: Trial) -> Control:
    told = trial.tell(said, key)
    return Control(name, "sampled", len(said.texts), told.z, told.log10_p, told.beside.p)


def _open_control(name: str, texts: int, read: Weights, key: bytes) -> Control:
    told = read.tell(key)
    return Control(name, "weights", texts, told.z, told.log10_p, told.beside.p)
