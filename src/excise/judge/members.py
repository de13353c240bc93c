"""Who of a cluster belongs to what was found in it: a strangers-or-members mixture, fitted to the cluster itself.

The innocents at risk sit inside true campaigns' clusters, since they use the same published template (references.md, measurements):
so content that brought the cluster together makes nobody a member; the other signals decide, account by account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from excise.model.findings import Layer
from excise.model.tables import F64, I32, Bool


@dataclass(frozen=True, slots=True)
class Signal:
    """Which accounts show a signal and of which that is known; `stranger`: how often other groups' members show it (0 to 1).

    `tied`: it is a coincidence with certain other accounts, not something that one account does alone.
    """

    shows: Bool
    known: Bool
    stranger: float
    layer: Layer = "account"
    tied: bool = False


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """Numbers of the membership fit.

    rounds: of the fit. discount: of log-likelihood ratios, for signals that go together (0 to 1). start: share of members
    to start from. least: probability from which an account belongs. wrapper_nats: worth of each further private wrapper
    that an account shares with the typical member. company: a member without a signal must be tied to members that show
    one, at least at this part of the rate at which the cluster's members show one; some_company: the same for a member that shows one
    itself. depth: wrappers of such a member (shared with its closest fellows, and the cluster's own) as a share of the
    cluster's upper quartile; lone_depth: the same where no member shows a signal; some_depth: the same for a member that shows a signal. least_private: of a member without a signal,
    wrappers that the cluster has to itself.
    majority, follows: where at least this part of a cluster is accused, so is who is tied to at least that part of these.
    least_share: part of a cluster's members that a claim must be about; below, it is about members with signals of two
    layers only.
    """

    rounds: int = 30
    discount: float = 0.7
    start: float = 0.8
    least: float = 0.9
    wrapper_nats: float = 1.5
    company: float = 0.8
    some_company: float = 0.5
    depth: float = 0.5
    lone_depth: float = 0.7
    some_depth: float = 0.25
    least_private: float = 0.5
    majority: float = 0.6
    follows: float = 0.7
    least_share: float = 0.25


def belong(members: I32, signals: Sequence[Signal], strength: F64, settings: MemberSettings) -> F64:
    """Return, for each account of one cluster, the probability (0 to 1) that it belongs.

    Two-component mixture of independent Bernoulli signals by expectation-maximisation (McLachlan and Peel 2000, section
    2.8) with the strangers' rates fixed at what other groups show; unknown signals say nothing. `strength` are log-odds
    for each account from how many private wrappers it shares with the others (0: one, as any user of a template).
    """
    prior = np.clip(strength, -4.0, 4.0)
    shows = np.array([s.shows[members] for s in signals], bool).reshape(len(signals), len(members))
    known = np.array([s.known[members] for s in signals], bool).reshape(len(signals), len(members))
    stranger = np.clip([s.stranger for s in signals], 1e-3, 0.95)
    probability = np.full(len(members), settings.start)
    share = settings.start
    for _ in range(settings.rounds):
        weight = probability * known
        rate = (weight * shows).sum(axis=1) + 0.5
        rate = np.maximum(rate / (weight.sum(axis=1) + 1.0), stranger)
        ratio = np.where(
            shows,
            np.log(rate / stranger)[:, None],
            np.log((1 - np.minimum(rate, 0.999)) / (1 - stranger))[:, None],
        )
        total = (ratio * known).sum(axis=0) * settings.discount
        share = float(np.clip(probability.mean(), 0.05, 0.95))
        before = probability
        probability = 1.0 / (1.0 + np.exp(-(total + prior + np.log(share / (1 - share)))))
        if np.array_equal(probability, before):  # every further round would say the same
            break
    return probability
