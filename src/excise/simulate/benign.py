"""The honest customers, population by population, from the table in `spec`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from excise.simulate.cast import (
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
from excise.simulate.populations import POPULATIONS, Population
from excise.simulate.spec import DAY

_PUBLIC: Final = 20_260_101
"""Seed of what is public: the same agents, evaluation sets and judge templates in every world."""
_JOINS: Final = 0.12
"""Share of ordinary accounts that are made during the period."""
_ANSWER: Final = {
    "turn": "toolanswer",
    "code": "codeanswer",
    "document": "documentanswer",
    "label": "labelanswer",
    "judged": "gradeanswer",
    "item": "itemanswer",
    "assignment": "codeanswer",
}


class Commons:
    """What strangers share without knowing each other: open-source agents, evaluation sets, judge templates, products."""

    def __init__(self, cast: Cast) -> None:
        public, text = np.random.default_rng(_PUBLIC), grammar()
        self.agents = [
            cast.style(
                Style("turn", text.one("agentprompt", public), text.one("tools", public), answer="toolanswer")
            )
            for _ in range(6)
        ]
        self.evals = [
            cast.style(
                Style(
                    "item",
                    text.one("evalprompt", public),
                    items=tuple(text.draw("item", 120, public)),
                    answer="itemanswer",
                )
            )
            for _ in range(10)
        ]
        self.judges = [
            cast.style(Style("judged", text.one("judgeprompt", public), answer="gradeanswer"))
            for _ in range(5)
        ]
        self.chat = cast.style(Style("chat"))
        self.products = [cast.style(Style("support", text.one("productprompt", cast.rng))) for _ in range(40)]

    def customer(self, rng: np.random.Generator, count: int) -> I64:
        """Styles of the unrelated customers of one reseller: mostly chat, some agents and a few products."""
        mine = rng.choice(len(self.products), 4, replace=False)
        every = np.array([self.chat] * 8 + self.agents + [self.products[i] for i in mine])
        return every[rng.integers(0, len(every), count)]


def move_in(cast: Cast, commons: Commons, accounts: int, exchanges: int) -> None:
    """Add all populations; volumes are scaled so that the whole comes near `exchanges`."""
    mean = sum(p.share * p.volume * np.exp(p.sigma**2 / 2) for p in POPULATIONS)
    scale = exchanges / max(1.0, mean * accounts)
    for population in POPULATIONS:
        count = round(accounts * population.share)
        while count > 0:
            size = min(count, int(cast.rng.integers(population.group[0], population.group[1] + 1)))
            _group(cast, commons, population, size, scale)
            count -= size


def _group(cast: Cast, commons: Commons, p: Population, size: int, scale: float) -> None:
    rng = cast.rng
    term = "term" in p.shares
    start = rng.uniform(0, cast.days * 0.6) * DAY if term else 0.0
    end = min(cast.days * DAY, start + rng.uniform(4, 12) * DAY) if term else cast.days * DAY
    accounts = cast.admit(size, **account_columns(cast, p, size, start))
    shared = _shared_style(cast, commons, p)
    for account in accounts.tolist():
        volume = max(1, round(p.volume * scale * float(np.exp(rng.normal(0, p.sigma)))))
        begin = max(start, cast.accounts["created"][account] + rng.exponential(2 * 3600))
        _send(cast, commons, p, account, accounts, shared, volume, min(begin, end - 3600), end)


def _created(cast: Cast, p: Population, size: int, start: float) -> list[float]:
    """When the accounts were made (seconds from the start): before a course, over a trial, at once for one owner, else any time."""
    rng, days = cast.rng, cast.days
    if "term" in p.shares:
        ago = start / DAY - rng.exponential(3, size)
    elif p.name == "free_trial":
        ago = rng.uniform(-20, days * 0.9, size)
    elif "sessions" in p.shares:  # a pool is there before its customers are
        ago = rng.uniform(-400, 0, size)
    elif "owner" in p.shares:
        ago = rng.uniform(-400, days * 0.3) + rng.exponential(2, size)
    else:
        ago = np.where(
            rng.random(size) < _JOINS, rng.uniform(0, days * 0.9, size), rng.uniform(-400, 0, size)
        )
    return [float(x) for x in ago * DAY]


def _mail(cast: Cast, p: Population, group: int, size: int) -> list[tuple[str, int, int]]:
    rng = cast.rng
    if "mail" in p.shares:
        return [("mail", group, 0)] * size
    disposable = rng.random(size) < (0.12 if p.name in ("vpn_user", "free_trial") else 0.02)
    free = rng.random(size) < 0.55
    return [
        ("disposable", 0, int(rng.integers(0, 20))) if d else ("free", 0, int(rng.integers(0, 12))) if f else ("mail", group, i)
        for i, (d, f) in enumerate(zip(disposable, free, strict=True))
    ]  # fmt: skip


def account_columns(cast: Cast, p: Population, size: int, start: float) -> dict[str, Any]:
    """Return the account columns of a group: its own for each, or one for all where the population shares it."""
    rng, group = cast.rng, cast.group()
    office = p.network in ("office", "vendor")
    ips, asns = network_address(rng, "cloud" if p.network == "vendor" else p.network, 1 if office else size)
    if office:
        ips, asns = ips * size, asns * size
    clients = client_table()[p.client]
    first = int(rng.integers(0, len(clients)))
    adopts = rng.random(size) < (0.6 if p.prompt in ("agent", "eval") else 0.25)
    return {
        "population": p.name, "campaign": None, "level": None, "group": group,
        "created": _created(cast, p, size, start),
        "org": [(("org", group, 0) if "org" in p.shares else ("org", group, i) if rng.random() < 0.3 else None) for i in range(size)],
        "owner": [(("owner", group, 0) if "owner" in p.shares else ("owner", group, i) if rng.random() < 0.4 else None) for i in range(size)],
        "mail": _mail(cast, p, group, size), "ip": ips, "asn": asns,
        "card": [None if p.name == "free_trial" else ("card", group, 0 if "card" in p.shares else i) for i in range(size)],
        "client": [clients[first if "client" in p.shares else int(rng.integers(0, len(clients)))] for _ in range(size)],
        "devices": [("pool", group, 12) if "devices" in p.shares else ("own", group * 1000 + i, 2 if rng.random() < 0.3 else 0) for i in range(size)],
        "programme": p.programme, "declared": [p.declared if rng.random() < p.declares else None for _ in range(size)], "verified": (rng.random(size) < p.verified).tolist(),
        "adopts": np.where(adopts, cast.release + rng.exponential(2.5, size) * DAY, NEVER).tolist(),
        "users": int(rng.integers(20, 80)) if p.prompt == "many" or p.name == "heavy_app" else 0,
        "settings": [int(rng.integers(0, 9)) for _ in range(size)], "masks": rng.integers(0, 64, size).tolist(),
    }  # fmt: skip


def _shared_style(cast: Cast, commons: Commons, p: Population) -> int | None:
    """The style of a whole group: its product's, course's or pipeline's prompt."""
    symbols = {
        "group": "productprompt",
        "class": "classprompt",
        "hack": "hackprompt",
        "ci": "ciprompt",
        "synth": "synthprompt",
    }
    if p.prompt not in symbols or ("prompt" not in p.shares and p.prompt != "group"):
        return None
    text = grammar()
    items = tuple(text.draw(p.text, 25, cast.rng)) if "items" in p.shares else ()
    return cast.style(
        Style(
            p.text,
            text.one(symbols[p.prompt], cast.rng),
            items=items,
            answer=_ANSWER.get(p.text, "chatanswer"),
        )
    )


