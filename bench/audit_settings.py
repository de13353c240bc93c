"""Worlds of the n-gram test-bed, as `bench/audit.py` and its parts use them."""

from __future__ import annotations

import numpy as np

from excise.audit import ngram, prf
from excise.audit.marks.red_green import RED_GREEN
from excise.audit.ngram import Chain
from excise.audit.reading import MOST_PAIRS
from excise.audit.statistic import Contrast, contrast, open_contrast, z_of
from excise.audit.tokens import Words, counted, windows

SEED = 9_301
QUERIES = 3_000


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

    def spoken(self, chain, answers=QUERIES, temperature=1.0):
        return ngram.spoken(chain, answers, self.rng, temperature=temperature)

    def student(self, share, teacher=None):
        return ngram.student(self.world, share, teacher or self.marked, self.rng)

    def z(self, said, reference=None):
        return z_of(contrast(said, reference or self.reference), self.key, self.mark.kind)

    def read(self, student: Chain) -> Contrast:
        """The contrast of a student whose probabilities can be read, after contexts of 400 of the base's answers."""
        n = len(student.start)
        seen = np.bincount(self.spoken(self.world.base, 400)[:, :-1].ravel(), minlength=n).astype(float)
        ids = ngram.vocabulary_ids().astype(np.uint64)
        absent = np.uint64(prf.ABSENT)
        tuples = np.empty((n * n, 3), np.uint64)
        tuples[:, 0] = absent << np.uint64(32) | absent
        tuples[:, 1] = absent << np.uint64(32) | np.repeat(ids, n)
        tuples[:, 2] = np.tile(ids, n)
        found = open_contrast(
            tuples, student.after.ravel(), self.world.base.after.ravel(), np.repeat(seen, n)
        )
        top = np.argsort(-np.abs(found.weights), kind="stable")[:MOST_PAIRS]
        return Contrast(found.tuples[top], found.weights[top])

    def open_z(self, student: Chain) -> float:
        return z_of(self.read(student), self.key, self.mark.kind)


def rates(values, digits=2):
    """TPR at 1e-3 and 1e-6 and the median, of log10 p."""
    v = np.array(values)
    return f"{(v <= -3).mean():.{digits}f} / {(v <= -6).mean():.{digits}f} / {np.median(v):.1f}"
