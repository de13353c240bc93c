"""What `excise audit` finds and whom it accuses wrongly on the n-gram test-bed: `python bench/audit.py [--worlds 24] [--out PAGE]`.

Every world has a language, a teacher, a base and a key of its own, all of the seed that is printed; the test-bed was laid
out on others. About ten minutes on two cores. For a small transformer on real text: `bench/audit_transformer.py`.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from pathlib import Path

import numpy as np

import excise
from excise.audit import ngram, prf
from excise.audit.marks import MARKS
from excise.audit.marks.red_green import RED_GREEN
from excise.audit.ngram import ANSWER, Chain, World
from excise.audit.statistic import (
    contrast,
    decoys,
    fair_tail,
    log10_bound,
    open_contrast,
    published,
    tail_bound,
    z_of,
)
from excise.audit.tokens import Words, counted, windows

SEED = 9_301
LOOKS = (100, 400, 1_600, 3_000)
SHARES = (0.0, 0.05, 0.1, 0.25)
LEVELS = (0.05, 0.01, 0.001)
TRIALS, NULL = 5_000, 40_000


def counts(words):
    return counted([ngram.tuples_of(words)])


def text_counts(texts):
    return counted(windows(Words()(text), 1) for text in texts)


class Setting:
    """One world with its key, and a reference of 3,000 answers of the base."""

    def __init__(self, number: int, mark=RED_GREEN) -> None:
        self.rng = np.random.default_rng([SEED, number])
        self.world = ngram.world(self.rng)
        self.mark, self.key = mark, self.rng.bytes(16)
        self.marked = ngram.marked(self.world.teacher, mark, self.key)
        self.reference = counts(self.spoken(self.world.base))

    def spoken(self, chain, answers=LOOKS[-1], temperature=1.0):
        return ngram.spoken(chain, answers, self.rng, temperature=temperature)

    def student(self, share, teacher=None):
        return ngram.student(self.world, share, teacher or self.marked, self.rng)

    def z(self, said, reference=None):
        return z_of(contrast(said, reference or self.reference), self.key, self.mark.kind)


def rates(values, digits=2):
    """TPR at 1e-3 and 1e-6 and the median, of log10 p."""
    v = np.array(values)
    return f"{(v <= -3).mean():.{digits}f} / {(v <= -6).mean():.{digits}f} / {np.median(v):.1f}"


# Innocent models


def calibration():
    """Shares of 5,000 keys at each level, for innocent models; and the same without de-duplication."""
    s = Setting(10_000)
    other = ngram.dialect(s.world.human, s.rng)
    innocents = {
        "organic fine-tune": s.student(0.0),
        "student of our unmarked teacher": s.student(1.0, s.world.teacher),
        "student of another teacher": s.student(1.0, other),
        "student of a teacher that others marked": s.student(
            1.0, ngram.marked(other, RED_GREEN, s.rng.bytes(16))
        ),
    }
    yield f"| innocent model | rank among {NULL:,} decoys, p at most {' / '.join(map(str, LEVELS))} | rigorous bound | without de-duplication (1,000 keys) |"
    yield "|---|---|---|---|"
    trials = decoys(b"trial keys of the bench", TRIALS)
    for name, chain in innocents.items():
        said = counts(s.spoken(chain, 400))
        found = contrast(said, counts(s.spoken(s.world.base, 400)))
        null = np.sort(
            prf.contrasts(decoys(b"decoys of the bench", NULL), found.tuples, found.weights, prf.BIT)
        )
        z = prf.contrasts(trials, found.tuples, found.weights, prf.BIT)
        ranks = (1 + NULL - np.searchsorted(null, z, "left")) / (1 + NULL)
        bounds = np.array([tail_bound(v) for v in z])
        raw = []
        for key in trials[:1_000]:
            green = prf.draws(key.tobytes(), said.tuples) >> np.uint64(63)
            raw.append(fair_tail(int((green * said.said).sum()), int(said.total)))
        cells = [
            " / ".join(f"{(p <= level).mean():.4f}" for level in LEVELS)
            for p in (ranks, bounds, np.array(raw))
        ]
        yield f"| {name} | {' | '.join(cells)} |"


# What is found


def power(worlds):
    """By share and queries: our contrast, and the published test."""
    ours, theirs = defaultdict(list), defaultdict(list)
    for number in range(worlds):
        s = Setting(number)
        for share in SHARES:
            words = s.spoken(s.student(share))
            for queries in LOOKS:
                said = counts(words[:queries])
                ours[share, queries].append(log10_bound(s.z(said)))
                theirs[share, queries].append(math.log10(max(published(said, s.key, s.mark.kind).p, 1e-300)))
    yield f"| distilled share | queries | contrast: p ≤ 1e-3 / ≤ 1e-6 / median log10 p | published test, the same (over {worlds} worlds and keys) |"
    yield "|---|---|---|---|"
    for share, queries in ours:
        yield f"| {share:g} | {queries:,} | {rates(ours[share, queries])} | {rates(theirs[share, queries])} |"


def perplexity(chain: Chain, words):
    """Of words under the unmarked teacher."""
    p = chain.after[words[:, :-1], words[:, 1:]]
    return math.exp(-np.log(np.maximum(p, 1e-12)).mean())


def marks(worlds):
    """Each mark's cost under the unmarked teacher, and its trace at a quarter of distilled text."""
    yield "| mark | free over keys | perplexity of served text, unmarked / marked | distinct answers of 1,000 | contrast at a share of 0.25, 3,000 queries | published test | open weights |"
    yield "|---|---|---|---|---|---|---|"
    for mark in MARKS:
        plain, cost, distinct, ours, theirs, weights = [], [], [], [], [], []
        for number in range(worlds):
            s = Setting(1_000 + number, mark)
            teacher = s.world.teacher
            plain.append(perplexity(teacher, s.spoken(teacher, 400)))
            served = s.spoken(s.marked, 1_000)
            cost.append(perplexity(teacher, served))
            distinct.append(len({row.tobytes() for row in served[:, 1:]}))
            student = s.student(0.25)
            said = counts(s.spoken(student))
            ours.append(log10_bound(s.z(said)))
            theirs.append(math.log10(max(published(said, s.key, mark.kind).p, 1e-300)))
            weights.append(log10_bound(open_z(s, student)))
        yield (
            f"| {mark.id} | {'yes' if mark.distortion_free else 'no'} | {np.mean(plain):.1f} / {np.mean(cost):.1f} "
            f"| {np.mean(distinct):.0f} | {rates(ours)} | {rates(theirs)} | {rates(weights)} |"
        )


