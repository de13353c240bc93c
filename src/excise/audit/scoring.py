"""From answers to findings: every planned look of every hypothesis, its controls, and what may be claimed of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from excise.audit import prf, sequential, statistic
from excise.audit.marks import KINDS
from excise.audit.plan import Hypothesis, Plan, reached
from excise.audit.tokens import Counts, Tokenizer, counted, windows

if TYPE_CHECKING:
    from excise.audit.keys import KeyName
    from excise.audit.prf import U64
    from excise.audit.texts import Said

KeyOf = Callable[["KeyName"], bytes]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one suspect answered to the plan's prompts: tuples a query, and how many prompts it was asked in order."""

    tuples: Mapping[int, U64]
    asked: int

    def first(self, queries: int) -> Counts:
        """The distinct tuples of the first `queries` prompts."""
        return counted(tuples for query, tuples in sorted(self.tuples.items()) if query < queries)

    def answered(self, queries: int) -> int:
        """How many of the first `queries` prompts have an answer."""
        return sum(query < queries for query in self.tuples)


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
    """A model that cannot have learnt from us, under the same key and at the same statistic."""

    name: str
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
    planned: bool
    """Whether the looks are the plan's; otherwise there is one, at all that was answered."""
    log10_p: float
    log10_holm: float
    log10_e: float
    rank: int
    decoys: int
    controls: tuple[Control, ...]
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
    return Heard(tuples, asked)


def _without(said: U64, prompt: U64) -> U64:
    known = {(high, low) for high, low, _ in prompt.tolist()}
    return said[np.array([(high, low) not in known for high, low, _ in said.tolist()], np.bool_)]


def of_texts(said: Sequence[Said], tokenizer: Tokenizer, plan: Plan) -> Counts:
    """A reference's or a control's distinct tuples."""
    return counted(windows(tokenizer(row.answer), plan.context) for row in said)


def score(
    plan: Plan,
    seed: bytes,
    key_of: KeyOf,
    suspects: Mapping[str, Heard],
    reference: Counts,
    controls: Mapping[str, Counts],
    advance: Callable[[], None] = lambda: None,
) -> tuple[Finding, ...]:
    """Test every hypothesis about a suspect that was asked; the others count in Holm's family as p = 1.

    `seed` (the plan's commitment) makes the decoy keys. O(decoys x distinct tuples) a hypothesis.
    """
    findings = []
    asked = [(n, h) for n, h in enumerate(plan.hypotheses) if h.suspect in suspects]
    for number, hypothesis in asked:
        found = _finding(
            plan, hypothesis, key_of(hypothesis.key), suspects[hypothesis.suspect], reference, controls
        )
        decoys = statistic.decoys(seed + number.to_bytes(4, "little"), plan.decoys)
        findings.append(replace(found, rank=_rank(plan, hypothesis, found, suspects, reference, decoys)))
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


def _finding(
    plan: Plan,
    hypothesis: Hypothesis,
    key: bytes,
    suspect: Heard,
    reference: Counts,
    controls: Mapping[str, Counts],
) -> Finding:
    kind = KINDS[hypothesis.key.purpose]
    planned = reached(plan, suspect.asked)
    looks = tuple(
        _look(suspect, queries, number, reference, key, kind)
        for number, queries in enumerate(planned or (suspect.asked,), 1)
    )
    return Finding(
        suspect=hypothesis.suspect,
        key=str(hypothesis.key),
        looks=looks,
        planned=bool(planned),
        log10_p=sequential.log10_sequential([look.log10_p for look in looks]),
        log10_holm=0.0,
        log10_e=_e_value(suspect, [look.queries for look in looks], reference, key, kind),
        rank=0,
        decoys=plan.decoys,
        controls=tuple(_control(name, said, reference, key, kind) for name, said in controls.items()),
    )


def _look(suspect: Heard, queries: int, number: int, reference: Counts, key: bytes, kind: int) -> Look:
    said = suspect.first(queries)
    z = statistic.z_of(statistic.contrast(said, reference), key, kind)
    beside = statistic.published(said, key, kind)
    bound = statistic.log10_bound(z)
    return Look(
        queries=queries,
        answered=suspect.answered(queries),
        tuples=len(said.tuples),
        z=z,
        log10_p=bound,
        log10_spent=min(0.0, bound - math.log10(sequential.share_of_alpha(number))),
        published=beside.name,
        published_p=beside.p,
        published_mean=beside.mean,
    )


def _control(name: str, said: Counts, reference: Counts, key: bytes, kind: int) -> Control:
    z = statistic.z_of(statistic.contrast(said, reference), key, kind)
    return Control(name, int(said.total), z, statistic.log10_bound(z), statistic.published(said, key, kind).p)


def _rank(
    plan: Plan,
    hypothesis: Hypothesis,
    found: Finding,
    suspects: Mapping[str, Heard],
    reference: Counts,
    decoys: U64,
) -> int:
    said = suspects[hypothesis.suspect].first(found.looks[-1].queries)
    others = prf.contrasts(
        decoys, *_parts(statistic.contrast(said, reference)), KINDS[hypothesis.key.purpose]
    )
    return 1 + int((others >= found.looks[-1].z).sum())


def _parts(found: statistic.Contrast) -> tuple[U64, prf.Numbers]:
    return found.tuples, found.weights


def _e_value(suspect: Heard, looks: Sequence[int], reference: Counts, key: bytes, kind: int) -> float:
    """Each tuple enters at the look in which it is first said, with the weight that it has there."""
    known: Counts = counted(())
    parts, before = [], 0
    for queries in looks:
        said = suspect.first(queries)
        found = statistic.contrast(said, reference)
        fresh = ~_contains(known, found.tuples) & _contains(said, found.tuples)
        scores = prf.scores(prf.draws(key, found.tuples[fresh]), kind)
        parts.append(found.weights[fresh] * scores)
        known, before = said, queries
    scale = math.sqrt(max(1, len(reference.tuples), before))
    return sequential.log10_e_value(np.concatenate([np.empty(0), *parts]), scale)


def _contains(known: Counts, tuples: U64) -> npt.NDArray[np.bool_]:
    """For each of `tuples`, whether it is among the known ones."""
    every = np.concatenate([known.tuples, tuples])
    order = np.lexsort(every.T[::-1])
    ordered = every[order]
    same = np.zeros(len(every), np.bool_)
    same[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
    found = np.empty(len(every), np.bool_)
    found[order] = same
    return found[len(known.tuples) :]
