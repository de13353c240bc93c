"""Judge every cluster, then its members, then their exchanges: each on evidence of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from excise.judge.facts import gather_facts
from excise.judge.fuse import FuseSettings, joint_log_odds, size_prior
from excise.judge.harvest import harvest_rows
from excise.judge.members import MemberSettings, Signal, accuse, belong_each, strength_of
from excise.judge.verdict import Judgement, judge
from excise.model.clusters import Clusters
from excise.model.findings import ACCUSING, Evidence
from excise.model.tables import F64, I32, I64, Bool, Traffic

HOLDERS: Final = "holders of wrappers"
"""Name of what `holders` says (`Traffic.ask`)."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Settings of the judgement of clusters (`fuse`) and of members (`member`)."""

    fuse: FuseSettings = field(default_factory=FuseSettings)
    member: MemberSettings = field(default_factory=MemberSettings)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was decided on one cluster.

    `members`: all its accounts; `belonging`: the probability of each; `accused`: those that the verdict is about.
    `harvest`: their exchanges that are judged part of a harvest. `shown`: detectors whose evidence counts.
    """

    cluster: int
    judgement: Judgement
    members: I32
    belonging: F64
    accused: Bool
    harvest: I64
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the detectors say of the clusters: evidence of each, signals of accounts, and exchanges that show a signal."""

    evidence: Sequence[Sequence[Evidence]]
    signals: Mapping[str, Signal]
    rows: Mapping[str, I64]
    relays: frozenset[str]


def decide(traffic: Traffic, clusters: Clusters, found: Findings, settings: JudgeSettings) -> list[Finding]:
    """Return one finding a cluster, no harvest named yet (`name_harvest`). Near-linear in the exchanges of the clusters."""
    facts = gather_facts(traffic, clusters)
    priors = size_prior(clusters.sizes().tolist(), settings.fuse)
    harvesting = traffic.ask(HOLDERS, lambda: holders(traffic, clusters))[0].copy()
    for rows in found.rows.values():
        harvesting[traffic.exchanges.account[rows]] = True
    doubted = np.zeros_like(harvesting)
    for signal in found.signals.values():
        if signal.denied is not None:
            harvesting &= ~signal.denied
        if signal.doubted is not None:
            doubted |= signal.doubted

    def weigh(k: int, prior: float) -> Judgement:
        return judge(found.evidence[k], found.relays, facts[k], traffic.available, prior, settings.fuse)

    judgements = [weigh(k, prior) for k, prior in enumerate(priors)]
    joint = joint_log_odds([j.harvest.layers for j in judgements], clusters.sizes().tolist(), settings.fuse)
    judgements = [
        weigh(k, priors[k] + more) if (more := joint[k] - first.harvest.log_odds) > 0 else first
        for k, first in enumerate(judgements)
    ]
    belonging = _fit(dict(enumerate(judgements)), clusters, found, settings)
    out = []
    for k, judgement in enumerate(judgements):
        finding = _find(k, judgement, traffic, clusters, found, harvesting, doubted, settings, belonging[k])
        if finding.accused.sum() < 2 and judgement.verdict == "distillation" and judgement.serves:
            relay = judgement.as_relay()
            again = _fit({k: relay}, clusters, found, settings)[k]
            finding = _find(k, relay, traffic, clusters, found, harvesting, doubted, settings, again)
        out.append(_claimed(finding))
    return out


def holders(traffic: Traffic, clusters: Clusters) -> tuple[Bool]:
    """Return the accounts with an exchange that holds their cluster's wrapper."""
    which = np.zeros(len(traffic.accounts), np.bool_)
    which[traffic.exchanges.account[clusters.wrapped_rows(traffic.exchanges)]] = True
    return (which,)


def speaking(k: int, judgement: Judgement, found: Findings, settings: JudgeSettings) -> list[Evidence]:
    """Return the evidence on a cluster for what its judgement claims: where that is a relay, also what its accounts have in common as accounts."""
    relay = judgement.verdict == "relay"
    return [
        e
        for e in found.evidence[k]
        if ((e.detector in found.relays) == relay or (relay and e.layer == "account"))
        and e.log_odds >= settings.fuse.layer_least
    ]


