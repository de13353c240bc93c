"""Language models small enough to distil and audit in a second: first-order chains over a made-up language.

They stand in for large ones in tests, in the planning of an audit's size, and in `bench/audit.py`. What they show is
that the statistics are right and how designs compare; effect sizes of a large model must come from a pilot on one.

A `Chain` gives the next word by the last one. The language has Zipf's word frequencies and a few dozen likely
successors a word; the human corpus, the teacher and every other teacher are drawn from perturbed copies of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

from excise.audit import prf
from excise.audit.marks import Mark
from excise.audit.tokens import Ids, word_id

Numbers = npt.NDArray[np.float64]
Words = npt.NDArray[np.int64]

VOCABULARY: Final = 1024
ZIPF: Final = 1.05
SPARSITY: Final = 0.02
"""Shape of the Gamma numbers that make a word's successors unequal: the smaller, the fewer are likely."""
ANSWER: Final = 55
"""Words of an answer."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Row u holds the distribution of the word after u; `start` that of the first one."""

    start: Numbers
    after: Numbers


@numba.njit(cache=True, nogil=True)
def _walk(start: Any, after: Any, chance: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        word = min(np.searchsorted(start, chance[i, 0]), len(start) - 1)
        out[i, 0] = word
        for t in range(1, out.shape[1]):
            word = min(np.searchsorted(after[word], chance[i, t]), len(start) - 1)
            out[i, t] = word


def spoken(
    chain: Chain, answers: int, rng: np.random.Generator, *, length: int = ANSWER, temperature: float = 1.0
) -> Words:
    """Answers of a chain, shape (answers, length), as places in the vocabulary."""
    after = chain.after if temperature == 1.0 else _sharpened(chain.after, temperature)
    out = np.empty((answers, length), np.int64)
    _walk(np.cumsum(chain.start), np.cumsum(after, axis=1), rng.random((answers, length)), out)
    return out


def _sharpened(after: Numbers, temperature: float) -> Numbers:
    powered = after ** (1.0 / temperature)
    return powered / powered.sum(axis=1, keepdims=True)


def language(rng: np.random.Generator, vocabulary: int = VOCABULARY) -> Chain:
    """A language of its own."""
    zipf = 1.0 / np.arange(1, vocabulary + 1) ** ZIPF
    after = zipf * rng.gamma(SPARSITY, size=(vocabulary, vocabulary)) + 1e-4 * zipf
    return Chain(zipf / zipf.sum(), after / after.sum(axis=1, keepdims=True))


def dialect(of: Chain, rng: np.random.Generator, strength: float = 0.5) -> Chain:
    """A perturbed copy of a language: log-normal noise of that standard deviation on every transition."""
    after = of.after * rng.lognormal(0.0, strength, of.after.shape)
    return Chain(of.start, after / after.sum(axis=1, keepdims=True))


def learnt(texts: Words, weights: Numbers, of: Chain, prior: float = 1.0) -> Chain:
    """What a student learns: weighted pair counts of `texts` over `prior` observations a word of the chain `of` it had before."""
    n = len(of.start)
    pairs = (texts[:, :-1] * n + texts[:, 1:]).ravel()
    counts = np.bincount(pairs, np.repeat(weights, texts.shape[1] - 1), n * n).reshape(n, n)
    after = counts + prior * of.after
    return Chain(of.start, after / after.sum(axis=1, keepdims=True))


def vocabulary_ids(vocabulary: int = VOCABULARY) -> Ids:
    """The token ids of the words, under the tokenizer `words`."""
    return np.array([word_id(word) for word in vocabulary_words(vocabulary)], np.uint32)


def vocabulary_words(vocabulary: int = VOCABULARY) -> list[str]:
    """Made-up words of letters: `ba`, `bab`, …, one a place."""
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    syllables = [c + v for c in consonants for v in vowels]
    return [syllables[i % 70] + syllables[i // 70 % 70] for i in range(vocabulary)]


def marked(chain: Chain, mark: Mark, key: bytes) -> Chain:
    """The chain with every distribution changed by `mark` under `key`. For a mark that depends on the last word only."""
    ids = vocabulary_ids(len(chain.start)).astype(np.uint64)
    n = len(ids)
    tuples = np.empty((n * n, 3), np.uint64)
    absent = np.uint64(prf.ABSENT)
    tuples[:, 0] = absent << np.uint64(32) | absent
    tuples[:, 1] = absent << np.uint64(32) | np.repeat(ids, n)
    tuples[:, 2] = np.tile(ids, n)
    drawn = prf.draws(key, tuples).reshape(n, n)
    return Chain(chain.start, mark.changed(chain.after, drawn))


def texts_of(words: Words, vocabulary: int = VOCABULARY) -> list[str]:
    """Answers as text."""
    names = vocabulary_words(vocabulary)
    return [" ".join(names[w] for w in row) for row in words.tolist()]


BASE_ANSWERS: Final = 20_000
"""Human answers that the suspect's base learnt from, about 1.1 million words."""
TUNING_ANSWERS: Final = 4_000
"""Answers that a suspect is tuned on, 220,000 words; the distilled share of them is the teacher's."""
HELD: Final = 200.0
"""How many observations a word the base is worth against the tuning."""


@dataclass(frozen=True, slots=True)
class World:
    """A language, a teacher of our own, and a base that suspects are tuned from."""

    human: Chain
    teacher: Chain
    base: Chain


def world(rng: np.random.Generator) -> World:
    """A world of its own."""
    human = language(rng)
    flat = Chain(human.start, np.tile(human.start, (len(human.start), 1)))
    said = spoken(human, BASE_ANSWERS, rng)
    return World(human, dialect(human, rng), learnt(said, np.ones(len(said)), flat))


def student(of: World, share: float, teacher: Chain, rng: np.random.Generator) -> Chain:
    """The base tuned on answers of which `share` (0 to 1) are the teacher's and the rest are human."""
    taken = round(share * TUNING_ANSWERS)
    texts = np.concatenate([spoken(teacher, taken, rng), spoken(of.human, TUNING_ANSWERS - taken, rng)])
    return learnt(texts, np.ones(len(texts)), of.base, HELD)


def tuples_of(words: Words, vocabulary: int = VOCABULARY) -> prf.U64:
    """The tuples of answers with one word of context, as `tokens.windows` gives them, (answers x (length - 1), 3)."""
    ids = vocabulary_ids(vocabulary).astype(np.uint64)[words]
    absent = np.uint64(prf.ABSENT)
    out = np.empty((ids[:, 1:].size, 3), np.uint64)
    out[:, 0] = absent << np.uint64(32) | absent
    out[:, 1] = absent << np.uint64(32) | ids[:, :-1].ravel()
    out[:, 2] = ids[:, 1:].ravel()
    return out