def open_z(s: Setting, student: Chain) -> float:
    """z where the student's probabilities can be read, after contexts of 400 of the base's answers."""
    n = len(student.start)
    seen = np.bincount(s.spoken(s.world.base, 400)[:, :-1].ravel(), minlength=n).astype(float)
    ids = ngram.vocabulary_ids().astype(np.uint64)
    absent = np.uint64(prf.ABSENT)
    tuples = np.empty((n * n, 3), np.uint64)
    tuples[:, 0] = absent << np.uint64(32) | absent
    tuples[:, 1] = absent << np.uint64(32) | np.repeat(ids, n)
    tuples[:, 2] = np.tile(ids, n)
    found = open_contrast(tuples, student.after.ravel(), s.world.base.after.ravel(), np.repeat(seen, n))
    return z_of(found, s.key, s.mark.kind)


# What removes it, and what forges it


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


def page(worlds):
    yield "# What an audit finds, and whom it accuses wrongly"
    yield ""
    yield f"Printed by `python bench/audit.py --worlds {worlds}`, version {excise.__version__}, seed {SEED}. First-order chains over a made-up language of {ngram.VOCABULARY:,} words; a suspect is tuned on {ngram.TUNING_ANSWERS:,} answers of {ANSWER} words. Effect sizes of a large model are others; what carries over is that p-values hold, and how designs compare."
    for title, rows in (
        ("Innocent models", calibration()),
        ("Power", power(worlds)),
        ("Marks", marks(max(4, worlds // 3))),
        ("What removes a mark, and what forges it", robustness(max(4, worlds // 2))),
    ):
        yield ""
        yield f"## {title}"
        yield ""
        yield from rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=24)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = []
    for line in page(given.worlds):
        print(line, flush=True)
        lines.append(line)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
