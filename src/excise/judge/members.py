"""Who of a cluster belongs to what was found in it: a strangers-or-members mixture, fitted to the cluster itself.

The innocents at risk sit inside true campaigns' clusters, since they use the same published template (references.md, measurements):
so content that brought the cluster together makes nobody a member; the other signals decide, account by account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from excise.model.clusters import Clusters
from excise.model.findings import Evidence, Layer
from excise.model.tables import F64, I32, I64, Bool


@dataclass(frozen=True, slots=True)
class Signal:
    """Which accounts show a signal and of which that is known; `stranger`: how often other groups' members show it (0 to 1).

    `tied`: it is a coincidence with certain other accounts, not something that one account does alone. `denied`: accounts
    against whose belonging it speaks, unless they show signals of two layers; `doubted`: of which it says too little, unless they show some signal.
    """

    shows: Bool
    known: Bool
    stranger: float
    layer: Layer = "account"
    tied: bool = False
    denied: Bool | None = None
    doubted: Bool | None = None


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """Numbers of the membership fit.

    rounds: of the fit. discount: of log-likelihood ratios, for signals that go together (0 to 1). start: share of members
    to start from. least: probability from which an account belongs that shows a signal. wrapper_nats: worth of each further private wrapper
    that an account shares with the typical member. company: a member that shows a signal must be tied to members that show
    one, at least at this part of the rate at which the cluster's members show one (below 1 for the rounding of sums alone). some_depth: wrappers of such a member (shared with its closest fellows, and the cluster's own) as a share of the
    cluster's upper quartile; depth: the same from which they tell without a signal.
    silent_depth: wrappers from which they tell without a signal, of a harvest; silent_lead: the same as a multiple of what a declared member has.
    relay_company: the part of that rate at which a relay's account that shows no signal must be tied to members that show one, if its life is doubted.
    common_life: share of members whose lives are doubted up to which the cluster leads one life; common_depth: wrappers from which
    they tell there without a signal, as a share of the upper quartile.
    least_private: of these, wrappers that the cluster has to itself. least_deep: probability from which a member belongs that has as many.
    sure: confidence in the claim from which wrappers tell without a signal.
    least_share: part of a cluster's members that a claim must be about; below, it is about members with signals of two
    layers only.
    most: part of them up to which a claim of a harvest is about members with `many` wrappers or signals of two layers only; from it on who has as many
    and belongs with a probability of `least_many` is accused though his life is doubted.
    """

    rounds: int = 30
    discount: float = 0.7
    start: float = 0.8
    least: float = 0.95
    wrapper_nats: float = 1.5
    company: float = 0.99
    some_depth: float = 0.4
    depth: float = 0.5
    silent_depth: float = 2.0
    silent_lead: float = 1.5
    relay_company: float = 0.35
    common_life: float = 0.5
    common_depth: float = 0.6
    least_private: float = 0.8
    least_deep: float = 0.9
    sure: float = 0.95
    least_share: float = 0.25
    most: float = 0.5
    many: float = 3.0
    least_many: float = 0.99


def belong(members: I32, signals: Sequence[Signal], strength: F64, settings: MemberSettings) -> F64:
    """Return, for each account of one cluster, the probability (0 to 1) that it belongs: `belong_each` of one."""
    return belong_each([(members, signals, strength)], settings)[0]


def belong_each(clusters: Sequence[tuple[I32, Sequence[Signal], F64]], settings: MemberSettings) -> list[F64]:
    """Return, for each account of each cluster (members, signals, strength), the probability (0 to 1) that it belongs.

    Two-component mixture of independent Bernoulli signals by expectation-maximisation (McLachlan and Peel 2000, section
    2.8) with the strangers' rates fixed at what other groups show; unknown signals say nothing. `strength` are log-odds
    for each account from how many private wrappers it shares with the others (0: one, as any user of a template).
    Each cluster is fitted by itself; those of one shape are calculated together, since most are small.
    """
    shapes: dict[tuple[int, int], list[int]] = {}
    for k, (members, signals, _) in enumerate(clusters):
        shapes.setdefault((len(signals), len(members)), []).append(k)
    out: dict[int, F64] = {}
    for (signals_of_each, size), alike in shapes.items():
        shape = (len(alike), signals_of_each, size)
        shows = np.array([s.shows[clusters[k][0]] for k in alike for s in clusters[k][1]], bool).reshape(
            shape
        )
        known = np.array([s.known[clusters[k][0]] for k in alike for s in clusters[k][1]], bool).reshape(
            shape
        )
        stranger = np.array([s.stranger for k in alike for s in clusters[k][1]], float).reshape(shape[:2])
        fitted = _fit(shows, known, stranger, np.stack([clusters[k][2] for k in alike]), settings)
        out.update(zip(alike, fitted, strict=True))
    return [out[k] for k in range(len(clusters))]


def _fit(shows: Bool, known: Bool, stranger: F64, strength: F64, settings: MemberSettings) -> F64:
    """Fit clusters of one shape: shows, known [clusters, signals, members], stranger [clusters, signals], strength [clusters, members]."""
    prior, stranger = np.clip(strength, -4.0, 4.0), np.clip(stranger, 1e-3, 0.95)
    probability = np.full(prior.shape, settings.start)
    for _ in range(settings.rounds):
        weight = probability[:, None, :] * known
        rate = (weight * shows).sum(axis=2) + 0.5
        rate = np.maximum(rate / (weight.sum(axis=2) + 1.0), stranger)
        ratio = np.where(
            shows,
            np.log(rate / stranger)[:, :, None],
            np.log((1 - np.minimum(rate, 0.999)) / (1 - stranger))[:, :, None],
        )
        total = (ratio * known).sum(axis=1) * settings.discount
        share = np.clip(probability.mean(axis=1), 0.05, 0.95)
        before = probability
        probability = 1.0 / (1.0 + np.exp(-(total + prior + np.log(share / (1 - share))[:, None])))
        if np.array_equal(probability, before):  # every further round would say the same
            break
    return probability


def strength_of(members: I32, clusters: Clusters, settings: MemberSettings) -> F64:
    """Return log-odds for each member from its further private wrappers (0 where the cluster has no wrapper: it says nothing)."""
    wrappers = clusters.wrappers[members]
    return settings.wrapper_nats * (wrappers - 1.0) * bool(np.median(wrappers) > 0)


def accuse(
    members: I32,
    declared: Bool,
    harvesting: Bool,
    evidence: Sequence[Evidence],
    clusters: Clusters,
    signals: Mapping[str, Signal],
    settings: MemberSettings,
    belonging: F64,
    doubted: Bool,
    *,
    sure: bool,
    relay: bool = False,
) -> Bool:
    """Return who of the members is accused; `harvesting`: whose requests show what is claimed; `belonging`: the probability of each (`belong`).

    An account belongs, and shows something of its own beyond one shared template. Its own is a signal that its closest fellows show as well: one that ties it to others, or signals of two layers, or one
    beside some of the wrappers that the cluster knows. Or as many of these as the upper quartile of the
    cluster, some that it has to itself, and more of all than any declared
    member has, where the claim is `sure`: what the operator's licensed users have is no secret of a campaign. If it shows no signal,
    these must be several, many more than a declared member's, and its life not `doubted`; where the claim is a `relay`, whose customers'
    lives are their own, it is enough that it is not, or that some of the closest fellows show a signal.
    Where the cluster leads one life, which speaks for the claim, they need be neither several nor its own.
    It harvests, or shows signals of two layers. How large a part of the cluster that is then says who of it is accused (`_by_share`).
    """
    if not harvesting.any():
        return harvesting
    mine = [signals[e.detector] for e in evidence if e.detector in signals]
    shows, layers = _shows(members, mine), _layers_shown(members, evidence, signals)
    rate = float(shows.mean())
    company = keeps_company(members, shows, clusters)
    depth = _depth(members, clusters)
    deep = float(np.quantile(depth, 0.75))
    some = (
        (depth >= settings.some_depth * deep) | _shows(members, [s for s in mine if s.tied]) | (layers >= 2)
    )
    much = (depth >= settings.depth * deep) & (clusters.private[members] >= settings.least_private)
    known = float(depth[declared].max(initial=0.0))
    beyond = (depth > known) & (depth >= settings.silent_lead * known)
    secret = ~doubted & beyond
    kept = ~doubted | (company >= settings.relay_company * rate)
    silent = kept if relay else (depth >= settings.silent_depth) & secret
    much &= (depth > known) & (shows | silent) & sure
    lives = any(s.doubted is not None for s in mine) and doubted.mean() <= settings.common_life
    lived = secret & (depth >= settings.common_depth * deep) & (lives and sure and not relay)
    likely = ((shows & some & (company >= settings.company * rate)) | lived) & (belonging >= settings.least)
    accused = np.where(much, belonging >= settings.least_deep, likely)
    accused &= (harvesting | (layers >= 2)) & ~declared
    many = depth >= settings.many
    surest = (
        many & beyond & harvesting & ~declared & (belonging >= settings.least_many) & (sure and not relay)
    )
    return _by_share(accused, many | relay, surest, layers, settings)


def _by_share(accused: Bool, many: Bool, surest: Bool, layers: I64, settings: MemberSettings) -> Bool:
    """Return whom of those that would be accused a claim is about, by how large a part of the cluster they are.

    Of few, one signal may be chance: it takes two layers. Of the smaller part, who has `many` of the cluster's wrappers, or
    shows two layers. Of the larger part, all, and others of whom one is `surest`.
    """
    share = float(accused.mean())
    if share < settings.least_share:
        return accused & (layers >= 2)
    if share < settings.most:
        return accused & (many | (layers >= 2))
    return accused | surest


def _depth(members: I32, clusters: Clusters) -> F64:
    """How many wrappers each member shares with its closest fellows, and how many the cluster has to itself: the mean."""
    return (clusters.wrappers[members] + clusters.private[members]) / 2.0


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
