"""What a world is made of: the user's choices, and the populations as a table."""

from __future__ import annotations

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
    out: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise UsageError(
                f"`{text}` is no level",
                hint="write a level from 0 to 8, a range such as 0-4, a list such as 0,3,6, or none",
            )
        out += range(int(low), int(high or low) + 1)
    if not out or min(out) < 0 or max(out) > 8:
        raise UsageError(f"`{text}` leaves the ladder", hint="levels run from 0 to 8 (docs/simulate.md)")
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Population:
    """Honest customers of one sort.

    share: of the accounts. volume, sigma: median and log-spread of exchanges. text: symbol of what they send. prompt: where
    the system prompt comes from (see `benign`). turns: mean length of a conversation. arrival: human, machine, batch.
    network: home, cloud, office, vpn, vendor. group: sizes of groups that share what `shares` names (owner, card, mail, org,
    network, prompt, client, devices, sessions, term).
    """

    name: str
    share: float
    volume: float
    sigma: float
    text: str
    prompt: str = ""
    turns: float = 1.0
    arrival: str = "human"
    network: str = "home"
    group: tuple[int, int] = (1, 1)
    shares: frozenset[str] = frozenset()
    declared: str | None = None
    programme: str | None = None
    client: str = "sdk"
    verified: float = 0.3
    refused: float = 0.004


def _shares(text: str) -> frozenset[str]:
    return frozenset(text.split())


POPULATIONS: Final = (
    Population("chat", 0.40, 5, 1.1, "chat", "personal", 3.0, client="browser"),
    Population("hobby_api", 0.10, 10, 1.2, "chat", "own", 1.4, "machine"),
    Population("agent_user", 0.12, 14, 1.2, "turn", "agent", 6.0, client="cli"),
    Population(
        "byok_saas",
        0.06,
        9,
        1.0,
        "support",
        "group",
        1.4,
        network="vendor",
        group=(5, 60),
        shares=_shares("prompt client"),
    ),
    Population("heavy_app", 0.03, 40, 1.2, "support", "own", 1.2, "machine", "cloud"),
    Population("eval_harness", 0.012, 45, 0.9, "item", "eval", 1.0, "batch", "cloud"),
    Population("batch_labeler", 0.015, 50, 1.0, "label", "label", 1.0, "batch", "cloud"),
    Population("judge_user", 0.012, 40, 1.0, "judged", "judge", 1.0, "batch", "cloud"),
    Population(
        "synth_own",
        0.01,
        50,
        0.9,
        "task",
        "synth",
        1.0,
        "batch",
        "cloud",
        (1, 6),
        _shares("owner card mail org prompt"),
    ),
    Population(
        "synth_licensed",
        0.002,
        120,
        0.7,
        "task",
        "synth",
        1.0,
        "machine",
        "cloud",
        declared="licensed-distiller",
        verified=1.0,
    ),
    Population(
        "class_cohort",
        0.05,
        5,
        0.8,
        "assignment",
        "class",
        2.6,
        "human",
        "office",
        (25, 120),
        _shares("mail network prompt term"),
        programme="education",
        client="browser",
    ),
    Population(
        "hackathon",
        0.03,
        6,
        0.9,
        "code",
        "hack",
        2.5,
        "human",
        "office",
        (15, 80),
        _shares("network prompt term"),
        client="sdk",
    ),
    Population(
        "ci_fleet",
        0.02,
        14,
        0.8,
        "code",
        "ci",
        1.0,
        "batch",
        "cloud",
        (10, 60),
        _shares("owner card mail org network prompt client items"),
        verified=1.0,
    ),
    Population(
        "enterprise_nat",
        0.04,
        8,
        1.1,
        "document",
        "group",
        2.0,
        "human",
        "office",
        (30, 150),
        _shares("owner card mail org network"),
        verified=1.0,
    ),
    Population(
        "reseller_declared",
        0.001,
        150,
        0.8,
        "chat",
        "",
        2.5,
        "human",
        "cloud",
        declared="reseller",
        verified=1.0,
    ),
    Population("reseller_undeclared", 0.004, 90, 0.8, "chat", "many", 2.5, "human", "cloud"),
    Population(
        "relay_pool_honest",
        0.006,
        50,
        0.7,
        "chat",
        "many",
        3.0,
        "human",
        "cloud",
        (8, 40),
        _shares("devices sessions"),
    ),
    Population(
        "red_team",
        0.005,
        30,
        0.9,
        "probe",
        "red",
        1.3,
        "batch",
        "cloud",
        declared=None,
        verified=0.6,
        refused=0.5,
    ),
    Population("vpn_user", 0.03, 6, 1.1, "chat", "personal", 3.0, "human", "vpn", client="browser"),
    Population("free_trial", 0.035, 3, 0.7, "short", "", 2.0, client="browser"),
    Population(
        "family_plan",
        0.012,
        8,
        0.9,
        "chat",
        "",
        3.0,
        "human",
        "office",
        (2, 5),
        _shares("card network"),
        client="browser",
    ),
    Population("support_bot", 0.012, 30, 1.2, "support", "own", 2.5, "machine", "cloud"),
    Population("translation_bureau", 0.006, 25, 0.9, "translate", "", 1.0, "batch", "office"),
)
