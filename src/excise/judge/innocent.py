"""The benign explanations, each tested on the facts of a cluster: ruled out, possible or likely, and why.

An explanation that is `likely` stops an accusation. One that needs a table which is missing stays `possible`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from excise.judge.facts import Facts
from excise.judge.fuse import Fused
from excise.model.findings import Innocent, InnocentVerdict

MOST: Final = 0.8
"""A property of this share of the members (or exchanges) is the group's, not a few members'."""
SOME: Final = 0.3
FEW_KNOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Case:
    """What a test looks at: the facts, the fused evidence, and which kinds of evidence the input allowed."""

    facts: Facts
    fused: Fused
    available: frozenset[str]

    def shows(self, *detectors: str, least: float = 1.0) -> bool:
        """Return whether one of these detectors found at least this much (nats, as it counted in its layer)."""
        return any(e.detector in detectors and e.log_odds >= least for e in self.fused.evidence)

    def share(self, detector: str) -> float:
        """Return the value that this detector found, 0 where it found nothing."""
        return max((e.value for e in self.fused.evidence if e.detector == detector), default=0.0)


def one_owner(case: Case) -> tuple[InnocentVerdict, str]:
    """One legal owner with many keys, a CI fleet among them."""
    f = case.facts
    if f.owner_known < FEW_KNOWN:
        return "possible", "The owners of the accounts are not known."
    if f.owner >= 0.5:
        return (
            "likely",
            f"{f.owner:.0%} of the {f.owner_known} members whose owner is known belong to one owner.",
        )
    return (
        "ruled-out",
        f"The {f.owner_known} members whose owner is known have different owners; the largest holds {f.owner:.0%} of them.",
    )


def declared(case: Case) -> tuple[InnocentVerdict, str]:
    """A declared reseller or evaluator, or a licensed distiller."""
    f = case.facts
    if "accounts" not in case.available:
        return "possible", "There is no accounts table that would say what is declared."
    if f.declared_share >= SOME:
        return "likely", f"{f.declared_share:.0%} of the members are declared: {', '.join(f.declared)}."
    return "ruled-out", f"{f.declared_share:.0%} of the members are declared; those are never accused of it."


def public_items(case: Case) -> tuple[InnocentVerdict, str]:
    """An evaluation harness: strangers run the same public item set, each at a time of its own."""
    f = case.facts
    in_step = case.share("multiplicity") >= 0.5
    if f.items >= SOME and not in_step and not case.shows("block-replay"):
        return (
            "likely",
            f"{f.items:.0%} of the wrapped requests are texts that other members send too, days apart: a public set of items.",
        )
    if f.items >= SOME / 3:
        return (
            "possible",
            f"{f.items:.0%} of the wrapped requests are texts that other members send too, days apart.",
        )
    return (
        "ruled-out",
        f"The payloads differ: only {f.items:.1%} of the wrapped requests are sent by several members on different days.",
    )


def fixed_prompt_client(case: Case) -> tuple[InnocentVerdict, str]:
    """A popular client or product with a fixed system prompt, used by strangers or under customers' own keys."""
    f = case.facts
    together = case.shows(
        "pivot", "multiplicity", "displacement", "block-replay", "echo", "payment", least=ACT
    )
    if f.one_system >= MOST and not together:
        return (
            "likely",
            f"{f.one_system:.0%} of the wrapped requests carry one system prompt, and nothing but the prompt joins the accounts.",
        )
    if f.one_system >= MOST:
        return (
            "possible",
            f"{f.one_system:.0%} of the wrapped requests carry one system prompt, but the accounts also act together.",
        )
    return (
        "ruled-out",
        f"What is shared is not one program's prompt: the most common system prompt is in {f.one_system:.0%} of the wrapped requests.",
    )


def class_or_hackathon(case: Case) -> tuple[InnocentVerdict, str]:
    """A class, a course or a hackathon: many people, one task, some days, and conversations."""
    f = case.facts
    cohort = f.programme >= 0.5 or f.mail >= 0.5
    together = case.shows("payment", "pivot", "multiplicity", "block-replay", least=ACT)
    if cohort and f.single < MOST and f.active_days <= 14 and not together:
        return (
            "likely",
            f"{max(f.programme, f.mail):.0%} of the members share a programme or a mail domain, and they converse for {f.active_days:.0f} days.",
        )
    if f.active_days <= 14 and f.single < 0.5:
        return "possible", f"The requests are conversations within {f.active_days:.0f} days."
    return (
        "ruled-out",
        f"{f.single:.0%} of the wrapped requests are single shots over {f.active_days:.0f} days, without a common programme or mail domain.",
    )


