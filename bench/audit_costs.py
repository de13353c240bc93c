"""What marks cost and how well they are found, on the n-gram test-bed of `bench/audit.py`: on logits, on whole answers, on free choices."""

from __future__ import annotations

import math

import numpy as np

from audit_settings import Setting, counts, rates
from excise.audit import ngram, prf
from excise.audit.marks import MARKS, choices, rerank
from excise.audit.marks.choices import Slot
from excise.audit.marks.mark import Mark
from excise.audit.statistic import log10_bound, published
from excise.audit.tokens import Words

CANDIDATES = (2, 4, 8)
SLOTS, VALUES, SIGHTINGS = 100, 8, (2, 5, 20)
HELD = 50.0
"""How many sightings of a slot the suspect's own leaning is worth."""


def nats(chain, words):
    """Mean surprise at a word under the unmarked teacher."""
    p = chain.after[words[:, :-1], words[:, 1:]]
    return -float(np.log(np.maximum(p, 1e-12)).mean())


def marks(worlds):
    """Each mark's cost under the unmarked teacher, and its trace at a quarter of distilled text."""
    yield "| mark | free over keys | answers drawn for one | perplexity of served text, unmarked / marked | distinct answers of 1,000 | contrast at a share of 0.25, 3,000 queries | published test | open weights |"
    yield "|---|---|---|---|---|---|---|---|"
    for mark in MARKS:
        yield _row(mark.id, mark.distortion_free, 1, [_on_logits(1_000 + n, mark) for n in range(worlds)])
    for drawn in CANDIDATES:
        yield _row("rerank", True, drawn, [_on_answers(1_000 + n, drawn) for n in range(worlds)])


def _row(name, free, drawn, found):
    plain, cost, distinct, ours, theirs, weights = zip(*found, strict=True)
    return (
        f"| {name} | {'yes' if free else 'no'} | {drawn} | {math.exp(np.mean(plain)):.1f} / {math.exp(np.mean(cost)):.1f} "
        f"| {np.mean(distinct):.0f} | {rates(ours)} | {rates(theirs)} | {rates(weights)} |"
    )


def _on_logits(number, mark):
    s = Setting(number, mark)
    return _measured(s, s.spoken(s.marked, 1_000), s.student(0.25))


def _on_answers(number, drawn):
    """Of several whole answers the key chooses one."""
    s = Setting(number, RERANK)
    each = [s.spoken(s.world.teacher, 1_000) for _ in range(drawn)]
    texts = [ngram.texts_of(words) for words in each]
    words = Words()
    chosen = [rerank.chosen(of, s.key, words) for of in zip(*texts, strict=True)]
    served = np.stack([each[c][i] for i, c in enumerate(chosen)])
    human = s.spoken(s.world.human, ngram.TUNING_ANSWERS - len(served))
    learnt = np.concatenate([served, human])
    return _measured(s, served, ngram.learnt(learnt, np.ones(len(learnt)), s.world.base, ngram.HELD))


RERANK = Mark("rerank", prf.UNIFORM, True, "", "", "", lambda p, _: p)
"""Re-ranking leaves every distribution as it is; this stands for how its coins are scored."""


def _measured(s, served, student):
    said = counts(s.spoken(student))
    return (
        nats(s.world.teacher, s.spoken(s.world.teacher, 1_000)),
        nats(s.world.teacher, served),
        len({row.tobytes() for row in served[:, 1:]}),
        log10_bound(s.z(said)),
        math.log10(max(published(said, s.key, s.mark.kind).p, 1e-300)),
        log10_bound(s.open_z(student)),
    )


def free_choices(worlds):
    """What keyed free choices change and cost, and how they are found, by how the teacher leans without a key."""
    yield f"{SLOTS} slots of {VALUES} values. A suspect's leaning is worth {HELD:g} sightings; it is asked five times a slot. Nats are how much more surprising the key's value is to the unmarked teacher than its own choice."
    yield ""
    yield "| the teacher leans | answers with another value than without the key | nats a choice | sightings of each slot | p ≤ 1e-3 / ≤ 1e-6 / median log10 p | innocent suspect |"
    yield "|---|---|---|---|---|---|"
    for name, evenness in (
        ("to nothing: values are equal", 1e6),
        ("a little", 5.0),
        ("much: no free choice", 0.3),
    ):
        for sightings in SIGHTINGS:
            changed, cost, ours, innocent = zip(
                *(_chosen(3_000 + n, evenness, sightings) for n in range(worlds)), strict=True
            )
            yield f"| {name} | {np.mean(changed):.2f} | {np.mean(cost):+.3f} | {sightings} | {rates(ours)} | {rates(innocent)} |"


def _chosen(number, evenness, sightings):
    rng = np.random.default_rng([SEED_CHOICES, number])
    words = iter(f"v{i}" for i in range(SLOTS * VALUES))
    slots = [
        Slot(f"s{i}", "name", ("example",), tuple(next(words) for _ in range(VALUES))) for i in range(SLOTS)
    ]
    leaning = rng.dirichlet(np.full(VALUES, evenness), SLOTS)
    key = rng.bytes(16)
    keyed = np.array([choices.assigned(key, slot) for slot in slots])
    at_key = leaning[np.arange(SLOTS), keyed]
    entropy = -(leaning * np.log(np.maximum(leaning, 1e-12))).sum(axis=1)
    one = np.eye(VALUES)[keyed]
    student = (HELD * leaning + sightings * one) / (HELD + sightings)

    def p_of(model):
        said, before = (_texts(slots, m, rng) for m in (model, leaning))
        ranks = choices.ranked(slots, said, before, b"bench")
        return math.log10(max(ranks.p(ranks.total(key)), 1e-300))

    return (
        1 - at_key.mean(),
        float((-np.log(np.maximum(at_key, 1e-12)) - entropy).mean()),
        p_of(student),
        p_of(leaning),
    )


SEED_CHOICES = 9_302


def _texts(slots, model, rng):
    """Five answers a slot with a value that the model chooses."""
    return [
        f"call it {slot.values[v]}"
        for slot, p in zip(slots, model, strict=True)
        for v in rng.choice(VALUES, size=5, p=p)
    ]
