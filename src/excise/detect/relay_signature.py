"""Exchanges carry a known relay's constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from excise.detect.detector import Detector, Marks, Parameter, Settings
from excise.detect.groups import count_members
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import Bool, Traffic

SIGNED: Final = "accounts with a relay's signature"
"""Name of what `signed` says (`Traffic.ask`)."""


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark accounts with an exchange that carries the constant; known where device ids are logged."""
    return Marks(*traffic.ask(SIGNED, lambda: signed(traffic, clusters)))


def signed(traffic: Traffic, clusters: Clusters) -> tuple[Bool, Bool]:
    """Return the accounts that show the constant, and those with any device that is logged."""
    e = traffic.exchanges
    shows, known = np.zeros((2, len(clusters.label)), np.bool_)
    shows[e.account[e.relay == 1]] = True
    known[e.account[e.device != 0]] = True
    return shows, known


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Count the members with the signature; it says relay, and nothing of what the relay is for."""
    hits, sizes = count_members(clusters, mark(traffic, clusters, p).shows), clusters.sizes()
    return [
        _evidence(int(h), float(h / n), p) if h >= p["least_accounts"] and h / n >= p["least_share"] else None
        for h, n in zip(hits, sizes, strict=True)
    ]


def _evidence(accounts: int, share: float, p: Settings) -> Evidence:
    statement = f"{accounts} members ({share:.0%}) carry the constant device id of known relay software: many customers are served through them."
    return Evidence(DETECTOR.id, DETECTOR.layer, statement, share, 0.0, p["log_odds"])


DETECTOR: Final = Detector(
    id="relay-signature",
    layer="deterministic",
    question="Do exchanges carry a constant that known relay software leaves?",
    innocent="Friends who share one plan use the same software: it proves a relay, not a harvest.",
    source="references.md, relays (markers), packs/relays.toml",
    needs=frozenset({"client"}),
    parameters={
        "least_accounts": Parameter(2, "accounts", "one account with it is one user's choice of software"),
        "least_share": Parameter(
            0.2, "share of members", "a few members' software says nothing of the others"
        ),
        "log_odds": Parameter(4.0, "nats", "for a relay; it does not count towards distillation"),
    },
    claim="relay",
    marks=mark,
    measure=measure,
)