def _fit(
    judgements: Mapping[int, Judgement], clusters: Clusters, found: Findings, settings: JudgeSettings
) -> dict[int, F64]:
    """Return, for each of these clusters, how probably each member belongs to what is claimed."""
    cases = []
    for k, judgement in judgements.items():
        members, said = clusters.of(k), speaking(k, judgement, found, settings)
        signals = [found.signals[e.detector] for e in said if e.detector in found.signals]
        cases.append((members, signals, strength_of(members, clusters, settings.member)))
    return dict(zip(judgements, belong_each(cases, settings.member), strict=True))


def _find(
    k: int,
    judgement: Judgement,
    traffic: Traffic,
    clusters: Clusters,
    found: Findings,
    harvesting: Bool,
    doubted: Bool,
    settings: JudgeSettings,
    belonging: F64,
) -> Finding:
    """Say whom of a cluster its judgement is about, by the evidence for what it claims."""
    members, relay = clusters.of(k), judgement.verdict == "relay"
    declared = traffic.accounts.declared[members] > 0
    may = (harvesting[members] | relay) & ~declared
    accused = accuse(
        members,
        declared,
        may & (judgement.verdict in ACCUSING),
        speaking(k, judgement, found, settings),
        clusters,
        found.signals,
        settings.member,
        belonging,
        doubted[members],
        sure=judgement.confidence >= settings.member.sure or relay,
        relay=relay,
    )
    shown = tuple(e.detector for e in judgement.evidence if e.log_odds > 0)
    return Finding(k, judgement, members, belonging, accused, np.zeros(0, np.int64), shown)


def _claimed(finding: Finding) -> Finding:
    """A verdict that accuses needs two accounts that it is about; else nothing is claimed."""
    judgement, accused = finding.judgement, finding.accused
    if judgement.verdict in ACCUSING and accused.sum() < 2:
        judgement = judgement.without_claim(float(accused.mean()))
    if judgement.verdict not in ACCUSING:
        accused = np.zeros(len(accused), np.bool_)
    return replace(finding, judgement=judgement, accused=accused)


def name_harvest(
    traffic: Traffic, clusters: Clusters, signals: Mapping[str, I64], findings: Sequence[Finding]
) -> list[Finding]:
    """Return the findings with the exchanges of their accused accounts that are part of a harvest; `signals` as `Findings.rows`."""
    telling = np.zeros(len(traffic.exchanges), np.bool_)
    for rows in (clusters.wrapped_rows(traffic.exchanges), *signals.values()):
        telling[rows] = True
    accused, asking = accused_of(findings, len(traffic.accounts))
    rows = harvest_rows(traffic, clusters, np.flatnonzero(telling), accused, asking)
    return with_harvest(findings, clusters, traffic.exchanges.account[rows], rows)


def accused_of(findings: Sequence[Finding], accounts: int) -> tuple[Bool, Bool]:
    """Return which accounts are accused, and which of them for a harvest alone: what they ask for is theirs, not customers'."""
    accused, asking = np.zeros((2, accounts), np.bool_)
    for f in findings:
        accused[f.members[f.accused]] = True
        asking[f.members[f.accused]] = f.judgement.verdict == "distillation" and not f.judgement.serves
    return accused, asking


def with_harvest(findings: Sequence[Finding], clusters: Clusters, account: I32, rows: I64) -> list[Finding]:
    """Return the findings with their part of these exchanges, of these accounts."""
    label = clusters.label[account]
    rows, label = rows[np.argsort(label, kind="stable")], np.sort(label, kind="stable")
    starts = np.searchsorted(label, np.arange(len(clusters) + 1))
    return [replace(f, harvest=rows[starts[f.cluster] : starts[f.cluster + 1]]) for f in findings]
