"""An opaque reasoning block comes back from an account that it was never given to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from excise.detect.detector import Detector, Marks, Parameter, Settings
from excise.detect.groups import count_members
from excise.detect.pairs import sum_pairs
from excise.engine.keys import common
from excise.model.clusters import Clusters, Ties
from excise.model.findings import Evidence
from excise.model.tables import I32, I64, Bool, Traffic

REPLAYS: Final = "block-replay"
"""Name of what `foreign_replays` says (`Traffic.once`)."""
BLOCKS: Final = "accounts with blocks"
"""Name of what `has_blocks` says (`Traffic.ask`)."""


def foreign_replays(traffic: Traffic) -> tuple[I32, I64]:
    """Return (origin account, replaying exchange) of each replayed block whose origin is known and another owner's.

    A session that changes accounts takes its blocks along: that is a relay's hand-over (its own detector), not counted here.
    A block that several accounts were given (a hash that a gateway cut short, say) has no origin and proves nothing.
    """
    return traffic.once(REPLAYS, lambda: _find_replays(traffic))


def _find_replays(traffic: Traffic) -> tuple[I32, I64]:
    e = traffic.exchanges
    given = common(e.emitted.values, e.replayed.values)
    given_in = e.emitted.owners_of(given)
    block, giver, session = e.emitted.values[given], e.account[given_in], e.session[given_in]
    order = np.lexsort((giver, block))
    block, giver, session = block[order], giver[order], session[order]
    first = np.append(True, block[1:] != block[:-1]) if len(block) else np.zeros(0, bool)
    start = np.flatnonzero(first)
    last = np.append(start[1:], len(block)) - 1
    known, origin = block[start], giver[start]
    single = origin == giver[last] if len(start) else np.zeros(0, bool)
    known, origin, session = known[single], origin[single], session[start][single]
    if not len(known):
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    again = common(e.replayed.values, known)
    replayed, row = e.replayed.values[again], e.replayed.owners_of(again)
    by = e.account[row]
    where = np.minimum(np.searchsorted(known, replayed), len(known) - 1)
    replayed_in = e.session[row]
    same_session = (session[where] == replayed_in) & (replayed_in != 0)
    hit = (known[where] == replayed) & (origin[where] != by) & ~same_session
    source, row = origin[where[hit]], row[hit]
    foreign = ~traffic.accounts.one_owner(source, e.account[row])
    return source[foreign], row[foreign]


def rows(traffic: Traffic, clusters: Clusters, p: Settings) -> I64:
    """Return the exchanges that replay a block given to another member of the cluster."""
    source, row = foreign_replays(traffic)
    target = traffic.exchanges.account[row]
    return np.unique(row[(clusters.label[source] == clusters.label[target]) & (clusters.label[source] >= 0)])


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie the account that was given a block and the one that replays it."""
    source, row = foreign_replays(traffic)
    target = traffic.exchanges.account[row]
    weight = np.full(len(source), np.log(max(2.0, len(traffic.accounts) / 2.0)))
    a, b, total = sum_pairs(np.minimum(source, target), np.maximum(source, target), weight)
    return Ties(DETECTOR.id, DETECTOR.layer, a, b, np.minimum(total, p["most_nats"]), alone=True, binds=True)


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark members that replayed a block given to another member; known where blocks came in or went out."""
    shows = np.zeros(len(clusters.label), np.bool_)
    shows[traffic.exchanges.account[rows(traffic, clusters, p)]] = True
    return Marks(shows, *traffic.ask(BLOCKS, lambda: has_blocks(traffic, clusters)))


def has_blocks(traffic: Traffic, clusters: Clusters) -> tuple[Bool]:
    """Return the accounts that were given blocks or sent some."""
    e = traffic.exchanges
    known = np.zeros(len(clusters.label), np.bool_)
    known[e.account[(np.diff(e.emitted.offsets) > 0) | (np.diff(e.replayed.offsets) > 0)]] = True
    return (known,)


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Count the members that replay other members' blocks; each is deterministic, but a few may be a customer of a relay."""
    hits, sizes = count_members(clusters, mark(traffic, clusters, p).shows), clusters.sizes()
    out: list[Evidence | None] = []
    for k in range(len(clusters)):
        share = float(hits[k] / sizes[k])
        enough = hits[k] >= p["least_accounts"] and share >= p["least_share"]
        out.append(_evidence(int(hits[k]), share, p["log_odds"]) if enough else None)
    return out


def _evidence(accounts: int, share: float, log_odds: float) -> Evidence:
    statement = (
        f"{accounts} members ({share:.0%}) replayed reasoning blocks that had been given to other members and to nobody else; "
        "an account does not come by such a block on its own."
    )
    return Evidence(DETECTOR.id, DETECTOR.layer, statement, share, 0.0, log_odds)


DETECTOR: Final = Detector(
    id="block-replay",
    layer="deterministic",
    question="Do accounts replay opaque reasoning blocks that other accounts were given?",
    innocent="Accounts of one owner after a key rotation (not counted), or the customers of a relay, whose sessions change accounts.",
    source="references.md T11; references.md, measurements (block origin binding)",
    needs=frozenset({"blocks"}),
    parameters={
        "most_nats": Parameter(30.0, "nats", "one pair needs no more to be joined"),
        "least_accounts": Parameter(2, "accounts", "one replaying account is a leak, not a campaign"),
        "least_share": Parameter(
            0.25, "share of members", "a few replays in a pool are its customers' sessions"
        ),
        "log_odds": Parameter(
            6.0,
            "nats",
            "nothing but a copied block explains it; a logging error of the origin remains possible",
        ),
    },
    ties=tie,
    marks=mark,
    rows=rows,
    measure=measure,
)
