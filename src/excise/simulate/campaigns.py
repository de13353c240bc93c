"""The campaigns: what an operator shares and hides at each level of the ladder, and what its accounts then do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from excise.simulate.benign import Commons
from excise.simulate.cast import (
    F64,
    I64,
    NEVER,
    Cast,
    Style,
    arrivals,
    client_table,
    conversations,
    network_address,
)
from excise.simulate.grammar import grammar
from excise.simulate.spec import CAPABILITY, DAY, WorldSpec

_FOREIGN: Final = 0.25
"""Share of wrappers in other languages from level 5 on."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """What one campaign hides (0: nothing, 8: everything that the ladder hides), layer by layer, and its numbers."""

    account: int
    time: int
    content: int
    level: int
    size: int
    per_account: float
    cover: float
    copies: int
    personas: int


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Text around a payload. `fixed`: one text; else it is drawn anew for each request from the kind's grammar."""

    kind: str
    tags: tuple[str, str, str]
    fixed: str | None
    persona: bool = False
    foreign: float = 0.0


def draw_knobs(cast: Cast, spec: WorldSpec, level: int, room: int) -> Knobs:
    """Draw a campaign of a level. Layers wander by one step each, together as far as `correlation` says."""
    rng = cast.rng
    common = rng.random()

    def layer() -> int:
        luck = common if rng.random() < spec.correlation else rng.random()
        return (
            int(np.clip(level + (luck > 0.85) - (luck < 0.15), 0 if level == 0 else 1, 8))
            if level < 4
            else level
        )

    size = 2 if level == 0 else int(np.clip(rng.lognormal(3.0, 0.5), 8, max(9, room)))
    cover = (
        0.0
        if level <= 1
        else rng.uniform(0, 0.1)
        if level <= 3
        else rng.uniform(0.1, 0.3)
        if level == 4
        else rng.uniform(0.3, 0.5)
        if level == 5
        else rng.uniform(0.5, 0.9)
    )
    per_account = 120.0 if level == 0 else 5.0 * spec.days * 0.5 if level >= 7 else float(rng.uniform(25, 60))
    copies = int(rng.choice([1, 2, 4])) if 2 <= level <= 6 else 1
    return Knobs(
        layer(),
        layer(),
        layer(),
        level,
        size,
        per_account,
        cover,
        copies,
        int(rng.integers(3, 6)) if level >= 7 else 1,
    )


def move_in(cast: Cast, commons: Commons, spec: WorldSpec) -> list[dict[str, Any]]:
    """Add the campaigns of a world; returns what the labels say of each."""
    out = []
    room = max(8, round(spec.account_count() * 0.03 / max(1, spec.campaign_count())))
    order = cast.rng.permutation(len(spec.kinds))
    for number in range(spec.campaign_count()):
        level = spec.levels[number % len(spec.levels)]
        kind = spec.kinds[order[number % len(order)]]
        out.append(_campaign(cast, commons, spec, number, kind, draw_knobs(cast, spec, level, room)))
    return out


def _campaign(
    cast: Cast, commons: Commons, spec: WorldSpec, number: int, kind: str, k: Knobs
) -> dict[str, Any]:
    rng, days = cast.rng, cast.days
    start, end = rng.uniform(0, 0.25) * days * DAY, rng.uniform(0.8, 1.0) * days * DAY
    accounts = cast.admit(k.size, **_columns(cast, number, kind, k, start))
    styles = _styles(cast, kind, k)
    live = _suspensions(cast, accounts, k, start, end)
    total = round(k.size * k.per_account)
    if kind == "serve_harvest":
        _serve(cast, commons, accounts, live, total, role=2)
    else:
        account, at = _schedule(cast, accounts, live, k, total, kind)
        first = _harvest(cast, account, at, styles, k)
        _second_use(cast, kind, accounts, live, first, account, at, styles, k)
        cover = round(total * k.cover / max(0.05, 1 - k.cover))
        _cover(cast, commons, accounts, live, cover, customers=kind == "relay_mixed")
    return {
        "campaign_id": f"C{number:03d}", "kind": kind, "level": k.level, "start": start, "end": end,
        "expected_verdict": "relay" if kind == "serve_harvest" else "distillation",
        "knobs": {name: getattr(k, name) for name in ("account", "time", "content", "cover", "copies", "personas")},
    }  # fmt: skip


