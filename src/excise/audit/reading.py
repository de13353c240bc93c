"""The stronger form, for a suspect whose weights are open: not what it happened to say, but how likely it is to say it.

Both the suspect and its base read the same texts, which never saw a key. Wherever a token of the suspect and one of ours
end at the same character, the change of the suspect's next-token distribution from its base's is taken down by our
tokens: d = q_s - q_r of each token whose text is exactly one of ours. Over all n places with one context

    w(context, token) = sum(d) / sqrt(n) = sqrt(n) x mean(q_s - q_r)

are weights that were chosen without the key, so the bound of `statistic` holds for them as for counts. What is left out
here (tokens that match none of ours, small changes) costs power and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from excise.audit.statistic import Contrast
from excise.audit.tokens import distinct, windows

if TYPE_CHECKING:
    from excise.audit.prf import U64, Numbers
    from excise.audit.tokens import Ids, Places, Tokenizer

MOST_PLACES: Final = 100_000
"""Places in all texts that are looked at, in the order of the texts."""
TOP: Final = 32
"""Tokens a place that are taken down: those whose probability changed most."""
MOST_PAIRS: Final = 50_000
"""Distinct pairs of context and token that are kept: those of largest weight."""
_UNREADABLE: Final = "\ufffd"


class OpenModel(Protocol):
    """A model that shows its probabilities."""

    @property
    def pieces(self) -> Sequence[str]:
        """The text of each token of its vocabulary."""
        ...

    def after(self, text: str) -> tuple[Places, Numbers]:
        """For each of its tokens in `text` the character after its last one, (n,), and the distribution of the token after it, (n, vocabulary)."""
        ...


@dataclass(frozen=True, slots=True)
class Read:
    """What two models' probabilities say: the contrast, over how many texts, places and distinct contexts."""

    contrast: Contrast
    texts: int
    places: int
    contexts: int


def read(
    texts: Sequence[str],
    suspect: OpenModel,
    base: OpenModel | None,
    tokenizer: Tokenizer,
    context: int,
    advance: Callable[[], None] = lambda: None,
) -> Read:
    """Read `texts` by both models. Without a base the suspect's probabilities stand alone, which finds less.

    `base` must have the suspect's vocabulary (`same_vocabulary`). One forward pass a text and model.
    """
    ours = our_tokens(suspect.pieces, tokenizer)
    found = [np.empty((0, 3), np.uint64)]
    changes, count, done = [np.empty(0)], 0, 0
    seen = []
    for text in texts:
        if count >= MOST_PLACES:
            break
        for pairs, change in _of_text(text, suspect, base, tokenizer, context, ours):
            found.append(pairs)
            changes.append(change)
            seen.append(pairs[:1])
            count += 1
        done += 1
        advance()
    contrast, contexts = _weighed(np.concatenate(found), np.concatenate(changes), seen)
    return Read(contrast, done, count, contexts)


def our_tokens(pieces: Sequence[str], tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """For each token of a vocabulary the id of the one token of ours that is its text, -1 where there is none."""
    out = np.full(len(pieces), -1, np.int64)
    for place, piece in enumerate(pieces):
        ids = tokenizer("" if _UNREADABLE in piece else piece)
        if len(ids) == 1:
            out[place] = int(ids[0])
    return out


def same_vocabulary(first: OpenModel, second: OpenModel) -> bool:
    """Whether the probabilities of two models can be compared token by token."""
    return list(first.pieces) == list(second.pieces)


def _of_text(
    text: str,
    suspect: OpenModel,
    base: OpenModel | None,
    tokenizer: Tokenizer,
    context: int,
    ours: npt.NDArray[np.int64],
) -> Iterator[tuple[U64, Numbers]]:
    """For each place where both tokenizers end a token: the pairs of our tokens there, (at most TOP, 3), and their changes."""
    ids, ends = tokenizer.placed(text)
    last = {int(end): place for place, end in enumerate(ends)}
    places, probable = suspect.after(text)
    changed = probable - base.after(text)[1] if base is not None else probable
    for place, change in zip(places.tolist(), changed, strict=True):
        at = last.get(place, -1)
        if at + 1 >= context:
            pairs, kept = _largest(ids[at + 1 - context : at + 1], change, ours)
            if len(kept):
                yield pairs, kept


def _largest(before: Ids, change: Numbers, ours: npt.NDArray[np.int64]) -> tuple[U64, Numbers]:
    known = np.flatnonzero((ours >= 0) & (change != 0.0))
    if len(known) > TOP:
        known = known[np.argpartition(-np.abs(change[known]), TOP)[:TOP]]
    window = windows(np.append(before, np.uint32(0)), len(before))
    pairs = np.repeat(window, len(known), axis=0)
    pairs[:, 2] = ours[known].astype(np.uint64)
    return pairs, change[known].astype(float)


def _weighed(pairs: U64, changes: Numbers, seen: Sequence[U64]) -> tuple[Contrast, int]:
    """Sums of changes over the square root of how often their context was looked at; the largest of them."""
    if not len(pairs):
        return Contrast(pairs, changes), 0
    tuples, place, _ = distinct(pairs)
    total = np.bincount(place, changes, len(tuples))
    windows_seen = np.zeros((len(seen) + len(tuples), 3), np.uint64)
    windows_seen[: len(seen), :2] = np.concatenate(seen)[:, :2]
    windows_seen[len(seen) :, :2] = tuples[:, :2]
    _, of, times = distinct(windows_seen)
    contexts = len(times)
    often = np.bincount(of[: len(seen)], minlength=contexts)[of[len(seen) :]]
    weights = total / np.sqrt(often)
    order = np.sort(np.argsort(-np.abs(weights), kind="stable")[:MOST_PAIRS])
    order = order[weights[order] != 0.0]
    return Contrast(tuples[order], weights[order]), contexts
