"""Members sign up or call from addresses that almost nobody else uses."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.groups import tied_members
from excise.detect.pairs import tie_by_key
from excise.model.clusters import Clusters, Ties
from excise.model.tables import Bool, Traffic

CALLS: Final = "accounts with an address"
"""Name of what `calls` says (`Traffic.ask`)."""


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie accounts that share an address or network, when signing up or calling, which few accounts share."""
    e, accounts = traffic.exchanges, traffic.accounts
    codes = np.arange(len(accounts), dtype=np.int32)
    keys = np.concatenate([e.net, accounts.signup_net])
    holders = np.concatenate([e.account, codes])
    a, b, weight = tie_by_key(keys, holders, len(accounts), most=int(p["most_accounts"]))
    return Ties(DETECTOR.id, DETECTOR.layer, a, b, weight, alone=False)


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members that share a little used network with another member; known where any address is."""
    (called,) = traffic.ask(CALLS, lambda: calls(traffic, clusters))
    return Marks(tied_members(clusters, DETECTOR.id), called | (traffic.accounts.signup_net != 0))


def calls(traffic: Traffic, clusters: Clusters) -> tuple[Bool]:
    """Return the accounts that call from an address that is logged."""
    called = np.zeros(len(traffic.accounts), np.bool_)
    called[traffic.exchanges.account[traffic.exchanges.net != 0]] = True
    return (called,)


DETECTOR: Final = Detector(
    id="address",
    layer="account",
    question="Do members without a common owner sign up or call from the same little used networks?",
    innocent="A campus, an office, a VPN exit or a cloud region; hence only networks that few accounts use count.",
    source="references.md L1-L2 and real clients (NAT, VPN, cloud hubs)",
    needs=frozenset({"network"}),
    parameters={
        "most_accounts": Parameter(
            30,
            "accounts",
            "a /24 of more accounts is a hub (offices, campuses and VPN exits measure 60 to 300)",
        ),
        **SHARE_PARAMETERS,
        "by_size": Parameter(1, "0 or 1", "small groups are families and offices, which share by nature"),
        "floor": Parameter(0.1, "share of members", "cloud customers share networks by chance"),
    },
    statement="{share} of the members share a little used network (/24 or /48) with another member of no common owner; in other groups {baseline} do.",
    ties=tie,
    marks=mark,
)
