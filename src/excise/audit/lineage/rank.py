"""From likeness and voice to a lead: likeness decides whether there is one, voice names the family.

Likeness has no valid null as evidence: models with the same base, the same public data or the same plainness are alike.
So it is only held against what strangers show: teachers whose own vendor is taken out of the panel, and controls. There is
a lead where the family that stands out most passes its bar: no stranger is as near, and one more draw of them would be as
near with a probability of at most `FALSE_LEADS` over all families, were they normal. Families are ranked by voice, and the
first of them is the lead if its vendor is the one that likeness found; otherwise the two disagree, and none is. So voice
never makes a lead. As the strangers are few and of few makers, how many of them would be given one, each in turn as the
suspect, is counted and shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from excise.audit.lineage.panel import Panel
from excise.stats.tails import student_quantile

RESAMPLES: Final = 200
FALSE_LEADS: Final = 0.05
"""Share of models that nobody of the panel taught which may be given a lead, were they like the strangers."""
FEWEST_STRANGERS: Final = 4
_SEED: Final = 20_260_401

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """A family as the suspect's teacher: by `voice`, and by how far its `nearest` member stands out in likeness.

    `voice` is in nats, a mean over prompts, of which only differences between families mean anything. `score` is in standard
    deviations of the likeness between strangers' answers, averaged over prompts; `strangers` are the same figure for
    models that the family did not teach, by name, highest first.
    """

    family: str
    vendor: str
    voice: float
    nearest: str
    score: float
    strangers: tuple[tuple[str, float], ...]

    bar: float

    @property
    def beyond(self) -> bool:
        """Whether the suspect passes the bar."""
        return self.score > self.bar


@dataclass(frozen=True, slots=True)
class Ranked:
    """Families from the nearest voice on. `lead` is the first if likeness finds its vendor too, else empty: none of these.

    `shares` says how many resamples of the prompts end with which lead, 0 to 1, most first; they show which families
    these prompts cannot tell apart, and nothing of what other prompts would show.
    """

    standings: tuple[Standing, ...]
    lead: str
    shares: tuple[tuple[str, float], ...]
    false_leads: int
    """Of the strangers, each in turn as the suspect and held against the others: how many would be given a lead."""
    strangers: int


def rank(panel: Panel, alike: Numbers, voices: Numbers) -> Ranked:
    """Rank the families for the suspect, the last model of `alike` (prompts, models, teachers).

    Models are the teachers in their order, the controls, and the suspect; `voices` is (prompts, models, families).
    """
    standings = _standings(panel, alike.mean(axis=0), voices[:, -1].mean(axis=0))
    rng = np.random.default_rng(_SEED)
    picks = (rng.integers(len(alike), size=len(alike)) for _ in range(RESAMPLES))
    leads = Counter(
        _lead(_standings(panel, alike[pick].mean(axis=0), voices[pick, -1].mean(axis=0))) for pick in picks
    )
    shares = sorted(((name, n / RESAMPLES) for name, n in leads.items()), key=lambda one: (-one[1], one[0]))
    false, strangers = in_turn(panel, standings, voices.mean(axis=0))
    return Ranked(standings, _lead(standings), tuple(shares), false, strangers)


def likest(standings: Sequence[Standing]) -> Standing:
    """The family that stands out most in likeness."""
    return max(standings, key=lambda s: s.score)


def _lead(standings: Sequence[Standing]) -> str:
    named, found = standings[0], likest(standings)
    return named.family if found.beyond and found.vendor == named.vendor else ""


def in_turn(panel: Panel, standings: Sequence[Standing], voices: Numbers) -> tuple[int, int]:
    """How many strangers would be given a lead, each held against the bars that the others make, and how many there are.

    `voices` is (models, families); a teacher's own vendor is no answer.
    """
    scores: dict[str, dict[str, float]] = {}
    for one in standings:
        for name, score in one.strangers:
            scores.setdefault(name, {})[one.family] = score
    false = 0
    for member, row in zip((*panel.teachers, *panel.controls), voices, strict=False):
        own = scores.get(member.name)
        if not own:
            continue
        family = _most(own)
        named = _most({f: v for f, v in zip(panel.families, row.tolist(), strict=True) if f in own})
        others = [many[family] for name, many in scores.items() if name != member.name and family in many]
        agree = panel.vendor_of(family) == panel.vendor_of(named)
        false += agree and own[family] > bar(others, len(standings))
    return false, len(scores)


def _most(figures: Mapping[str, float]) -> str:
    return max(figures, key=lambda family: figures[family])


def bar(strangers: Sequence[float], families: int) -> float:
    """What the score of one more stranger stays below, with `FALSE_LEADS` over all families; no less than the highest.

    The upper prediction bound of a normal sample, Bonferroni over families; infinite below `FEWEST_STRANGERS`.
    Source: Hahn and Meeker 1991, Statistical Intervals, section 4.8.
    """
    n = len(strangers)
    if n < FEWEST_STRANGERS:
        return math.inf
    spread = float(np.std(strangers, ddof=1)) * math.sqrt(1 + 1 / n)
    return max(*strangers, float(np.mean(strangers)) + _quantile(families, n - 1) * spread)


@cache
def _quantile(families: int, df: int) -> float:
    return student_quantile(1 - FALSE_LEADS / families, df)


def _standings(panel: Panel, mean: Numbers, voices: Numbers) -> tuple[Standing, ...]:
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
    for family, own in zip(panel.families, voices.tolist(), strict=True):
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
                own,
                panel.teachers[nearest].name,
                scores[-1][family],
                tuple(strangers),
                bar([score for _, score in strangers], len(panel.families)),
            )
        )
    return tuple(sorted(out, key=lambda s: (-s.voice, -s.score)))


def standardised(mean: Numbers, strange: npt.NDArray[np.bool_]) -> Numbers:
    """Mean likeness (models, teachers) without what a teacher has in common with everybody, in deviations among strangers.

    An additive model (a level for each of both) is fitted by least squares to pairs of teachers that are `strange`
    (teachers, teachers) to each other, so that kinship neither shifts nor widens it.
    """
    teachers, ones = len(strange), strange.astype(float)
    cells = np.where(strange, mean[:teachers], 0.0)
    normal = np.block([[np.diag(ones.sum(axis=1)), ones], [ones.T, np.diag(ones.sum(axis=0))]])
    levels = np.linalg.lstsq(normal, np.concatenate([cells.sum(axis=1), cells.sum(axis=0)]), rcond=None)[0]
    rows, columns = levels[:teachers], levels[teachers:]
    rows, columns = rows + columns.mean(), columns - columns.mean()
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
