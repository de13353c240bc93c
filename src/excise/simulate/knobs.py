"""What a campaign hides at each level of the ladder, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from excise.simulate.spec import WorldSpec

RELAYS: Final = ("relay_mixed", "serve_harvest")
_STEP: Final = 0.15
"""Chance that a layer is hidden a step worse than the level says, and that it is hidden a step better."""
_COVER: Final = (
    (0.0, 0.0),
    (0.0, 0.0),
    (0.0, 0.1),
    (0.0, 0.1),
    (0.1, 0.3),
    (0.3, 0.5),
    (0.5, 0.9),
    (0.5, 0.9),
    (0.5, 0.9),
)
"""Range of the share of a campaign's traffic that is cover, by level."""  # fmt: skip
_CUSTOMERS: Final = (0.3, 0.7)
"""The same for the genuine customers of a relay with a harvest inside, at any level."""
DAILY: Final = 5
"""The most that an account harvests in a day from level 7 on (threat model, ladder)."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """One campaign. `account`, `time`, `content`: how well each layer hides, as a level of the ladder.

    size: accounts. per_account: mean harvest of one. cover: share of the traffic that is not harvest. copies: how often a
    prompt is asked, over all accounts. personas: wrappers with formats of their own. as_system: the wrapper is the system prompt.
    """

    kind: str
    account: int
    time: int
    content: int
    level: int
    size: int
    per_account: float
    cover: float
    copies: int
    personas: int
    as_system: bool

    @property
    def relay(self) -> bool:
        """Whether the accounts sit behind relay software, which shows its own headers and its customers' devices."""
        return self.account == 3 or self.kind in RELAYS


def draw_knobs(rng: np.random.Generator, spec: WorldSpec, kind: str, level: int) -> Knobs:
    """Draw a campaign of a level. A layer wanders by a step at most, with the others as far as `correlation` says."""
    common = rng.random()

    def layer() -> int:
        luck = common if rng.random() < spec.correlation else rng.random()
        step = int(luck > 1 - _STEP) - int(luck < _STEP)
        return level if level == 0 else min(8, max(1 if level < 4 else 4, level + step))

    cover = rng.uniform(*(_CUSTOMERS if kind == "relay_mixed" else _COVER[level]))
    return Knobs(
        kind=kind, account=layer(), time=layer(), content=layer(), level=level,
        size=int(rng.integers(1, 3)) if level == 0 else _size(rng, spec),
        per_account=_per_account(rng, spec, level), cover=float(cover),
        copies=int(rng.choice([1, 2, 4])) if 2 <= level <= 6 else 1,
        personas=int(rng.integers(3, 6)) if level >= 7 else 1,
        as_system=bool(rng.random() < 0.3),
    )  # fmt: skip


def _size(rng: np.random.Generator, spec: WorldSpec) -> int:
    """Accounts of a campaign: heavy-tailed around what the share of bad accounts leaves for each."""
    small = sum(level == 0 for level in spec.levels) / len(spec.levels)
    larger = max(1.0, spec.campaign_count() * (1 - small))
    mean = max(10.0, spec.account_count() * spec.bad_share / larger)
    return int(np.clip(mean * rng.lognormal(-0.08, 0.4), 8, 200))


def _per_account(rng: np.random.Generator, spec: WorldSpec, level: int) -> float:
    if level == 0:
        return 120.0
    if level >= 7:
        return DAILY * spec.days * 0.5
    return float(rng.uniform(25, 60))
