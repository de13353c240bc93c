"""Keyed free choices: where several things may be said equally well, the key says which.

A slot is one such place: a name for a person in an example, a toy number, the order of equals, a way to close. Its value
under a key is the draw for the slot modulo the number of values (biased by at most values / 2^64), so that there is no
table that could leak. What is false, or decides anything, is no free choice: `problems` refuses such slots.

The test needs only the sampled answers: for each slot that was seen, the rank of the key's value among all values by how
much more often the suspect says it than the reference. Under H0 every rank is uniform and all are independent, so the
law of their sum is a convolution, and p is exact.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from excise.audit import prf

if TYPE_CHECKING:
    from excise.audit.prf import U64, Numbers

CATEGORIES: Final = ("name", "toy-data", "order", "closing")
"""What may be chosen."""
CONTEXTS: Final = ("chat", "story", "example", "list", "letter")
"""Where. Never safety, medicine, law, finance, code semantics, tool arguments or schema fields."""
MOST_VALUES: Final = 64
_UNSAFE = re.compile(
    r"\b(safe|danger|poison|dose|dosage|mg|drug|medic|doctor|diagnos|legal|law|contract|court|tax|invest|loan|password|import|def|return|function|sudo|http)",
    re.IGNORECASE,
)


class Slot(msgspec.Struct, frozen=True):
    """A place of free choice: what is chosen, where, and between which values, all equally true and fit."""

    id: str
    category: str
    contexts: tuple[str, ...]
    values: tuple[str, ...]


def problems(slots: Sequence[Slot]) -> tuple[str, ...]:
    """Why these slots may not be used; nothing where they may. A machine cannot see every false fact: a person reads them."""
    said = []
    for slot in slots:
        if slot.category not in CATEGORIES:
            said.append(f"slot {slot.id!r}: category {slot.category!r} is none of {', '.join(CATEGORIES)}")
        if not slot.contexts or not set(slot.contexts) <= set(CONTEXTS):
            said.append(f"slot {slot.id!r}: contexts are some of {', '.join(CONTEXTS)}")
        folded = {value.casefold().strip() for value in slot.values}
        if not 2 <= len(slot.values) <= MOST_VALUES or len(folded) < len(slot.values) or "" in folded:
            said.append(f"slot {slot.id!r}: 2 to {MOST_VALUES} values, all different")
        said += [
            f"slot {slot.id!r}: {value!r} looks like safety, medicine, law, money or code"
            for value in slot.values
            if _UNSAFE.search(value)
        ]
    if len({slot.id for slot in slots}) < len(slots):
        said.append("two slots share an id")
    return tuple(said)


def assigned(key: bytes, slot: Slot) -> int:
    """The place of the value that `key` chooses."""
    return int(prf.draws(key, _tuples([slot]))[0] % np.uint64(len(slot.values)))


def _tuples(slots: Sequence[Slot]) -> U64:
    """A slot's tuple, of the hash of its id. Keys of this purpose mark nothing else, so none can be met by a token."""
    out = np.zeros((len(slots), 3), np.uint64)
    for place, slot in enumerate(slots):
        digest = hashlib.blake2b(slot.id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        out[place, 1:] = np.frombuffer(digest, "<u8")
    return out


@dataclass(frozen=True, slots=True)
class Ranks:
    """For each slot that the suspect used, its tuple and the rank (from 1, best first) of each of its values."""

    tuples: U64
    ranks: tuple[npt.NDArray[np.int64], ...]

    def total(self, key: bytes) -> int:
        """The sum of the ranks of what `key` chooses; small speaks for the key."""
        drawn = prf.draws(key, self.tuples)
        return sum(int(r[int(d % np.uint64(len(r)))]) for r, d in zip(self.ranks, drawn, strict=True))

    def p(self, total: int) -> float:
        """P(sum of ranks <= total) for a key that had no part in it: exact."""
        law = np.ones(1)
        for ranks in self.ranks:
            law = np.convolve(law, np.full(len(ranks), 1.0 / len(ranks)))
        return min(1.0, float(law[: total - len(self.ranks) + 1].sum())) if self.ranks else 1.0

    @property
    def chance(self) -> tuple[float, float]:
        """Mean and standard deviation of the sum for a key that had no part in it."""
        sizes = np.array([len(r) for r in self.ranks], float)
        return float(((sizes + 1) / 2).sum()), float(np.sqrt(((sizes**2 - 1) / 12).sum()))


def ranked(slots: Sequence[Slot], suspect: Sequence[str], reference: Sequence[str], seed: bytes) -> Ranks:
    """Rank every slot's values by the suspect's rate an answer less the reference's; ties by `seed`, which no key enters."""
    used, ranks = [], []
    for slot in slots:
        said, before = counts(slot, suspect), counts(slot, reference)
        if not said.any():
            continue
        excess = said / len(suspect) - (before / len(reference) if reference else 0.0)
        by_lot = np.argsort(
            np.frombuffer(hashlib.shake_128(seed + slot.id.encode()).digest(8 * len(said)), "<u8")
        )
        order = by_lot[np.argsort(-excess[by_lot], kind="stable")]
        rank = np.empty(len(said), np.int64)
        rank[order] = np.arange(1, len(said) + 1)
        used.append(slot)
        ranks.append(rank)
    return Ranks(_tuples(used), tuple(ranks))


def counts(slot: Slot, texts: Sequence[str]) -> Numbers:
    """In how many of `texts` each value stands as words of its own."""
    found = np.zeros(len(slot.values))
    patterns = [re.compile(rf"(?<!\w){re.escape(value)}(?!\w)") for value in slot.values]
    for text in texts:
        found += [bool(pattern.search(text)) for pattern in patterns]
    return found
