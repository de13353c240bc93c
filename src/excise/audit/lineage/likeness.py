"""How alike two answers to one prompt are: the cosine of their runs of two and three words, rare runs weighing more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

WORDS: Final = 128
"""Words, marks and line breaks of an answer that are compared: of 32, 128 and all, it told teachers' siblings best."""
_TOKEN = re.compile(r"\w+|[^\w\s]|\n+")
_BITS: Final = 21

Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class Lexicon:
    """Numbers for words, given as they come."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def runs(self, text: str) -> Ids:
        """Distinct runs of two and three words of the beginning of a text, sorted."""
        words = _TOKEN.findall(text[: WORDS * 40].lower())[:WORDS]
        numbers = [1 + self._known.setdefault(w if w[0] != "\n" else "\n", len(self._known)) for w in words]
        if max(numbers, default=0) >= 1 << _BITS:
            raise OverflowError("more than two million distinct words")
        a = np.array(numbers, np.int64)
        pairs = (a[:-1] << _BITS) | a[1:]
        return np.unique(np.concatenate([pairs, (pairs[:-1] << _BITS) | a[2:]]))


def likeness(texts: Sequence[Sequence[str]], teachers: int) -> Numbers:
    """Return likeness (prompts, models, teachers), 0 to 1, of `texts` (models, prompts), whose first models are the teachers.

    A run weighs by the logarithm of how few of the teachers' answers have it. O(models * words) a prompt and memory for
    the runs of all answers; the likeness of a teacher to itself is 1.
    """
    lexicon = Lexicon()
    runs = [[lexicon.runs(text) for text in said] for said in texts]
    known, counts = np.unique(
        np.concatenate([r for said in runs[:teachers] for r in said]), return_counts=True
    )
    answers = sum(len(said) for said in texts[:teachers])
    return np.stack(
        [
            _of_prompt([said[i] for said in runs], teachers, known, counts, answers)
            for i in range(len(texts[0]))
        ]
    )


def _of_prompt(runs: Sequence[Ids], teachers: int, known: Ids, counts: Ids, answers: int) -> Numbers:
    vocabulary = np.unique(np.concatenate(runs))
    if not len(vocabulary):
        return np.zeros((len(runs), teachers))
    low, high = (np.searchsorted(known, vocabulary, side) for side in ("left", "right"))
    having = np.where(high > low, np.append(counts, 0)[low], 0)
    weight = np.log((answers + 1.0) / (having + 1.0))
    table = np.zeros((len(runs), len(vocabulary)))
    for row, one in zip(table, runs, strict=True):
        inside = np.searchsorted(vocabulary, one)
        row[inside] = weight[inside]
    table /= np.maximum(np.sqrt((table * table).sum(axis=1, keepdims=True)), 1e-12)
    return table @ table[:teachers].T
