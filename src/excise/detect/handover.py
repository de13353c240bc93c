"""One conversation or device moves between accounts of different owners: software that spreads customers over a pool."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.groups import tied_members
from excise.detect.pairs import tie_by_key
from excise.model.clusters import Clusters, Ties
from excise.model.tables import Bool, Traffic

CARRIES: Final = "accounts with a session or device"
"""Name of what `carries` says (`Traffic.ask`)."""


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie accounts that carry exchanges of one session, or of one device."""
    e = traffic.exchanges
    device = np.where(e.relay == 1, np.uint64(0), e.device)  # a constant of the software is nobody's device
    a, b, weight = tie_by_key(
        np.concatenate([e.session, device]),
        np.concatenate([e.account, e.account]),
        len(traffic.accounts),
        most=int(p["most_accounts"]),
    )
    return Ties(DETECTOR.id, DETECTOR.layer, a, b, weight, alone=True)


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members that carry another member's conversation or device; known where sessions or devices are."""
    (known,) = traffic.ask(CARRIES, lambda: carries(traffic, clusters))
    return Marks(tied_members(clusters, DETECTOR.id), known)


def carries(traffic: Traffic, clusters: Clusters) -> tuple[Bool]:
    """Return the accounts with a session or a device that is logged."""
    e = traffic.exchanges
    known = np.zeros(len(traffic.accounts), np.bool_)
    known[e.account[(e.session != 0) | (e.device != 0)]] = True
    return (known,)


DETECTOR: Final = Detector(
    id="handover",
    layer="account",
    question="Do conversations or devices move between accounts of different owners?",
    innocent="Friends who share a plan, a person with two accounts, one household's device.",
    source="references.md, relays (stickiness and identity of a stock relay)",
    needs=frozenset({"sessions"}),
    parameters={
        "most_accounts": Parameter(
            500, "accounts", "a session or device of more accounts is taken for a constant of some client"
        ),
        **SHARE_PARAMETERS,
    },
    statement="{share} of the members carry conversations or devices that other members without a common owner carry too; in other groups {baseline} do.",
    claim="relay",
    ties=tie,
    marks=mark,
)
