"""The judgement of one cluster: what is claimed of it, how surely, and of whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from excise.judge.facts import Facts
from excise.judge.fuse import Fused, FuseSettings, fuse
from excise.judge.innocent import SECOND, Case, explain_away
from excise.model.findings import Evidence, Innocent, Verdict
from excise.stats.tails import sigmoid

MOST_SURE: Final = 0.99
"""Highest confidence: rarer errors could not be seen in the worlds that it was checked on."""

_KINDRED: Final = "kindred"
"""Detector that says nothing of a pool: two of them serve customers of one product."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`harvest`, `relay`: the fused evidence for each claim. `confidence`: of the verdict, 0 to 1. `serves`: a relay may be claimed."""

    verdict: Verdict
    confidence: float
    harvest: Fused
    relay: Fused
    innocent: tuple[Innocent, ...]
    serves: bool = False

    def as_relay(self) -> Judgement:
        """Return the claim of a relay, where that of a harvest is about nobody."""
        return replace(self, verdict="relay", confidence=_relaying(self.relay))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The evidence that the verdict rests on, as it counted, then the other."""
        first, second = (self.relay, self.harvest) if self.verdict == "relay" else (self.harvest, self.relay)
        seen = {e.detector for e in first.evidence}
        return first.evidence + tuple(e for e in second.evidence if e.detector not in seen)

    def without_claim(self, share: float) -> Judgement:
        """Return the same without an accusation: what speaks for one is about `share` of the members only."""
        return replace(self, verdict="undetermined", confidence=round(self.confidence * min(share, 0.5), 4))


def judge(
    evidence: Sequence[Evidence],
    relays: frozenset[str],
    facts: Facts,
    available: frozenset[str],
    prior: float,
    settings: FuseSettings,
) -> Judgement:
    """Weigh the evidence, test the innocent explanations, and say what may be said.

    `relays` are the detectors that speak for a relay: of accounts in one hand, but with many customers. Where the traffic is
    uniform, and not for its products' system prompts (unless most of it is: one customer), there are no
    customers to see, and the common hand counts for a harvest; a relay's signature never does. A harvest needs two independent layers or a deterministic one
    beside wrapped requests (without these, a deterministic one beside common times, or beside the content of all that they ask,
    where no conversation changes accounts), and no likely innocent explanation; a relay needs conversations that change accounts. What a
    relay's accounts are paid with, when they were opened and which blocks they carry on is the relay's: behind one, a harvest is told
    by texts of its own, or the requests are its customers', who are other pools' customers as well.
    """
    products = facts.in_system >= settings.uniform
    uniform = facts.wrapped_share >= (settings.one_customer if products else settings.uniform)
    pooled = any(e.detector in relays and e.log_odds >= settings.layer_least for e in evidence)
    said = [
        e
        for e in evidence
        if (e.detector not in relays or (uniform and e.layer != "deterministic"))
        and not (pooled and e.detector == _KINDRED)
    ]
    harvest = fuse(said, prior + _life_of_two(said, settings), settings)
    relay = fuse([e for e in evidence if e.detector in relays], settings.relay_prior, settings)
    innocent = explain_away(Case(facts, harvest, available))
    likely = any(i.verdict == "likely" for i in innocent)
    deterministic = harvest.layers.get("deterministic", 0.0) >= settings.layer_least
    enough = harvest.independent(settings.layer_least) >= 2 or deterministic
    log_odds = harvest.log_odds - (settings.explained if likely else 0.0)
    confidence = round(min(sigmoid(log_odds), MOST_SURE if enough else 0.5), 4)
    relaying = _relaying(relay)
    served = relaying >= settings.accuse and not _owned(innocent)
    in_time, in_content = (
        harvest.layers.get(layer, 0.0) >= settings.layer_least for layer in ("time", "content")
    )
    alone = "sessions" in available and not relay.evidence
    about = facts.wrapped > 0 or (deterministic and (in_time or (in_content and alone)))
    customers = served and not uniform and not _own_texts(harvest, products=products)
    if about and enough and not likely and not customers and confidence >= settings.accuse:
        return Judgement("distillation", confidence, harvest, relay, innocent, served)
    if served:
        return Judgement("relay", relaying, harvest, relay, innocent, served)
    if facts.wrapped and (likely or not enough):
        return Judgement("shared-client", confidence, harvest, relay, innocent)
    return Judgement("undetermined", confidence, harvest, relay, innocent)


def _life_of_two(evidence: Sequence[Evidence], settings: FuseSettings) -> float:
    """Return the log-odds for a group that leads one life beside a kindred one: of few accounts a common life says little, but it is both groups'."""
    said = {e.detector: e.log_odds for e in evidence}
    both = (
        said.get(_KINDRED, 0.0) >= settings.kindred_least
        and said.get("lifecycle", 0.0) >= settings.layer_least
    )
    return settings.kindred_life if both else 0.0


def _relaying(relay: Fused) -> float:
    return round(min(sigmoid(relay.log_odds), MOST_SURE), 4)


def _own_texts(harvest: Fused, *, products: bool) -> bool:
    """Whether the content shows texts that a relay's customers do not explain; prompts in common are explained by `products`."""
    telling = {"multiplicity", "echo"} if products else {"multiplicity", "echo", "shared-wrapper"}
    return any(e.detector in telling and e.log_odds >= SECOND for e in harvest.evidence)


def _owned(innocent: Sequence[Innocent]) -> bool:
    return any(
        i.verdict == "likely"
        and i.name in {"one legal owner with many keys, or its CI fleet", "declared or licensed"}
        for i in innocent
    )
