"""Accounts of different owners are signed up with addresses of one little used mail domain."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.detect.groups import tied_members
from excise.detect.pairs import tie_by_key
from excise.model.clusters import Clusters, Ties
from excise.model.tables import Traffic


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie accounts that share a mail domain which few hold: neither a provider's nor a large company's."""
    accounts = traffic.accounts
    codes = np.arange(len(accounts), dtype=np.int32)
    a, b, weight = tie_by_key(accounts.mail, codes, len(accounts), most=int(p["most_accounts"]))
    return Ties(DETECTOR.id, DETECTOR.layer, a, b, weight, alone=False)


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members that share such a domain with another member; known where the accounts table names one."""
    return Marks(tied_members(clusters, DETECTOR.id), traffic.accounts.mail != 0)


DETECTOR: Final = Detector(
    id="mail-domain",
    layer="account",
    question="Are members without a common owner signed up under one little used mail domain?",
    innocent="A company, a school or a club whose people have accounts of their own; hence weak evidence.",
    source="references.md L1-L2 (disposable and bought domains)",
    needs=frozenset({"mail"}),
    parameters={
        "most_accounts": Parameter(
            100, "accounts", "a domain of more accounts is a provider's or a large school's"
        ),
        **SHARE_PARAMETERS,
        "by_size": Parameter(1, "0 or 1", "small groups are families and offices, which share by nature"),
        "floor": Parameter(0.1, "share of members", "colleagues use the same programs"),
        "least_share": Parameter(0.3, "share of members", "a few colleagues are in many groups"),
        "most_log_odds": Parameter(1.5, "nats", "every company is like this: a factor of 4.5 at most"),
    },
    statement="{share} of the members whose mail domain is known share a little used one with another member of no common owner; in other groups {baseline} do.",
    ties=tie,
    marks=mark,
)
