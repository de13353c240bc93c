"""After members are suspended, other members take the load over: the queue finds another way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from excise.detect.detector import Detector, Parameter, Settings
from excise.detect.pivot import HOUR
from excise.model import schema
from excise.model.clusters import Clusters
from excise.model.findings import Evidence
from excise.model.tables import I64, Traffic
from excise.stats.tails import log_odds_of, poisson_tail

FIRST: Final = "first wrapped"
"""Name of what `first_wrapped` says (`Traffic.ask`)."""
_SUSPENSION: Final = schema.EVENT_KINDS.index("suspension")


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Count members whose wrapped requests begin within hours after a suspension of another member.

    Only the time of a suspension is used, never whom it befell: the members that begin are compared with how often
    members begin at any other time of the cluster's life.
    """
    (first,) = traffic.ask(FIRST, lambda: first_wrapped(traffic, clusters))
    events = traffic.events
    hit = (events.kind == _SUSPENSION) & (events.account >= 0)
    at, label = events.at[hit], clusters.label[events.account[hit]]
    return [_evidence(np.sort(at[label == k]), first[clusters.of(k)], p) for k in range(len(clusters))]


def first_wrapped(traffic: Traffic, clusters: Clusters) -> tuple[I64]:
    """Return the time of each account's first exchange that holds its cluster's wrapper; the largest number where none does."""
    rows = clusters.wrapped_rows(traffic.exchanges)
    never = np.iinfo(np.int64).max
    first = np.full(len(traffic.accounts), never, np.int64)
    np.minimum.at(first, traffic.exchanges.account[rows], traffic.exchanges.at[rows])
    return (first,)


def _evidence(at: I64, first: I64, p: Settings) -> Evidence | None:
    begin = np.sort(first[first < np.iinfo(np.int64).max])
    if len(at) == 0 or len(begin) < p["least_members"]:
        return None
    window = int(p["within_hours"]) * HOUR
    watched = _union_length(at, window)
    after = int(sum(bool(((at < t) & (t <= at + window)).any()) for t in begin[1:]))
    life = max(int(begin[-1] - begin[0]), int(at[-1] + window - begin[0]), 1)
    expected = (len(begin) - 1) * min(1.0, watched / life)
    log_odds = log_odds_of(poisson_tail(after, expected))
    if log_odds <= 0 or after < p["least_new"]:
        return None
    statement = f"{after} members began within {p['within_hours']:.0f} hours after another member's suspension; at the cluster's usual pace {expected:.1f} would have."
    return Evidence(
        DETECTOR.id, DETECTOR.layer, statement, float(after), expected, min(log_odds, p["most_log_odds"])
    )


def _union_length(at: I64, window: int) -> int:
    """Length of the union of [t, t + window) for sorted times."""
    return int(np.minimum(np.diff(at), window).sum() + window) if len(at) else 0


DETECTOR: Final = Detector(
    id="displacement",
    layer="time",
    question="When members are suspended, do other members begin within hours?",
    innocent="One company's spare keys (one owner is tested apart); new users of a popular product begin all the time.",
    source="references.md T18; references.md, measurements (queue inertia)",
    needs=frozenset({"displacement"}),
    parameters={
        "within_hours": Parameter(8, "hours", "references.md, measurements: a queue re-routes within hours"),
        "most_log_odds": Parameter(
            4.0, "nats", "no one signal decides: its model of the innocent may be wrong once in 50"
        ),
        "least_members": Parameter(6, "accounts", "fewer have no usual pace"),
        "least_new": Parameter(2, "accounts", "one newcomer is chance"),
    },
    measure=measure,
)
