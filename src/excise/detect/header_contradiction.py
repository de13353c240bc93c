"""A client that never does what nearly every other account does with it: the header names a program that does not speak."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.detect.detector import SHARE_PARAMETERS, Detector, Marks, Parameter, Settings
from excise.engine.keys import group
from excise.model.clusters import Clusters
from excise.model.tables import I32, I64, U64, Bool, Exchanges, Traffic

USERS: Final = "client users"
"""Name of what `client_habits` says of all exchanges (`Traffic.once`)."""


def mark(traffic: Traffic, clusters: Clusters, p: Settings) -> Marks:
    """Mark accounts without a habit that nearly all others with their client have; known where a client has such a habit."""
    n = len(traffic.accounts)
    user, client, uses, habits = traffic.once(USERS, lambda: client_habits(traffic.exchanges))
    enough = uses >= p["least_requests"]
    shows, known = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for has in habits:
        usual = enough & _nearly_all(client, has, enough, p)
        known[user[usual]] = True
        shows[user[usual & ~has]] = True
    return Marks(shows, known)


def habits_of(e: Exchanges) -> tuple[Bool, ...]:
    """What a program makes of a request, in three yes-or-no columns; those that the input does not tell are never true."""
    return e.system >= 0, e.tools == 1, e.messages > 1


def client_habits(e: Exchanges) -> tuple[I32, U64, I64, tuple[Bool, ...]]:
    """Return the distinct (account, client) with how many requests they are, and which of them ever show each habit."""
    rows, user, client, uses, of_row = client_users(e)
    shown = []
    for habit in habits_of(e):
        has = np.zeros(len(user), np.bool_)
        has[of_row[habit[rows]]] = True
        shown.append(has)
    return user, client, uses, tuple(shown)


def client_users(e: Exchanges) -> tuple[I64, I32, U64, I64, I64]:
    """Return the exchanges that name a client, the distinct (account, client) of them with how many they are, and whose each is."""
    rows = np.flatnonzero(e.client)
    return rows, *group(e.account[rows], e.client[rows])


def _nearly_all(client: U64, has: Bool, enough: Bool, p: Settings) -> Bool:
    """Whether of the *other* accounts with each row's client nearly all have the habit, and they are not few."""
    _, group = np.unique(client, return_inverse=True)
    users = np.bincount(group, weights=enough)[group] - enough
    having = np.bincount(group, weights=enough & has)[group] - (enough & has)
    return (users >= p["least_others"]) & (having >= p["nearly_all"] * users)


DETECTOR: Final = Detector(
    id="header-contradiction",
    layer="account",
    question="Does the header name a program whose other users' requests always look different?",
    innocent="A new version of the program, or a rare way to use it; hence only what nearly all others do counts, over several requests.",
    source="references.md, relays (stored or hard-coded headers before the traffic of other programs)",
    needs=frozenset({"client"}),
    parameters={
        **SHARE_PARAMETERS,
        "least_requests": Parameter(5, "requests with one client", "fewer may not have come to it yet"),
        "least_others": Parameter(20, "accounts", "what a handful do is no property of a program"),
        "nearly_all": Parameter(
            0.95, "share of the other accounts", "from there on its absence is the exception"
        ),
    },
    statement=(
        "{share} of the members name a client in their headers and never send what nearly all its other users send "
        "(a system prompt, tools or follow-ups); in other groups {baseline} do."
    ),
    marks=mark,
)
