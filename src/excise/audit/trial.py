"""One test of one key: of tokens by the contrast, of keyed free choices by their ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from excise.audit import prf, sequential, statistic
from excise.audit.marks import KINDS, choices
from excise.audit.statistic import Contrast, Published
from excise.audit.tokens import Counts, counted

if TYPE_CHECKING:
    from excise.audit.marks.choices import Ranks, Slot
    from excise.audit.plan import Plan
    from excise.audit.prf import U64, Numbers


@dataclass(frozen=True, slots=True)
class Spoken:
    """What somebody said: distinct tuples, and the texts themselves for what is not a matter of tokens."""

    counts: Counts
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """The statistic of one key, log10 of the bound of its p, how many coins it rests on, and the test to set beside it."""

    z: float
    log10_p: float
    units: int
    beside: Published


class Trial(Protocol):
    """A test. `under` gives the statistic of `tell` under each of many keys, (k x 2 words), shape (k,)."""

    def tell(self, said: Spoken, key: bytes) -> Told:
        """Test one key."""
        ...

    def under(self, said: Spoken, keys: U64) -> Numbers:
        """The statistic under each of `keys`."""
        ...

    def log10_e(self, looks: Sequence[Spoken], key: bytes) -> float:
        """The e-value over growing looks, log10; 0 where the test has none."""
        ...


def trial_of(purpose: str, plan: Plan, reference: Spoken, seed: bytes) -> Trial:
    """The test for keys of `purpose`."""
    if purpose == "choices":
        return Choices(plan.slots, reference, seed)
    return Tokens(KINDS[purpose], reference)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The contrast of `statistic`."""

    kind: int
    reference: Spoken

    def tell(self, said: Spoken, key: bytes) -> Told:
        """See `Trial`."""
        z = statistic.z_of(statistic.contrast(said.counts, self.reference.counts), key, self.kind)
        beside = statistic.published(said.counts, key, self.kind)
        return Told(z, statistic.log10_bound(z), len(said.counts.tuples), beside)

    def under(self, said: Spoken, keys: U64) -> Numbers:
        """See `Trial`. O(keys x distinct tuples)."""
        found = statistic.contrast(said.counts, self.reference.counts)
        return prf.contrasts(keys, found.tuples, found.weights, self.kind)

    def log10_e(self, looks: Sequence[Spoken], key: bytes) -> float:
        """Each tuple enters at the look in which it is first said, with the weight that it has there."""
        known, parts = counted(()), [np.empty(0)]
        for look in looks:
            found = statistic.contrast(look.counts, self.reference.counts)
            fresh = ~_among(known, found.tuples) & _among(look.counts, found.tuples)
            scores = prf.scores(prf.draws(key, found.tuples[fresh]), self.kind)
            parts.append(found.weights[fresh] * scores)
            known = look.counts
        scale = math.sqrt(max(1_000, len(self.reference.counts.tuples)))
        return sequential.log10_e_value(np.concatenate(parts), scale)


@dataclass(frozen=True, slots=True)
class Weights:
    """The contrast of `reading`: probabilities instead of answers, so one look and nothing to count."""

    kind: int
    found: Contrast

    def tell(self, key: bytes) -> Told:
        """Test one key. Beside it stands the mark's published test of what the suspect is likelier to say, each pair once."""
        z = statistic.z_of(self.found, key, self.kind)
        raised = self.found.tuples[self.found.weights > 0.0]
        beside = statistic.published(Counts(raised, np.ones(len(raised))), key, self.kind)
        return Told(z, statistic.log10_bound(z), len(self.found.tuples), beside)

    def under(self, keys: U64) -> Numbers:
        """The statistic under each of `keys`. O(keys x pairs)."""
        return prf.contrasts(keys, self.found.tuples, self.found.weights, self.kind)

    def log10_e(self, key: bytes) -> float:
        """The e-value; its bets are in units of ||w||, in which no key has a part."""
        scores = prf.scores(prf.draws(key, self.found.tuples), self.kind)
        return sequential.log10_e_value(
            self.found.weights * scores, float(np.linalg.norm(self.found.weights))
        )


def _among(known: Counts, tuples: U64) -> npt.NDArray[np.bool_]:
    """For each of `tuples` (distinct), whether it is one of the known ones."""
    every = np.concatenate([known.tuples, tuples])
    order = np.lexsort(every.T[::-1])
    ordered = every[order]
    same = np.zeros(len(every), np.bool_)
    same[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
    found = np.empty(len(every), np.bool_)
    found[order] = same
    return found[len(known.tuples) :]


@dataclass(frozen=True, slots=True)
class Choices:
    """The sum of ranks of `marks.choices`; z is how many standard deviations it lies below its mean, p is exact."""

    slots: tuple[Slot, ...]
    reference: Spoken
    seed: bytes

    def tell(self, said: Spoken, key: bytes) -> Told:
        """See `Trial`."""
        ranks = self._ranks(said)
        total = ranks.total(key)
        p, units = ranks.p(total), len(ranks.ranks)
        mean = total / units if units else 0.0
        by_chance = ranks.chance[0] / units if units else 0.0
        beside = Published(f"mean rank of the key's values, {by_chance:.4g} by chance", p, units, mean)
        return Told(_z(ranks, total), math.log10(p) if p > 0.0 else -300.0, units, beside)

    def under(self, said: Spoken, keys: U64) -> Numbers:
        """See `Trial`. O(keys x slots)."""
        ranks = self._ranks(said)
        return np.array([_z(ranks, ranks.total(key.tobytes())) for key in keys])

    def log10_e(self, looks: Sequence[Spoken], key: bytes) -> float:  # noqa: ARG002  one interface
        """There is none."""
        return 0.0

    def _ranks(self, said: Spoken) -> Ranks:
        return choices.ranked(self.slots, said.texts, self.reference.texts, self.seed)


def _z(ranks: Ranks, total: int) -> float:
    mean, deviation = ranks.chance
    return (mean - total) / deviation if deviation > 0.0 else 0.0
