"""Accounts of different owners pay with one instrument."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.groups import tied_members
from excise.detect.pairs import tie_by_key
from excise.model.clusters import Clusters, Ties
from excise.model.tables import Traffic


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie accounts that share a payment fingerprint which few hold."""
    accounts = traffic.accounts
    codes = np.arange(len(accounts), dtype=np.int32)
    a, b, weight = tie_by_key(accounts.payment, codes, len(accounts), most=int(p["most_accounts"]))
    return Ties(DETECTOR.id, DETECTOR.layer, a, b, weight, alone=False)


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members that pay with another member's instrument; known where the accounts table names one."""
    return Marks(tied_members(clusters, DETECTOR.id), traffic.accounts.payment != 0)


DETECTOR: Final = Detector(
    id="payment",
    layer="account",
    question="Do members without a common owner pay with the same instrument?",
    innocent="A family, a club or a company whose ownership the operator does not know.",
    source="references.md L1-L3; references.md, measurements (money components of real operators)",
    needs=frozenset({"payment"}),
    parameters={
        "most_accounts": Parameter(
            100, "accounts", "an instrument of more accounts is a card issuer's or a reseller's range"
        ),
        **SHARE_PARAMETERS,
        "by_size": Parameter(1, "0 or 1", "small groups are families and offices, which share by nature"),
    },
    statement="{share} of the members whose payment is known share an instrument with another member of no common owner; in other groups {baseline} do.",
    ties=tie,
    marks=mark,
)
