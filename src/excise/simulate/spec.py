"""What a world is made of: the user's choices, and the populations as a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from excise.errors import UsageError

DAY: Final = 86_400.0
BASE: Final = 1_767_225_600
"""Worlds begin on 2026-01-01, 00:00 UTC (seconds since 1970)."""
KINDS: Final = (
    "selfinstruct", "cot", "backrational", "grading", "agentic", "coding", "safety", "tracecleaning", "blockreplay",
    "filterprobe", "relay_mixed", "serve_harvest",
)  # fmt: skip
_PART: Final = re.compile(r"([0-8])(?:-([0-8]))?")
CAPABILITY: Final = {
    "selfinstruct": "data-generation", "cot": "reasoning", "backrational": "reasoning", "grading": "grading",
    "agentic": "agentic", "coding": "coding", "safety": "safety", "tracecleaning": "reasoning", "blockreplay": "reasoning",
    "filterprobe": "reasoning", "relay_mixed": "reasoning", "serve_harvest": "other",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """A world to make. `levels`: ladder levels (0 to 8) that its campaigns take in turn, empty for none.

    `correlation`: how strongly a campaign's layers hide or show together (0: each by itself, 1: all alike).
    """

    exchanges: int = 60_000
    seed: int = 1
    levels: tuple[int, ...] = (0, 1, 2, 3, 4)
    accounts: int = 0
    campaigns: int = 0
    days: int = 21
    bad_share: float = 0.015
    correlation: float = 0.3
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        """Refuse what no world can be made of. Raises UsageError."""
        for good, name, hint in (
            (self.exchanges >= 1000, "exchanges", "at least 1000"),
            (self.seed >= 0, "seed", "0 or more"),
            (
                self.accounts == 0 or self.accounts >= 100,
                "accounts",
                "at least 100, or 0 for one an 11 exchanges",
            ),
            (5 <= self.days <= 365, "days", "from 5 to 365"),
            (0 <= self.bad_share <= 0.2, "bad_share", "from 0 to 0.2"),
            (0 <= self.correlation <= 1, "correlation", "from 0 to 1"),
            (all(0 <= level <= 8 for level in self.levels), "levels", "from 0 to 8"),
            (self.campaigns >= 0, "campaigns", "0 or more"),
        ):
            if not good:
                raise UsageError(f"{name} of {getattr(self, name)} makes no world", hint=f"{name}: {hint}")
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise UsageError(
                f"unknown kind of campaign: {', '.join(unknown)}", hint=f"known are {', '.join(KINDS)}"
            )
        if self.campaign_count() * 16 > self.account_count():
            raise UsageError(
                f"{self.campaign_count()} campaigns do not fit {self.account_count()} accounts",
                hint="a campaign needs 16 accounts around it at least: ask for more accounts or exchanges, or for fewer campaigns",
            )

    def account_count(self) -> int:
        """Return the number of accounts; by default one for 11 exchanges."""
        return self.accounts or max(300, self.exchanges // 11)

    def campaign_count(self) -> int:
        """Return the number of campaigns; by default one for 20 bad accounts, and each level at least once."""
        if not self.levels:
            return 0
        return self.campaigns or max(len(self.levels), round(self.account_count() * self.bad_share / 20))


@dataclass(frozen=True, slots=True)
class WorldSummary:
    """What was written."""

    exchanges: int
    accounts: int
    bad_accounts: int
    campaigns: int
    harvest_exchanges: int


def parse_levels(text: str) -> tuple[int, ...]:
    """Read `none`, `3`, `0-4` or `0,3,6`. Raises UsageError."""
    if text == "none":
        return ()
    parts = [_PART.fullmatch(part) for part in text.split(",")]
    ends = [(int(m[1]), int(m[2] or m[1])) for m in parts if m]
    if not all(parts) or any(low > high for low, high in ends):
        raise UsageError(
            f"`{text}` is no level",
            hint="write a level from 0 to 8, a range such as 0-4, a list such as 0,3,6, or none",
        )
    return tuple(dict.fromkeys(level for low, high in ends for level in range(low, high + 1)))
