"""What remains of a mark after what a suspect's owner may do, and what forges one, on the n-gram test-bed of `bench/audit.py`."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from audit_settings import Setting, counts, rates, text_counts
from excise.audit import ngram
from excise.audit.ngram import ANSWER, Chain, World
from excise.audit.statistic import log10_bound
from excise.audit.tokens import counted


def purified(s: Setting, student: Chain, amount: int) -> Chain:
    """As much organic tuning again, `amount` times."""
    texts = s.spoken(s.world.human, amount * ngram.TUNING_ANSWERS)
    return ngram.learnt(
        texts, np.ones(len(texts)), student, ngram.HELD + ngram.TUNING_ANSWERS * ANSWER / len(student.start)
    )


def paraphrased(s: Setting, words, share):
    """Each word with this chance replaced by another: chosen by the human language after the word before it."""
    after = np.cumsum(s.world.human.after, axis=1)
    out = words.copy()
    for t in range(1, out.shape[1]):
        again = s.rng.random(len(out)) < share
        rows = after[out[again, t - 1]]
        out[again, t] = np.minimum(
            (rows < s.rng.random(len(rows))[:, None]).sum(axis=1), len(s.world.human.start) - 1
        )
    return out


def stolen(s: Setting, answers: int) -> Chain:
    """Another lab's teacher that imitates our mark: it saw `answers` of ours and raises what they say more than its own."""
    other = ngram.dialect(s.world.human, s.rng)
    n = len(other.start)
    ours = s.spoken(s.marked, answers)
    pairs = np.bincount((ours[:, :-1] * n + ours[:, 1:]).ravel(), minlength=n * n).reshape(n, n)
    expected = other.after * pairs.sum(axis=1, keepdims=True)
    raised = other.after * np.where(pairs > expected + np.sqrt(expected), math.exp(2.0), 1.0)
    return Chain(other.start, raised / raised.sum(axis=1, keepdims=True))


def spelled(s: Setting, student_share: float) -> list[str]:
    """Answers of a student that knows letters only: the next letter by the last seven, learnt from the same text."""
    texts = [
        *ngram.texts_of(s.spoken(s.world.human, 4_000)),
        *ngram.texts_of(s.spoken(s.world.human, round((1 - student_share) * ngram.TUNING_ANSWERS))),
        *ngram.texts_of(s.spoken(s.marked, round(student_share * ngram.TUNING_ANSWERS))),
    ]
    order, follow = 7, defaultdict(list)
    for text in texts:
        line = " " * order + text
        for i in range(len(text)):
            follow[line[i : i + order]].append(line[i + order])
    out = []
    for chance in s.rng.random((1_600, ANSWER * 5)):
        line = " " * order
        for u in chance:
            after = follow.get(line[-order:]) or follow[" " * order]
            line += after[int(u * len(after))]
        out.append(line.strip())
    return out


def attacks(s: Setting):
    """Name and log10 p of each, all on a student of which a quarter is ours, 3,000 queries."""
    student = s.student(0.25)
    plain = s.spoken(student)
    other = ngram.dialect(s.world.human, s.rng)
    world = World(s.world.human, s.world.teacher, s.world.base)
    two = ngram.Chain(s.world.human.start, (s.marked.after + other.after) / 2)
    rivals = ngram.Chain(
        s.world.human.start, (s.marked.after + ngram.marked(other, s.mark, s.rng.bytes(16)).after) / 2
    )
    yield "nothing", s.z(counts(plain))
    yield "the reference is our own unmarked teacher", s.z(counts(plain), counts(s.spoken(s.world.teacher)))
    yield "no reference", s.z(counts(plain), counted(()))
    for temperature in (0.5, 0.7, 1.3):
        yield f"temperature {temperature}", s.z(counts(s.spoken(student, temperature=temperature)))
    for amount in (1, 3):
        yield (
            f"purification: {amount} times as much organic tuning again",
            s.z(counts(s.spoken(purified(s, student, amount)))),
        )
    for share in (0.2, 0.5, 0.8):
        yield f"paraphrase of {share:.0%} of the words", s.z(counts(paraphrased(s, plain, share)))
    yield (
        "two teachers in equal parts, the other unmarked",
        s.z(counts(s.spoken(ngram.student(world, 0.25, two, s.rng)))),
    )
    yield (
        "two teachers in equal parts, the other under its owner's key",
        s.z(counts(s.spoken(ngram.student(world, 0.25, rivals, s.rng)))),
    )
    for answers in (2_000, 50_000):
        forged = ngram.student(world, 0.25, stolen(s, answers), s.rng)
        yield (
            f"spoofed: never tuned on our text, its teacher imitates the mark after {answers:,} of our answers",
            s.z(counts(s.spoken(forged))),
        )


def robustness(worlds):
    """What remains of a quarter of distilled text after each."""
    found = defaultdict(list)
    for number in range(worlds):
        for name, z in attacks(Setting(2_000 + number)):
            found[name].append(z)
    for number in range(min(4, worlds)):
        s = Setting(2_500 + number)
        texts = spelled(s, 0.25)
        reference = text_counts(spelled(s, 0.0))
        found["another tokenizer: a student of letters (1,600 queries, 4 worlds)"].append(
            s.z(text_counts(texts), reference)
        )
    yield "| done to the suspect | median z | p ≤ 1e-3 / ≤ 1e-6 / median log10 p |"
    yield "|---|---|---|"
    for name, values in found.items():
        yield f"| {name} | {np.median(values):.1f} | {rates([log10_bound(z) for z in values])} |"
