"""From likeness to a lead: which family stands out for the suspect, and whether it does so for strangers too.

Likeness has no valid null as evidence: models with the same base, the same public data or the same plainness are alike.
So it is only ranked, and held against what strangers show: teachers whose own vendor is taken out of the panel, and
controls. A family is a lead where the suspect stands nearer to it than every stranger does; otherwise none is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from excise.audit.lineage.panel import Panel

RESAMPLES: Final = 200
_SEED: Final = 20_260_401

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """A family as the suspect's teacher. `score` is how far its nearest member stands out from the other families.

    In standard deviations of the likeness between strangers' answers, averaged over prompts; `strangers` are the same
    figure for models that it did not teach, by name, highest first.
    """

    family: str
    vendor: str
    nearest: str
    score: float
    strangers: tuple[tuple[str, float], ...]

    @property
    def highest(self) -> float:
        """The highest score of a stranger."""
        return self.strangers[0][1]

    @property
    def beyond(self) -> bool:
        """Whether the suspect stands nearer than every stranger."""
        return self.score > self.highest


@dataclass(frozen=True, slots=True)
class Ranked:
    """Families from the nearest on. `lead` is the nearest if it is beyond every stranger, else empty: none of these.

    `shares` says how many resamples of the prompts end with which lead, 0 to 1, most first; they show which families
    these prompts cannot tell apart, and nothing of what other prompts would show.
    """

    standings: tuple[Standing, ...]
    lead: str
    shares: tuple[tuple[str, float], ...]


def rank(panel: Panel, alike: Numbers) -> Ranked:
    """Rank the families for the suspect, the last model of `alike` (prompts, models, teachers).

    Models are the teachers in their order, the controls, and the suspect.
    """
    standings = _standings(panel, alike.mean(axis=0))
    rng = np.random.default_rng(_SEED)
    picks = (rng.integers(len(alike), size=len(alike)) for _ in range(RESAMPLES))
    leads = Counter(_lead(_standings(panel, alike[pick].mean(axis=0))) for pick in picks)
    shares = sorted(((name, n / RESAMPLES) for name, n in leads.items()), key=lambda one: (-one[1], one[0]))
    return Ranked(standings, _lead(standings), tuple(shares))


def _lead(standings: Sequence[Standing]) -> str:
    return standings[0].family if standings[0].beyond else ""


def _standings(panel: Panel, mean: Numbers) -> tuple[Standing, ...]:
    count = len(panel.teachers)
    vendors = np.array([t.vendor for t in panel.teachers])
    strange = vendors[:, None] != vendors[None, :]
    adjusted = standardised(mean, strange)
    scores = [
        family_scores(panel, adjusted[i], without=panel.teachers[i].vendor if i < count else "")
        for i in range(len(mean))
    ]
    names = [m.name for m in (*panel.teachers, *panel.controls)]
    out = []
    for family in panel.families:
        strangers = sorted(
            ((name, score[family]) for name, score in zip(names, scores, strict=False) if family in score),
            key=lambda one: -one[1],
        )
        members = [i for i, t in enumerate(panel.teachers) if t.family == family]
        nearest = max(members, key=lambda i: float(adjusted[-1, i]))
        out.append(
            Standing(
                family,
                panel.vendor_of(family),
                panel.teachers[nearest].name,
                scores[-1][family],
                tuple(strangers),
            )
        )
    return tuple(sorted(out, key=lambda s: -s.score))


def standardised(mean: Numbers, strange: npt.NDArray[np.bool_]) -> Numbers:
    """Mean likeness (models, teachers) without what a teacher has in common with everybody, in deviations among strangers.

    An additive model (a level for each of both) is fitted by least squares to pairs of teachers that are `strange`
    (teachers, teachers) to each other, so that kinship neither shifts nor widens it.
    """
    teachers = len(strange)
    cells = np.where(strange, mean[:teachers], 0.0)
    n = strange.sum(axis=1)
    rows, columns = cells.sum(axis=1) / n, np.zeros(teachers)
    for _ in range(500):
        columns = (cells.sum(axis=0) - np.where(strange, rows[:, None], 0.0).sum(axis=0)) / strange.sum(
            axis=0
        )
        columns -= columns.mean()
        moved = (cells.sum(axis=1) - np.where(strange, columns[None, :], 0.0).sum(axis=1)) / n
        rows, change = moved, np.abs(moved - rows).max()
        if change < 1e-12:
            break
    left = (mean[:teachers] - rows[:, None] - columns[None, :])[strange]
    return (mean - columns[None, :]) / max(float(left.std()), 1e-12)


def family_scores(panel: Panel, row: Numbers, without: str) -> dict[str, float]:
    """How far the nearest member of each family stands out from the median of the other families' nearest members.

    Families of the vendor `without` are left out, for a teacher that is its own vendor's.
    """
    nearest: dict[str, float] = {}
    for teacher, value in zip(panel.teachers, row, strict=True):
        if teacher.vendor != without:
            nearest[teacher.family] = max(nearest.get(teacher.family, -np.inf), float(value))
    return {
        family: value - float(np.median([v for f, v in nearest.items() if f != family]))
        for family, value in nearest.items()
    }
