"""The campaigns: the accounts that an operator gets, what they harvest, and what they send besides."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from excise.simulate.benign import Commons
from excise.simulate.cast import F64, I64, NEVER, Cast, arrivals, client_table, conversations, network_address
from excise.simulate.knobs import RELAYS, Knobs, draw_knobs
from excise.simulate.schedule import lifetimes, schedule
from excise.simulate.spec import DAY, WorldSpec
from excise.simulate.wrappers import campaign_styles

_FIRST: Final = {"relay_mixed": "cot", "tracecleaning": "cot", "blockreplay": "cot"}
"""Kinds whose first requests ask for plain reasoning; two of them then use again what they were answered."""


def move_in(cast: Cast, commons: Commons, spec: WorldSpec) -> list[dict[str, Any]]:
    """Add the campaigns of a world; returns what the labels say of each."""
    order = cast.rng.permutation(len(spec.kinds))
    out = []
    for number in range(spec.campaign_count()):
        level = spec.levels[number % len(spec.levels)]
        kind = spec.kinds[order[number % len(order)]]
        out.append(_campaign(cast, commons, number, draw_knobs(cast.rng, spec, kind, level)))
    return out


def _campaign(cast: Cast, commons: Commons, number: int, k: Knobs) -> dict[str, Any]:
    rng, days = cast.rng, cast.days
    start, end = rng.uniform(0, 0.25) * days * DAY, rng.uniform(0.85, 1.0) * days * DAY
    accounts = cast.admit(k.size, **_columns(cast, number, k, start))
    live = lifetimes(cast, accounts, k, start, end)
    if k.kind == "serve_harvest":
        _serve(cast, commons, accounts, live, round(k.size * k.per_account), role=2)
    else:
        account, at = schedule(rng, accounts, live, k)
        first = _harvest(cast, account, at, campaign_styles(cast, k, _FIRST.get(k.kind, k.kind)), k)
        more = _second_use(cast, k, accounts, live, first, account, at)
        cover = round((len(first) + more) * k.cover / (1 - k.cover))
        if k.kind == "relay_mixed":
            _serve(cast, commons, accounts, live, cover, role=1)
        else:
            _cover(cast, commons, accounts, live, cover)
    return {
        "campaign_id": f"C{number:03d}", "kind": k.kind, "level": k.level, "start": start, "end": end,
        "expected_verdict": "relay" if k.kind == "serve_harvest" else "distillation",
        "knobs": {name: getattr(k, name) for name in ("account", "time", "content", "cover", "copies", "personas")},
    }  # fmt: skip


def _columns(cast: Cast, number: int, k: Knobs, start: float) -> dict[str, Any]:
    """Account columns: what the operator shares up to account level 3, and nothing from 4 on."""
    rng, n, group = cast.rng, k.size, cast.group()
    ips, asns = _addresses(rng, k)
    clients = client_table()["cli" if k.relay else "sdk"]
    one = 0 if k.relay else int(rng.integers(0, len(clients)))
    same = k.account <= 3
    users = int(rng.integers(20, 80)) if k.kind in RELAYS and rng.random() < 0.5 else 0
    setting = int(rng.integers(0, 9))
    pivots = rng.random(n) < (0.95 if k.time <= 3 else 0.9 if k.time <= 6 else 0.75)
    delay = rng.uniform(3, 10, n) if k.level >= 7 else rng.exponential(0.25 + 0.05 * k.time, n)
    return {
        "population": f"campaign:{k.kind}", "campaign": number, "level": k.level, "group": group,
        "created": (start - (rng.exponential(3, n) if same else rng.uniform(20, 400, n)) * DAY).tolist(),
        "org": [("org", group, i) if rng.random() < 0.25 else None for i in range(n)],
        "owner": [("owner", group, i) if rng.random() < 0.35 else None for i in range(n)],
        "mail": _mail(rng, group, k), "card": _cards(group, k), "ip": ips, "asn": asns,
        "client": [clients[one if same else int(rng.integers(0, len(clients)))] for _ in range(n)],
        "devices": [("pool", group, 10) if k.relay else ("own", group * 1000 + i, 2 if rng.random() < 0.3 else 0) for i in range(n)],
        "programme": None, "declared": None, "verified": (rng.random(n) < 0.25).tolist(),
        "adopts": np.where(pivots, cast.release + delay * DAY, NEVER).tolist(),
        "users": users, "settings": [setting if k.account <= 2 else int(rng.integers(0, 9)) for _ in range(n)],
        "masks": rng.integers(0, 64, n).tolist(),
    }  # fmt: skip


def _addresses(rng: np.random.Generator, k: Knobs) -> tuple[list[str], list[int]]:
    """One address (0), one /24 (1), a few data-centre addresses (2), one each there (3), one each of a household (4)."""
    n = k.size
    shared = {0: 1, 1: 1, 2: max(2, n // 4)}.get(k.account, n)
    ips, asns = network_address(rng, "cloud" if k.account <= 3 else "home", shared)
    if k.account == 1:
        block = ips[0].rsplit(".", 1)[0]
        return [f"{block}.{host}" for host in rng.integers(2, 254, n)], asns * n
    where = rng.integers(0, shared, n) if shared < n else np.arange(n)
    return [ips[i] for i in where], [asns[i] for i in where]


def _mail(rng: np.random.Generator, group: int, k: Knobs) -> list[tuple[str, int, int]]:
    if k.account <= 1:
        return [("mail", group, 0)] * k.size
    if k.account <= 3:
        mine = rng.choice(20, 4, replace=False)
        return [("disposable", 0, int(mine[i])) for i in rng.integers(0, 4, k.size)]
    return [
        ("free", 0, int(rng.integers(0, 12))) if rng.random() < 0.55 else ("mail", group, i)
        for i in range(k.size)
    ]


def _cards(group: int, k: Knobs) -> list[tuple[str, int, int]]:
    """One card up to level 1, one for five accounts at 2 and 3, one each above."""
    return [("card", group, 0 if k.account <= 1 else i // 5 if k.account <= 3 else i) for i in range(k.size)]


def _harvest(cast: Cast, account: I64, at: F64, styles: list[list[int]], k: Knobs) -> I64:
    """Send the requests of the queue; `copies` neighbours in it, on whichever accounts, ask the very same."""
    rng, n = cast.rng, len(at)
    persona = account % len(styles)
    luck = rng.integers(0, 1 << 30, n)
    style = np.array(
        [styles[p][i % len(styles[p])] for p, i in zip(persona.tolist(), luck.tolist(), strict=True)],
        np.int64,
    )
    leader = np.arange(n) // k.copies * k.copies
    same = np.where((leader == np.arange(n)) | (persona != persona[leader]), -1, leader)
    style = np.where(same >= 0, style[leader], style)
    first = cast.requests
    return cast.request(account, at, style, 2, same_as=np.where(same >= 0, first + same, -1))


def _second_use(cast: Cast, k: Knobs, accounts: I64, live: F64, first: I64, account: I64, at: F64) -> int:
    """Trace cleaning and block replay use what other accounts of the pool were answered. Returns how often."""
    if k.kind not in ("tracecleaning", "blockreplay") or len(accounts) < 2:
        return 0
    rng = cast.rng
    chosen = np.flatnonzero(rng.random(len(first)) < 0.5)
    other = (account[chosen] - accounts[0] + rng.integers(1, len(accounts), len(chosen))) % len(accounts)
    later = at[chosen] + rng.uniform(0.05, 2, len(chosen)) * DAY
    fit = (later >= live[other, 0]) & (later <= live[other, 1])
    styles = campaign_styles(cast, k, k.kind)[0]
    link = {"echo_of" if k.kind == "tracecleaning" else "replay_of": first[chosen[fit]]}
    style = np.array(styles)[rng.integers(0, len(styles), int(fit.sum()))]
    return len(cast.request(accounts[other[fit]], later[fit], style, 2, **link))


def _cover(cast: Cast, commons: Commons, accounts: I64, live: F64, total: int) -> None:
    """Genuine-looking traffic on the same accounts, a habit each."""
    rng = cast.rng
    volume = rng.multinomial(total, np.full(len(accounts), 1 / len(accounts)))
    for account, (start, end), count in zip(accounts, live.tolist(), volume.tolist(), strict=True):
        if count == 0:
            continue
        style = commons.chat if rng.random() < 0.5 else int(rng.choice(commons.agents + commons.products))
        begin = max(0.0, start - 3 * DAY, cast.accounts["created"][account])
        opening = arrivals(rng, "human", max(1, round(count / 3)), begin, end)
        which, turn, at = conversations(rng, opening, 3.0)
        which, turn, at = which[:count], turn[:count], at[:count]
        cast.request(np.full(len(which), account), at, style, 1, session=cast.sessions + which, turn=turn)


def _serve(cast: Cast, commons: Commons, accounts: I64, live: F64, total: int, *, role: int) -> None:
    """Customers' conversations over a pool; some move to another account after an hour or a failure."""
    rng = cast.rng
    opening = arrivals(
        rng, "human", max(2, round(total / 3)), float(live[:, 0].min()), float(live[:, 1].max())
    )
    which, turn, at = conversations(rng, opening, 3.0)
    home = rng.integers(0, len(accounts), len(opening))
    next_one = (home + rng.integers(1, max(2, len(accounts)), len(opening))) % len(accounts)
    moved = (rng.random(len(opening)) < 0.3)[which] & (turn >= 1)
    pick = np.where(moved, next_one[which], home[which])
    there = (at >= live[pick, 0]) & (at <= live[pick, 1])
    style = commons.customer(rng, len(opening))[which]
    cast.request(
        accounts[pick[there]], at[there], style[there], role,
        session=cast.sessions + which[there], turn=turn[there],
    )  # fmt: skip
