"""Accounts of different owners are signed up with addresses of one little used mail domain.

It ties nobody: colleagues share a domain and a product by nature.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.model.clusters import Clusters
from excise.model.tables import I32, I64, U64, Traffic


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members that share a domain which few hold with a member that is not known to have the same owner."""
    mail, owner, label = traffic.accounts.mail, traffic.accounts.owner, clusters.label
    value, holders = np.unique(mail, return_counts=True)
    few = holders[np.searchsorted(value, mail)] <= p["most_accounts"]
    member = np.flatnonzero((label >= 0) & (mail != 0) & few)
    order = member[np.lexsort((owner[member], mail[member], label[member]))]
    group = _runs(label[order], mail[order])
    hands = _runs(label[order], mail[order], owner[order])
    foreign = np.bincount(group)[group] > np.where(owner[order] == 0, 1, np.bincount(hands)[hands])
    shows = np.zeros(len(label), np.bool_)
    shows[order[foreign]] = True
    return Marks(shows, mail != 0)


def _runs(*columns: I32 | U64) -> I64:
    """Number the runs of equal rows."""
    new = np.zeros(len(columns[0]), np.bool_)
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.cumsum(new)


DETECTOR: Final = Detector(
    id="mail-domain",
    layer="account",
    question="Are members without a common owner signed up under one little used mail domain?",
    innocent="A company, a school or a club whose people have accounts of their own; hence weak evidence, never a layer by itself.",
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
        "most_log_odds": Parameter(
            0.9, "nats", "every company is like this: never enough for a layer by itself"
        ),
    },
    statement="{share} of the members whose mail domain is known share a little used one with another member of no common owner; in other groups {baseline} do.",
    marks=mark,
)
