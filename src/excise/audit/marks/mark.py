"""What a mark is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from excise.audit.prf import U64, Numbers


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark as a value.

    `changed` takes probabilities and draws of one shape, (..., vocabulary), and gives the probabilities to sample from.
    `kind` is how a tuple is scored in the test (`prf.BIT`, `prf.UNIFORM`, `prf.LAYERED`).
    `distortion_free`: over a random key, each token keeps its probability; for one key and a repeated context it does not,
    so a generator leaves a context unmarked the second time that it stands in one answer.
    """

    id: str
    kind: int
    distortion_free: bool
    source: str
    costs: str
    broken_by: str
    changed: Callable[[Numbers, U64], Numbers]
