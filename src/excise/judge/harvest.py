"""Which exchanges of accused accounts are part of the harvest: the wrapped ones, and what stands with them."""

from __future__ import annotations

import numpy as np

from excise.engine.keys import group
from excise.model.clusters import Clusters
from excise.model.tables import I32, I64, Bool, Traffic


def harvest_rows(traffic: Traffic, clusters: Clusters, telling: I64, accused: Bool, asking: Bool) -> I64:
    """Return the exchanges (positions, ascending) of the `accused` accounts (one value an account) that are judged part of a harvest.

    Those that show a signal of their cluster (`telling`: its wrapper, or another); those with a single token of the wrapper,
    which would be chance in a stranger; the rest of their sessions, since a campaign's sessions are its own or its cover's
    (references.md L6); and, of the accounts for which `asking` holds, requests that are worded like known ways to elicit
    training material and come with a system prompt (or none) that wrapped requests of the account come with. Linear in the
    accused accounts' exchanges, after a sort of each account's.
    """
    e = traffic.exchanges
    rows = rows_of_accounts(traffic, accused)
    found = np.isin(rows, telling) | (clusters.matched[rows] >= 1)
    found |= _with_any(e.account[rows], e.session[rows], found) & (e.session[rows] != 0)
    prompt = (e.system[rows].astype(np.int64) + 1).astype(np.uint64)
    worded = (e.families[rows] != 0) & asking[e.account[rows]]
    found |= worded & _with_any(e.account[rows], prompt, found)
    return rows[found]


def rows_of_accounts(traffic: Traffic, accounts: Bool) -> I64:
    """Return the positions of the exchanges of these accounts (one value an account), ascending."""
    return np.flatnonzero(accounts[traffic.exchanges.account])


def _with_any(account: I32, key: np.ndarray, which: Bool) -> Bool:
    """Return the rows whose (account, key) some row of `which` has."""
    _, _, _, place = group(account, key)
    return (np.bincount(place, weights=which, minlength=1) > 0)[place] if len(place) else which