def red_team(case: Case) -> tuple[InnocentVerdict, str]:
    """Safety testers: much is refused, and the accounts are known."""
    f = case.facts
    if f.refused >= SOME and f.verified >= 0.5:
        return (
            "likely",
            f"{f.refused:.0%} of the requests were refused and {f.verified:.0%} of the members are verified.",
        )
    if f.refused >= SOME:
        return "possible", f"{f.refused:.0%} of the requests were refused, as a red team's are."
    return "ruled-out", f"{f.refused:.1%} of the requests were refused."


def reseller(case: Case) -> tuple[InnocentVerdict, str]:
    """A reseller or relay whose customers are genuine: many end users and products in each account."""
    f = case.facts
    if f.wrapped == 0 or f.users >= 5 or f.prompts >= 8:
        return (
            "possible",
            f"The typical member carries {f.users:.0f} named end users and {f.prompts:.0f} different system prompts.",
        )
    return (
        "ruled-out",
        f"The typical member carries {f.users:.0f} named end users and {f.prompts:.0f} different system prompts: one user's world.",
    )


def batch_labeller(case: Case) -> tuple[InnocentVerdict, str]:
    """A batch job, a labeller or a code-review bot: one template, but of one account."""
    f = case.facts
    if f.members <= 1:
        return "likely", "One account works alone."
    if len(case.fused.layers) <= 1:
        return "possible", "Several accounts use one template, and nothing else joins them."
    return (
        "ruled-out",
        f"{f.members} accounts are joined by {len(case.fused.layers)} kinds of evidence; a batch job needs one account.",
    )


def shared_network(case: Case) -> tuple[InnocentVerdict, str]:
    """A campus, an office, a VPN or a cloud region puts strangers on the same addresses, and so does a product that calls for its customers.

    Such a product gives its customers one network, one rhythm and one prompt, but neither cards nor days of opening.
    It is no such product if the accounts react to releases together, and also ask for training material, follow suspensions, or are opened and gone together.
    """
    if "network" not in case.available:
        return "ruled-out", "Addresses were not looked at, so no evidence rests on them."
    layers = case.fused.layers
    rest = [layer for layer, value in layers.items() if value >= 1.0 and layer != "account"]
    if case.shows("address") and not rest:
        return "likely", "Little but addresses joins the accounts."
    opened = case.shows("payment", "signup", "handover", least=_HELD)
    texts = case.shows("shared-wrapper", "multiplicity", "echo", least=ACT)
    reacts = case.shows("pivot", least=ACT) and case.shows("elicitation", "displacement", "lifecycle")
    if case.shows("address") and "deterministic" not in rest and not (opened or texts or reacts):
        return (
            "likely",
            "One network and one rhythm or program join the accounts, and little else that they send: so does a product that calls with its customers' own keys.",
        )
    return "ruled-out", "The evidence does not rest on addresses; networks of many accounts were left out."


_HELD: Final = 0.15
"""Nats of cards or days of opening from which they hold a group together; less is a few members' doing."""
SECOND: Final = 0.3
"""What 1 nat counts where it is not the strongest of its layer, at the default of `judge.fuse.second`."""


ACT: Final = 2 * SECOND
"""What 2 nats count where they are not the strongest of their layer: accounts that act together are no mere users of one thing."""


EXPLANATIONS: Final[tuple[tuple[str, Callable[[Case], tuple[InnocentVerdict, str]]], ...]] = (
    ("popular client or product with a fixed prompt", fixed_prompt_client),
    ("one legal owner with many keys, or its CI fleet", one_owner),
    ("declared or licensed", declared),
    ("evaluation harness on a public set", public_items),
    ("batch labeller or bot", batch_labeller),
    ("class or hackathon", class_or_hackathon),
    ("honest reseller", reseller),
    ("red team", red_team),
    ("public VPN, campus or office network", shared_network),
)


def explain_away(case: Case) -> tuple[Innocent, ...]:
    """Test every explanation."""
    return tuple(Innocent(name, *test(case)) for name, test in EXPLANATIONS)
