"""What marks cost and how well they are found, on the n-gram test-bed of `bench/audit.py`: on logits, on whole answers, on free choices."""

from __future__ import annotations

import math

import numpy as np

import audit_levels
from audit_settings import Setting, counts, rates
from excise.audit import ngram, prf
from excise.audit.marks import MARKS, choices, rerank
from excise.audit.marks.choices import Slot
from excise.audit.marks.mark import Mark
from excise.audit.statistic import decoys, log10_bound, published
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
    yield f"{SLOTS} slots of {VALUES} values; {worlds} worlds. A suspect's own leaning is worth {HELD:g} sightings, which is an assumption; it is asked five times a slot. Nats are how much more surprising the key's value is to the unmarked teacher than its own choice."
    yield ""
    yield "| the teacher leans | answers with another value than without the key | nats a choice | sightings of each slot | p ≤ 1e-3 / ≤ 1e-6 / median log10 p |"
    yield "|---|---|---|---|---|"
    innocent = []
    for name, evenness in LEANINGS:
        beds = [Bed(3_000 + n, evenness) for n in range(worlds)]
        for sightings in SIGHTINGS:
            found = rates([bed.log10_p(bed.student(sightings)) for bed in beds])
            yield f"| {name} | {np.mean([b.changed for b in beds]):.2f} | {np.mean([b.cost for b in beds]):+.3f} | {sightings} | {found} |"
        innocent.append(f"| {name} | {' / '.join(f'{share:.4f}' for share in beds[0].accused())} |")
    yield ""
    yield audit_levels.allowed()
    yield ""
    yield f"| the teacher leans | p at most {' / '.join(map(str, audit_levels.LEVELS))} for a suspect that was taught by nobody |"
    yield "|---|---|"
    yield from innocent


class Bed:
    """Slots, how the teacher and the suspect's base lean among their values, and a key."""

    def __init__(self, number, evenness):
        self.rng = np.random.default_rng([SEED_CHOICES, number])
        words = iter(f"v{i}" for i in range(SLOTS * VALUES))
        self.slots = [
            Slot(f"s{i}", "name", ("example",), tuple(next(words) for _ in range(VALUES)))
            for i in range(SLOTS)
        ]
        self.leaning = self.rng.dirichlet(np.full(VALUES, evenness), SLOTS)
        self.key = self.rng.bytes(16)
        self.keyed = np.array([choices.assigned(self.key, slot) for slot in self.slots])
        at_key = np.maximum(self.leaning[np.arange(SLOTS), self.keyed], 1e-12)
        entropy = -(self.leaning * np.log(np.maximum(self.leaning, 1e-12))).sum(axis=1)
        self.changed = 1 - at_key.mean()
        self.cost = float((-np.log(at_key) - entropy).mean())
        self.reference = self.texts(self.leaning)

    def student(self, sightings):
        return (HELD * self.leaning + sightings * np.eye(VALUES)[self.keyed]) / (HELD + sightings)

    def texts(self, model):
        """Five answers a slot with a value that the model chooses."""
        return [
            f"call it {slot.values[v]}"
            for slot, p in zip(self.slots, model, strict=True)
            for v in self.rng.choice(VALUES, size=5, p=p)
        ]

    def ranks(self, model):
        return choices.ranked(self.slots, self.texts(model), self.reference, b"bench")

    def log10_p(self, model):
        ranks = self.ranks(model)
        return math.log10(max(ranks.p(ranks.total(self.key)), 1e-300))

    def accused(self):
        """Shares of keys under which a suspect that leans as its base does has a p-value at each level."""
        ranks = self.ranks(self.leaning)
        keys = decoys(b"trial keys of the bench", audit_levels.TRIALS)
        totals = [ranks.total(key.tobytes()) for key in keys]
        p = {total: ranks.p(total) for total in set(totals)}
        return [np.mean([p[total] <= level for total in totals]) for level in audit_levels.LEVELS]


LEANINGS = (("to nothing: values are equal", 1e6), ("a little", 5.0), ("much: no free choice", 0.3))
SEED_CHOICES = 9_302
