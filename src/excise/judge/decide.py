"""Judge every cluster, then its members, then their exchanges: each on evidence of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from excise.judge.facts import gather_facts
from excise.judge.fuse import FuseSettings, size_prior
from excise.judge.harvest import harvest_rows
from excise.judge.members import MemberSettings, Signal, belong
from excise.judge.verdict import Judgement, judge
from excise.model.clusters import Clusters
from excise.model.findings import ACCUSING, Evidence
from excise.model.tables import F64, I32, I64, Bool, Traffic


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
    """Return one finding a cluster. Near-linear in the exchanges of the clusters."""
    facts = gather_facts(traffic, clusters)
    priors = size_prior(clusters.sizes().tolist(), settings.fuse)
    telling = _telling_rows(traffic, clusters, found)
    wrapped = np.bincount(traffic.exchanges.account[telling], minlength=len(traffic.accounts)) > 0
    out = []
    for k in range(len(clusters)):
        judgement = judge(
            found.evidence[k], found.relays, facts[k], traffic.available, priors[k], settings.fuse
        )
        shown = tuple(e.detector for e in judgement.evidence if e.log_odds > 0)
        members = clusters.of(k)
        relay = judgement.verdict == "relay"
        speaking = [
            e
            for e in found.evidence[k]
            if (e.detector in found.relays) == relay and e.log_odds >= settings.fuse.layer_least
        ]
        declared = traffic.accounts.declared[members] > 0
        belonging, own = _membership(members, declared, speaking, clusters, found.signals, settings.member)
        accused = (belonging >= settings.member.least) & own & ~declared
        accused &= wrapped[members] | (judgement.verdict == "relay")
        if accused.sum() < settings.member.least_share * len(
            members
        ):  # mostly strangers: one signal may be chance
            accused &= _layers_shown(members, speaking, found.signals) >= 2
        likely = (belonging >= settings.member.least) & wrapped[members] & ~declared
        accused |= likely & _follows(members, accused, clusters, settings.member)
        out.append(_finding(k, judgement, members, belonging, accused, shown))
    return _name_harvest(traffic, clusters, telling, out)


def _name_harvest(
    traffic: Traffic, clusters: Clusters, telling: I64, findings: Sequence[Finding]
) -> list[Finding]:
    """Return the findings with the exchanges of their accused accounts that are part of a harvest."""
    accused, asking = np.zeros((2, len(traffic.accounts)), np.bool_)
    for f in findings:
        accused[f.members[f.accused]] = True
        asking[f.members[f.accused]] = f.judgement.verdict == "distillation"
    rows = harvest_rows(traffic, clusters, telling, accused, asking)
    label = clusters.label[traffic.exchanges.account[rows]]
    rows, label = rows[np.argsort(label, kind="stable")], np.sort(label, kind="stable")
    starts = np.searchsorted(label, np.arange(len(clusters) + 1))
    return [replace(f, harvest=rows[starts[f.cluster] : starts[f.cluster + 1]]) for f in findings]


def _telling_rows(traffic: Traffic, clusters: Clusters, found: Findings) -> I64:
    """Exchanges that hold the wrapper or show another signal of their cluster, ascending."""
    rows = clusters.wrapped_rows(traffic.exchanges)
    for other in found.rows.values():
        rows = np.union1d(rows, other)
    return rows


def _membership(
    members: I32,
    declared: Bool,
    evidence: Sequence[Evidence],
    clusters: Clusters,
    signals: Mapping[str, Signal],
    settings: MemberSettings,
) -> tuple[F64, Bool]:
    """Probability of belonging, and whether the account shows something of its own beyond one shared template.

    Its own is a signal that its closest fellows show as well: one that ties it to others, or signals of two layers, or one
    beside some of the wrappers that the cluster knows. Or, without a signal, as many of these as the upper quartile of the
    cluster, some that it has to itself, as much company of members with a signal, and more of all than any declared
    member has: what the operator's licensed users have is no secret of a campaign.
    """
    mine = [signals[e.detector] for e in evidence if e.detector in signals]
    belonging = belong(members, mine, settings.wrapper_nats * (clusters.wrappers[members] - 1.0), settings)
    shows = _shows(members, mine)
    company, rate = keeps_company(members, shows, clusters), float(shows.mean())
    private = clusters.private[members]
    depth = (clusters.wrappers[members] + private) / 2.0
    deep = float(np.quantile(depth, 0.75))
    some = depth >= settings.some_depth * deep
    some |= _shows(members, [s for s in mine if s.tied]) | (_layers_shown(members, evidence, signals) >= 2)
    least = settings.depth if rate > 0 else settings.lone_depth
    much = (depth >= least * deep) & (private >= settings.least_private)
    much &= depth > float(depth[declared].max(initial=0.0))
    return belonging, (shows & some & (company >= settings.some_company * rate)) | (
        much & (company >= settings.company * rate)
    )


def _follows(members: I32, accused: Bool, clusters: Clusters, settings: MemberSettings) -> Bool:
    """Return who is tied to most of the accused, where these are most of the cluster, and has wrappers that it has to itself."""
    if accused.sum() < settings.majority * len(members):
        return np.zeros(len(members), np.bool_)
    mine = clusters.edges_of(int(clusters.label[members[0]]))
    a, b = np.searchsorted(members, clusters.edges.a[mine]), np.searchsorted(members, clusters.edges.b[mine])
    tied = np.bincount(a, weights=accused[b], minlength=len(members)) + np.bincount(
        b, weights=accused[a], minlength=len(members)
    )
    return (tied >= settings.follows * accused.sum()) & (clusters.private[members] >= settings.least_private)


def _shows(members: I32, signals: Sequence[Signal]) -> Bool:
    out = np.zeros(len(members), np.bool_)
    for signal in signals:
        out |= signal.shows[members] & signal.known[members]
    return out


def _layers_shown(members: I32, evidence: Sequence[Evidence], signals: Mapping[str, Signal]) -> I64:
    """In how many layers each member shows a signal of its own."""
    mine = [signals[e.detector] for e in evidence if e.detector in signals]
    layers = sorted({s.layer for s in mine})
    return sum(
        (_shows(members, [s for s in mine if s.layer == layer]).astype(np.int64) for layer in layers),
        np.zeros(len(members), np.int64),
    )


def keeps_company(members: I32, shows: Bool, clusters: Clusters) -> F64:
    """Return, for each member, the share of its ties (by cubed weight, as communities are found) that lead to members that show a signal.

    Two groups that use one template lie in one cluster, but each keeps to itself.
    """
    mine = clusters.edges_of(int(clusters.label[members[0]]))
    a, b = np.searchsorted(members, clusters.edges.a[mine]), np.searchsorted(members, clusters.edges.b[mine])
    weight = np.power(clusters.edges.weight[mine], 3.0)
    to_shown = np.bincount(a, weights=weight * shows[b], minlength=len(members)) + np.bincount(
        b, weights=weight * shows[a], minlength=len(members)
    )
    total = np.bincount(a, weights=weight, minlength=len(members)) + np.bincount(
        b, weights=weight, minlength=len(members)
    )
    return to_shown / np.maximum(total, 1e-12)


def _finding(
    k: int,
    judgement: Judgement,
    members: I32,
    belonging: F64,
    accused: Bool,
    shown: tuple[str, ...],
) -> Finding:
    """A verdict that accuses needs two accounts that it is about; else nothing is claimed."""
    if judgement.verdict in ACCUSING and accused.sum() < 2:
        judgement = judgement.without_claim(float(accused.mean()))
    if judgement.verdict not in ACCUSING:
        accused = np.zeros(len(members), np.bool_)
    return Finding(k, judgement, members, belonging, accused, np.zeros(0, np.int64), shown)
