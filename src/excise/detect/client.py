"""Unrelated accounts look like one program: the same client and the same sampling settings."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.engine.keys import group
from excise.model.clusters import Clusters
from excise.model.tables import I32, I64, U64, Traffic

USUAL: Final = "usual client"
"""Name of what `usual_key` says of every account (`Traffic.once`)."""


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members whose usual client and sampling are the cluster's most common, where few accounts have them."""
    usual = traffic.once(USUAL, lambda: usual_key(traffic))
    value, holders = np.unique(usual[usual != 0], return_counts=True)
    rare = np.zeros(len(usual), np.bool_)
    if len(value):
        where = np.minimum(np.searchsorted(value, usual), len(value) - 1)
        rare = (value[where] == usual) & (holders[where] <= max(p["few"], p["most_share"] * len(usual)))
    return Marks(_is_mode(clusters.label, usual) & rare, usual != 0)


def usual_key(traffic: Traffic) -> U64:
    """Return each account's most frequent (client, sampling) as one hash; 0 where neither is logged."""
    e = traffic.exchanges
    known = (e.client != 0) & (e.sampling != 0)
    key = np.where(known, e.client ^ (e.sampling * np.uint64(0x9E3779B97F4A7C15)), np.uint64(0))
    account, key, count, _ = group(e.account[known], key[known])
    return _most_frequent(account, key, count, len(traffic.accounts))


def _most_frequent(owner: I32, value: U64, count: I64, owners: int) -> U64:
    out = np.zeros(owners, np.uint64)
    order = np.lexsort((value, count, owner))
    out[owner[order]] = value[order]
    return out


def _is_mode(label: I32, value: U64) -> np.ndarray:
    member = (label >= 0) & (value != 0)
    mine, key = label[member], value[member]
    order = np.lexsort((key, mine))
    mine, key = mine[order], key[order]
    start = (
        np.flatnonzero(np.append(True, (mine[1:] != mine[:-1]) | (key[1:] != key[:-1])))
        if len(key)
        else np.zeros(0, np.int64)
    )
    groups = int(label.max(initial=-1)) + 1
    mode = _most_frequent(mine[start], key[start], np.diff(np.append(start, len(key))), groups)
    out = np.zeros(len(label), np.bool_)
    out[member] = mode[label[member]] == value[member]
    return out


DETECTOR: Final = Detector(
    id="client",
    layer="account",
    question="Do unrelated accounts show one and the same client with the same sampling settings?",
    innocent="One popular program with its defaults; hence only combinations that few accounts have count.",
    source="references.md, relays (one stale header set), L1-L3",
    needs=frozenset({"client"}),
    parameters={
        **SHARE_PARAMETERS,
        "most_share": Parameter(
            0.01, "share of all accounts", "a combination of more is a popular program's"
        ),
        "few": Parameter(30, "accounts", "in a small deployment a hundredth is nobody"),
        "floor": Parameter(0.1, "share of members", "small groups have a most common client by chance"),
        "least_share": Parameter(0.3, "share of members", "below, the most common is a coincidence"),
    },
    statement="{share} of the members whose client is logged show one rare combination of client and sampling settings; in other groups {baseline} do.",
    marks=mark,
)
