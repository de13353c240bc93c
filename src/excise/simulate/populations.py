"""The honest customers of a world, as a table: who they are, how much they send, and what they share without being one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Population:
    """Honest customers of one sort.

    share: of the accounts. volume, sigma: median and log-spread of an account's exchanges. text: symbol of what they
    send. prompt: where the system prompt comes from (see `benign`). turns: mean length of a conversation. arrival:
    human, machine, batch. network: home, cloud, office, vpn, vendor. group: sizes of groups that share what `shares`
    names (owner, org, card, mail, network, prompt, client, items, devices, sessions, term). declares: share of the
    accounts that have declared what `declared` says.
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
    declares: float = 1.0
    programme: str | None = None
    client: str = "sdk"
    verified: float = 0.3
    refused: float = 0.004


def _shares(text: str) -> frozenset[str]:
    return frozenset(text.split())


POPULATIONS: Final = (
    Population("chat", 0.4, 5, 1.1, "chat", prompt="personal", turns=3.0, client="browser"),
    Population("hobby_api", 0.1, 10, 1.2, "chat", prompt="own", turns=1.4, arrival="machine"),
    Population("agent_user", 0.12, 14, 1.2, "turn", prompt="agent", turns=6.0, client="cli"),
    Population("byok_saas", 0.06, 9, 1.0, "support", prompt="group", turns=1.4, network="vendor", group=(5, 60), shares=_shares("prompt client")),
    Population("heavy_app", 0.03, 40, 1.2, "support", prompt="own", turns=1.2, arrival="machine", network="cloud"),
    Population("eval_harness", 0.012, 45, 0.9, "item", prompt="eval", arrival="batch", network="cloud"),
    Population("batch_labeler", 0.015, 50, 1.0, "label", prompt="label", arrival="batch", network="cloud"),
    Population("judge_user", 0.012, 40, 1.0, "judged", prompt="judge", arrival="batch", network="cloud"),
    Population("synth_own", 0.01, 50, 0.9, "task", prompt="synth", arrival="batch", network="cloud", group=(1, 6), shares=_shares("owner org card mail prompt")),
    Population("synth_licensed", 0.002, 120, 0.7, "task", prompt="synth", arrival="machine", network="cloud", declared="licensed-distiller", verified=1.0),
    Population("class_cohort", 0.05, 5, 0.8, "assignment", prompt="class", turns=2.6, network="office", group=(25, 120), shares=_shares("mail network prompt term"), programme="education", client="browser"),
    Population("hackathon", 0.03, 6, 0.9, "code", prompt="hack", turns=2.5, network="office", group=(15, 80), shares=_shares("network prompt term")),
    Population("ci_fleet", 0.02, 14, 0.8, "code", prompt="ci", arrival="batch", network="cloud", group=(10, 60), shares=_shares("owner org card mail network prompt client items"), verified=1.0),
    Population("enterprise_nat", 0.04, 8, 1.1, "document", prompt="group", turns=2.0, network="office", group=(30, 150), shares=_shares("owner org card mail network"), verified=1.0),
    Population("reseller_declared", 0.001, 150, 0.8, "chat", prompt="many", turns=2.5, network="cloud", declared="reseller", verified=1.0),
    Population("reseller_undeclared", 0.004, 90, 0.8, "chat", prompt="many", turns=2.5, network="cloud"),
    Population("relay_pool_honest", 0.006, 50, 0.7, "chat", prompt="many", turns=3.0, network="cloud", group=(8, 40), shares=_shares("devices sessions")),
    Population("red_team", 0.005, 30, 0.9, "probe", prompt="red", turns=1.3, arrival="batch", network="cloud", declared="evaluator", declares=0.4, verified=0.6, refused=0.5),
    Population("vpn_user", 0.03, 6, 1.1, "chat", prompt="personal", turns=3.0, network="vpn", client="browser"),
    Population("free_trial", 0.035, 3, 0.7, "short", turns=2.0, client="browser"),
    Population("family_plan", 0.012, 8, 0.9, "chat", turns=3.0, network="office", group=(2, 5), shares=_shares("card network"), client="browser"),
    Population("support_bot", 0.012, 30, 1.2, "support", prompt="own", turns=2.5, arrival="machine", network="cloud"),
    Population("translation_bureau", 0.006, 25, 0.9, "translate", arrival="batch", network="office"),
)  # fmt: skip