def _send(
    cast: Cast,
    commons: Commons,
    p: Population,
    account: int,
    group: I64,
    shared: int | None,
    volume: int,
    start: float,
    end: float,
) -> None:
    rng = cast.rng
    opening = arrivals(rng, p.arrival, max(1, round(volume / p.turns)), start, end)
    which, turn, at = conversations(rng, opening, p.turns)
    if p.prompt == "many":
        style = commons.customer(rng, len(opening))[which]
    elif p.prompt == "eval":
        mine = np.array(commons.evals)[rng.integers(0, len(commons.evals), 2)]
        style = mine[rng.integers(0, 2, len(opening))][which]
    else:
        style = np.full(len(which), shared if shared is not None else _own_style(cast, commons, p))
    carrier = np.full(len(which), account)
    if "sessions" in p.shares:  # relay software hands a conversation on by the hour, or when an account fails
        hop = (rng.random(len(opening)) < 0.3)[which] & (turn >= 1)
        carrier = np.where(hop, group[rng.integers(0, len(group), len(opening))][which], carrier)
    cast.request(carrier, at, style, session=cast.sessions + which, turn=turn)


def _own_style(cast: Cast, commons: Commons, p: Population) -> int:
    rng, text = cast.rng, grammar()
    if p.prompt == "agent":
        return int(rng.choice(commons.agents, p=np.array([8, 4, 3, 2, 1, 1]) / 19))
    if p.prompt == "judge" and rng.random() < 0.6:
        return int(rng.choice(commons.judges))
    symbols = {
        "own": "productprompt",
        "personal": "personal",
        "label": "labelprompt",
        "judge": "judgeprompt",
        "synth": "synthprompt",
        "red": "redprompt",
        "hack": "hackprompt",
    }
    if p.prompt not in symbols or (p.prompt == "personal" and rng.random() < 0.7):
        return commons.chat if p.text == "chat" else cast.style(Style(p.text, refused=p.refused))
    return cast.style(
        Style(
            p.text,
            text.one(symbols[p.prompt], rng),
            refused=p.refused,
            answer=_ANSWER.get(p.text, "chatanswer"),
        )
    )
