"""In whose voice a model answers: how likely its turns of phrase are in each family's answers to *other* prompts.

Likeness compares answers to one prompt, and so mostly what they say. Voice is what is left when the prompt is another: a
naive Bayes classifier over runs of two and three words, trained on teachers and always read on prompts that it was not
trained on. It has no "none": a plain model is told to the plainest family. So it names a family, and likeness decides
whether there is a lead at all.

Sources: multinomial naive Bayes, McCallum and Nigam 1998, section 2; each run counted once an answer, Wang and Manning 2012,
section 2.1; interpolation with the pool, Jelinek and Mercer 1980; folds, Stone 1974.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from excise.audit.lineage.likeness import Lexicon

FOLDS: Final = 5
"""Parts of the prompts; each is read by what was trained on the others."""
SPREAD: Final = 0.05
"""Share of the prompts that must have met a run, in any teacher's answers, before it counts as a turn of phrase."""
SMOOTHING: Final = 0.5
"""Weight of the pool of all families in each family's frequencies; bounds what one run can say, by log `SMOOTHING`."""

Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Said:
    """The turns of phrase in a model's answers: for each, the prompt that it answers and its number."""

    prompt: Ids
    turn: Ids


def voice(texts: Sequence[Sequence[str]], families: Sequence[int]) -> Numbers:
    """Return voice (prompts, models, families) of `texts` (models, prompts), whose first models are the teachers.

    `families` has the family of each teacher, 0 to k - 1. The figure is the logarithm of how much likelier an answer's
    turns of phrase are in the family than in the pool of all families, over the root of their number, in nats; only its
    differences between families mean anything, and a teacher's to its own family are its own. O(words + turns * families).
    """
    prompts, teachers = len(texts[0]), len(families)
    lexicon = Lexicon()
    runs = [[lexicon.runs(text) for text in said] for said in texts]
    turns = _turns(runs[:teachers], max(2.0, SPREAD * prompts))
    said = [_of(many, turns) for many in runs]
    fold = np.arange(prompts) % FOLDS
    out = np.zeros((prompts, len(texts), max(families) + 1))
    for k in range(FOLDS):
        weights = _weights([_frequencies(one, fold != k, len(turns)) for one in said[:teachers]], families)
        for model, one in enumerate(said):
            out[:, model] += _read(one, fold == k, weights)
    return out


def _turns(runs: Sequence[Sequence[Ids]], fewest: float) -> Ids:
    """Runs that answers to at least `fewest` prompts have, sorted."""
    met = [np.unique(np.concatenate(answers)) for answers in zip(*runs, strict=True)]
    known, prompts = np.unique(np.concatenate(met), return_counts=True)
    return known[prompts >= fewest]


def _of(runs: Sequence[Ids], turns: Ids) -> _Said:
    prompt = np.repeat(np.arange(len(runs)), [len(one) for one in runs])
    every = np.concatenate(runs)
    at = np.searchsorted(turns, every)
    known = np.append(turns, -1)[at] == every
    return _Said(prompt[known], at[known])


def _frequencies(said: _Said, chosen: npt.NDArray[np.bool_], turns: int) -> Numbers:
    """Relative frequencies (turns) of a model's turns of phrase in its answers to the `chosen` prompts."""
    counts = np.bincount(said.turn[chosen[said.prompt]], minlength=turns).astype(float)
    return counts / max(float(counts.sum()), 1.0)


def _weights(frequencies: Sequence[Numbers], families: Sequence[int]) -> Numbers:
    """What each turn of phrase says for each family (turns, families); teachers weigh alike in theirs, and families in the pool."""
    table, of = np.stack(frequencies), np.asarray(families)
    own = np.stack([table[of == family].mean(axis=0) for family in range(max(families) + 1)], axis=1)
    pool = own.mean(axis=1, keepdims=True)
    ratio = np.divide(own, pool, out=np.ones_like(own), where=pool > 0)
    weights: Numbers = np.log(SMOOTHING + (1 - SMOOTHING) * ratio)
    return weights


def _read(said: _Said, chosen: npt.NDArray[np.bool_], weights: Numbers) -> Numbers:
    """The figure of `voice` (prompts, families) for a model's answers to the `chosen` prompts, 0 elsewhere."""
    here = chosen[said.prompt]
    prompt, turn = said.prompt[here], said.turn[here]
    sums = [np.bincount(prompt, weights[turn, f], len(chosen)) for f in range(weights.shape[1])]
    of = np.bincount(prompt, minlength=len(chosen))
    return np.stack(sums, axis=1) / np.sqrt(np.maximum(of, 1))[:, None]