def _columns(cast: Cast, number: int, kind: str, k: Knobs, start: float) -> dict[str, Any]:
    """Account columns. Levels 0-1 share all, 2-3 cells of cards and disposable mail, from 4 on nothing."""
    rng, n, group = cast.rng, k.size, cast.group()
    cell = np.arange(n) // 5
    card = np.zeros(n, int) if k.account <= 1 else cell if k.account <= 3 else np.arange(n)
    place = "cloud" if k.account <= 3 else "home"
    blocks = 1 if k.account <= 1 else max(2, n // 4) if k.account == 2 else n
    ips, asns = network_address(rng, place, blocks)
    where = rng.integers(0, blocks, n) if blocks < n else np.arange(n)
    if k.account == 1:  # one /24, an address each
        ips = [f"{ips[0].rsplit('.', 1)[0]}.{h}" for h in rng.integers(2, 254, n)]
        asns, where = asns * n, np.arange(n)
    relay = k.account == 3 or kind in ("relay_mixed", "serve_harvest")
    clients = client_table()["cli" if relay else "sdk"]
    one = int(rng.integers(0, len(clients)))
    burst = k.account <= 3
    late = k.level >= 7
    pivots = rng.random(n) < (0.95 if k.time <= 3 else 0.75)
    return {
        "population": f"campaign:{kind}", "campaign": number, "level": k.level, "group": group,
        "created": (start - rng.exponential(3, n) * DAY if burst else rng.uniform(-400, -20, n) * DAY).tolist(),
        "org": None, "owner": [("owner", group, i) if rng.random() < 0.3 else None for i in range(n)],
        "mail": [("disposable", int(rng.integers(0, 20)) if k.account > 1 else number % 20, 0) if k.account <= 3 else ("free", 0, int(rng.integers(0, 12))) if rng.random() < 0.55 else ("mail", group, i) for i in range(n)],
        "card": [("card", group, int(c)) for c in card], "ip": [ips[i] for i in where], "asn": [asns[i] for i in where],
        "client": [clients[0 if relay and k.account == 3 else one if k.account <= 2 else int(rng.integers(0, len(clients)))] for _ in range(n)],
        "devices": [("pool", group, 10) if relay else ("own", group * 1000 + i, 2 if rng.random() < 0.3 else 0) for i in range(n)],
        "programme": None, "declared": None, "verified": (rng.random(n) < 0.25).tolist(),
        "adopts": np.where(pivots, cast.release + (rng.uniform(3, 10, n) if late else rng.exponential(0.3 + 0.1 * k.time, n)) * DAY, NEVER).tolist(),
        "users": 0, "settings": [9 if k.account <= 2 else int(rng.integers(0, 9)) for _ in range(n)], "masks": rng.integers(0, 64, n).tolist(),
    }  # fmt: skip


def _styles(cast: Cast, kind: str, k: Knobs) -> list[list[int]]:
    """Styles by persona: one fixed wrapper at levels 0-3, a few variants at 4, drawn anew for each request from 5 on."""
    base = {"relay_mixed": "cot", "serve_harvest": "cot"}.get(kind, kind)
    out = []
    for _ in range(k.personas):
        tags = _tags(cast.rng)
        count = 1 if k.content <= 3 else int(cast.rng.integers(3, 7)) if k.content == 4 else 1
        drawn = k.content >= 5
        mine = []
        for _ in range(count):
            fixed = None if drawn else wrapper_texts(Wrapper(base, tags, None), 1, cast.rng)[0]
            wrapper = Wrapper(base, tags, fixed, k.content == 3, _FOREIGN if drawn else 0.0)
            mine.append(
                cast.style(
                    Style(
                        f"{base}payload",
                        wrapper=wrapper,
                        capability=CAPABILITY[kind],
                        answer="harvestanswer",
                        refused=0.01,
                    )
                )
            )
        out.append(mine)
    return out


def _tags(rng: np.random.Generator) -> tuple[str, str, str]:
    a, b, c = grammar().draw("tagname", 3, rng)
    return a, b, c


def wrapper_texts(wrapper: Wrapper, count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` texts of a wrapper's instruction, without the payload."""
    text = grammar()
    bound = {name: [tag] * count for name, tag in zip(("taga", "tagb", "key"), wrapper.tags, strict=True)}
    kinds = np.where(rng.random(count) < wrapper.foreign, "fremd", wrapper.kind)
    task, contract = [""] * count, [""] * count
    for kind in np.unique(kinds).tolist():
        rows = np.flatnonzero(kinds == kind)
        part = {name: [wrapper.tags[i]] * len(rows) for i, name in enumerate(("taga", "tagb", "key"))}
        for i, a, b in zip(
            rows.tolist(),
            text.draw(f"{kind}task", len(rows), rng, part),
            text.draw(f"{kind}contract", len(rows), rng, part),
            strict=True,
        ):
            task[i], contract[i] = a, b
    return text.draw("layout", count, rng, bound | {"kindtask": task, "kindcontract": contract})


def _suspensions(cast: Cast, accounts: I64, k: Knobs, start: float, end: float) -> F64:
    """Return (n, 2) the times between which each account works: waves of bans, after which spare accounts take over."""
    rng, n = cast.rng, len(accounts)
    live = np.tile([start, end], (n, 1))
    if k.level >= 4:  # a ramp, and stints of work
        live[:, 0] += rng.uniform(0, 0.3, n) * (end - start)
    if k.level == 0 or n < 10:
        return live
    spare = max(1, n // 5)
    at = rng.uniform(start + 0.3 * (end - start), start + 0.8 * (end - start))
    lag = rng.uniform(0.5, 5, spare) / 24 if k.time <= 6 else rng.uniform(1, 4, spare)
    for i in range(spare):
        stopped = at + rng.exponential(600)
        live[i, 1] = stopped
        cast.events.append((stopped, "suspension", int(accounts[i]), "terms"))
        live[n - 1 - i, 0] = at + lag[i] * DAY
    return live


def _schedule(cast: Cast, accounts: I64, live: F64, k: Knobs, total: int, kind: str) -> tuple[I64, F64]:
    """Return who sends when: an even quota, a queue that all share, the baton of a relay, or days like anybody's."""
    rng, n = cast.rng, len(accounts)
    weight = np.maximum(live[:, 1] - live[:, 0], 3600.0) * (
        np.ones(n) if k.level <= 3 else np.exp(rng.normal(0, 0.6, n))
    )
    volume = rng.multinomial(total, weight / weight.sum())
    if k.time <= 1:
        pieces = [
            np.linspace(a, b, v + 2)[1:-1] + rng.normal(0, (b - a) / (v + 1) * 0.08, v)
            for (a, b), v in zip(live, volume, strict=True)
        ]
        return np.repeat(accounts, volume), np.concatenate(pieces)
    if k.time <= 3:
        at = np.sort(rng.uniform(live[:, 0].min(), live[:, 1].max(), total))
        slot = (at // (3600 if k.time == 3 else 10)).astype(np.int64)
        lanes = max(1, n // 5)
        pick = (slot * 7 + rng.integers(0, lanes, total)) % n if k.time == 3 else rng.integers(0, n, total)
        at = at if k.time == 3 else slot * 10 + rng.exponential(0.4, total)
        inside = (at >= live[pick, 0]) & (at <= live[pick, 1])
        return accounts[pick[inside]], at[inside]
    human = rng.random() < 0.5 or k.level >= 7
    pieces = [
        arrivals(rng, "human" if human else "machine", v, a, b)
        for (a, b), v in zip(live, volume, strict=True)
    ]
    return np.repeat(accounts, volume), np.concatenate(pieces)


def _harvest(cast: Cast, account: I64, at: F64, styles: list[list[int]], k: Knobs) -> I64:
    """Send the requests of the queue; `copies` neighbours in it, on whichever accounts, ask the very same."""
    rng = cast.rng
    order = np.argsort(at, kind="stable")
    account, at = account[order], at[order]
    persona = account % len(styles)
    style = np.array(
        [
            styles[p][int(i) % len(styles[p])]
            for p, i in zip(persona, rng.integers(0, 1 << 30, len(at)), strict=True)
        ]
    )
    leader = np.arange(len(at)) // k.copies * k.copies
    same = np.where((leader == np.arange(len(at))) | (persona != persona[leader]), -1, leader)
    style = np.where(same >= 0, style[leader], style)
    first = cast.requests
    return cast.request(account, at, style, 2, same_as=np.where(same >= 0, first + same, -1))


def _second_use(
    cast: Cast,
    kind: str,
    accounts: I64,
    live: F64,
    first: I64,
    account: I64,
    at: F64,
    styles: list[list[int]],
    k: Knobs,
) -> None:
    """Trace cleaning and block replay use what other accounts of the pool were answered."""
    if kind not in ("tracecleaning", "blockreplay") or len(accounts) < 2:
        return
    rng = cast.rng
    order = np.argsort(at, kind="stable")
    chosen = np.flatnonzero(rng.random(len(first)) < 0.5)
    other = (account[order][chosen] - accounts[0] + rng.integers(1, len(accounts), len(chosen))) % len(
        accounts
    )
    later = at[order][chosen] + rng.uniform(0.05, 2, len(chosen)) * DAY
    later = np.clip(later, live[other, 0], live[other, 1])
    fit = later > at[order][chosen]
    style = np.full(int(fit.sum()), styles[0][0])
    link = {"echo_of" if kind == "tracecleaning" else "replay_of": first[chosen[fit]]}
    cast.request(accounts[other[fit]], later[fit], style, 2, **link)


def _cover(cast: Cast, commons: Commons, accounts: I64, live: F64, total: int, *, customers: bool) -> None:
    """Genuine-looking traffic on the same accounts: a habit each, or, through a relay, many customers."""
    rng = cast.rng
    if total <= 0:
        return
    if customers:
        _serve(cast, commons, accounts, live, total, role=1)
        return
    for account, (start, end), volume in zip(
        accounts, live, rng.multinomial(total, np.full(len(accounts), 1 / len(accounts))), strict=True
    ):
        style = commons.chat if rng.random() < 0.5 else int(rng.choice(commons.agents + commons.products))
        which, turn, at = conversations(
            rng, arrivals(rng, "human", max(1, volume // 3), max(0.0, start - 3 * DAY), end), 3.0
        )
        cast.request(np.full(len(which), account), at, style, 1, session=cast.sessions + which, turn=turn)


def _serve(cast: Cast, commons: Commons, accounts: I64, live: F64, total: int, *, role: int) -> None:
    """Customers' conversations over a pool; some move to another account after an hour or a failure."""
    rng = cast.rng
    opening = arrivals(rng, "human", max(2, total // 3), float(live[:, 0].min()), float(live[:, 1].max()))
    which, turn, at = conversations(rng, opening, 3.0)
    home = rng.integers(0, len(accounts), len(opening))
    next_one = (home + rng.integers(1, max(2, len(accounts)), len(opening))) % len(accounts)
    moved = (rng.random(len(opening)) < 0.3)[which] & (turn >= 1)
    carrier = accounts[np.where(moved, next_one[which], home[which])]
    cast.request(
        carrier,
        at,
        commons.customer(rng, len(opening))[which],
        role,
        session=cast.sessions + which,
        turn=turn,
    )
