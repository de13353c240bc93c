"""From numbers to rows: texts, answers, identities and the contract's columns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from excise.model import schema
from excise.simulate.cast import I64, Cast, Style
from excise.simulate.grammar import grammar
from excise.simulate.spec import BASE, DAY
from excise.simulate.wrappers import wrap

MODELS: Final = ("orion-3-large", "orion-3-small", "orion-4-large")
_ROLES: Final = ("benign", "cover", "harvest")
_SETTINGS: Final = (
    (0.0, 4096),
    (0.7, 1024),
    (1.0, 2048),
    (0.2, 8192),
    (0.7, 512),
    (1.0, 1024),
    (0.3, 4096),
    (0.9, 2048),
    (0.5, 1024),
)
"""Temperature and max_tokens that clients are set to."""  # fmt: skip


class Columns:
    """All requests in time order, within the period, of accounts that exist."""

    def __init__(self, cast: Cast) -> None:
        parts = cast.traffic
        at = np.concatenate([t.at for t in parts])
        keep = np.flatnonzero((at >= 0) & (at < cast.days * DAY))
        self.order = keep[np.argsort(at[keep], kind="stable")]
        self.position = np.full(cast.requests, -1, np.int64)
        self.position[self.order] = np.arange(len(self.order))

        def take(name: str) -> I64:
            return np.concatenate([getattr(t, name) for t in parts])[self.order]

        self.at = at[self.order]
        self.account, self.session, self.turn, self.style = (
            take("account"),
            take("session"),
            take("turn"),
            take("style"),
        )
        self.role = np.repeat([t.role for t in parts], [len(t.at) for t in parts])[self.order]
        self.same_as, self.echo_of, self.replay_of = (
            self._follow(take(name)) for name in ("same_as", "echo_of", "replay_of")
        )

    def _follow(self, reference: I64) -> I64:
        """Positions of the requests that are referred to; -1 where they fell out of the period or come later."""
        place = np.where(reference >= 0, self.position[np.maximum(reference, 0)], -1)
        return np.where(place < np.arange(len(place)), place, -1)

    def __len__(self) -> int:
        return len(self.at)


def render(cast: Cast, seed: int) -> tuple[pa.Table, Columns, list[str]]:
    """Return the exchanges table, the columns behind it (for the labels), and the ids of the accounts."""
    c = Columns(cast)
    rng = np.random.default_rng([seed, 77])
    names = _names("acct", len(cast.accounts["population"]), seed)
    answers = _alike(
        cast,
        c,
        lambda style: (style.answer, style.wrapper and style.wrapper.tags),
        lambda style, n: grammar().draw(style.answer, n, rng, style.wrapper and style.wrapper.bound(n)),
    )
    users = _user_texts(cast, c, rng, answers)
    return _table(cast, c, rng, seed, names, users, answers), c, names


def _names(kind: str, count: int, seed: int) -> list[str]:
    """Ids that tell nothing: hashes of a number under the seed."""
    return [
        f"{kind}_{hashlib.blake2b(f'{kind}/{seed}/{i}'.encode(), digest_size=8).hexdigest()}"
        for i in range(count)
    ]


def secret(*parts: Any) -> str:
    """Return a short hash of a fact that must be equal for equal facts, and tell nothing else."""
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=6).hexdigest()


def _alike(
    cast: Cast, c: Columns, key: Callable[[Style], Any], make: Callable[[Style, int], list[str]]
) -> list[str]:
    """Make a text for every request, in one go for all whose styles have the same key: a draw is cheap in bulk only."""
    numbers: dict[Any, int] = {}
    group = np.array([numbers.setdefault(key(style), len(numbers)) for style in cast.styles])[c.style]
    out = [""] * len(c)
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        for row, text in zip(rows.tolist(), make(cast.styles[int(c.style[rows[0]])], len(rows)), strict=True):
            out[row] = text
    return out


def _user_texts(cast: Cast, c: Columns, rng: np.random.Generator, answers: list[str]) -> list[str]:
    def payload(style: Style, n: int) -> list[str]:
        if style.items:
            return [style.items[i] for i in rng.integers(0, len(style.items), n)]
        return grammar().draw(style.symbol, n, rng)

    texts = _alike(cast, c, lambda style: style.items or style.symbol, payload)
    follow = np.flatnonzero(
        (c.turn > 0)
        & np.array([cast.styles[s].symbol in ("chat", "support", "document") for s in c.style.tolist()])
    )
    for row, text in zip(follow.tolist(), grammar().draw("follow", len(follow), rng), strict=True):
        texts[row] = text
    for row in np.flatnonzero(c.echo_of >= 0).tolist():
        texts[row] += answers[c.echo_of[row]]
    for number, style in enumerate(cast.styles):
        if style.wrapper is not None:
            wrap(texts, np.flatnonzero(c.style == number).tolist(), style.wrapper, rng)
    for row in np.flatnonzero(c.same_as >= 0).tolist():
        texts[row] = texts[c.same_as[row]]
    return texts


def _table(
    cast: Cast,
    c: Columns,
    rng: np.random.Generator,
    seed: int,
    names: list[str],
    users: list[str],
    answers: list[str],
) -> pa.Table:
    a, n = cast.accounts, len(c)
    account = c.account.tolist()
    masks = np.array(a["masks"])[c.account]

    def pick(name: str) -> list[Any]:
        return [a[name][i] for i in account]

    def shown(bit: int) -> list[bool]:
        """Half of the accounts' logs carry a fact."""
        return [bool(x) for x in (masks >> bit & 1) == 0]

    failed = rng.random(n) < 0.01
    refused = ~failed & (rng.random(n) < np.array([cast.styles[s].refused for s in c.style.tolist()]))
    refusal = grammar().draw("refusal", int(refused.sum()), rng)
    for row, text in zip(np.flatnonzero(refused).tolist(), refusal, strict=True):
        answers[row] = text
    large = (np.array(a["settings"])[c.account] % 3) != 1
    new = (c.at > np.array(a["adopts"])[c.account]) & (rng.random(n) < 0.6)
    settings = np.array(a["settings"])[c.account]
    device = [_device(d, s) for d, s in zip(pick("devices"), c.session.tolist(), strict=True)]
    failed[c.replay_of[c.replay_of >= 0]] = False  # what is used again was given
    emitted = (rng.random(n) < 0.3) & ~failed
    emitted[c.replay_of[c.replay_of >= 0]] = True
    thoughts = _thoughts(emitted & ~refused, rng)
    systems = [cast.styles[s].system for s in c.style.tolist()]
    values: dict[str, Any] = {
        "exchange_id": _names("ex", n, seed),
        "started_at": (BASE * 1_000_000 + (c.at * 1e6).astype(np.int64)),
        "account_id": [names[i] for i in account],
        "org_id": [secret("org", seed, v) if v else None for v in pick("org")],
        "key_id": [secret("key", seed, i) for i in account],
        "end_user_id": [secret("user", seed, i, s % u) if u else None for i, s, u in zip(account, c.session.tolist(), pick("users"), strict=True)],
        "session_id": [secret("session", seed, s) if ok else None for s, ok in zip(c.session.tolist(), shown(0), strict=True)],
        "client_ip": pick("ip"), "asn": pick("asn"),
        "user_agent": [f"{x[0]}/{x[1]}" for x in pick("client")], "sdk_name": [x[0] for x in pick("client")],
        "sdk_version": [x[1] for x in pick("client")], "os": [x[2] for x in pick("client")], "runtime": [x[3] or None for x in pick("client")],
        "ja4": ["t13d" + secret("ja4", x[0], x[3]) if ok else None for x, ok in zip(pick("client"), shown(1), strict=True)],
        "device_id": device, "provider": ["orion"] * n, "endpoint": ["chat"] * n,
        "model": [MODELS[2] if v else MODELS[0] if big else MODELS[1] for v, big in zip(new.tolist(), large.tolist(), strict=True)],
        "temperature": [_SETTINGS[s][0] if ok else None for s, ok in zip(settings.tolist(), shown(2), strict=True)],
        "max_tokens": [_SETTINGS[s][1] if ok else None for s, ok in zip(settings.tolist(), shown(2), strict=True)],
        "system_text": systems, "user_text": users, "tools_json": [cast.styles[s].tools for s in c.style.tolist()],
        "n_messages": c.turn * 2 + 1, "output_text": [None if f else t for t, f in zip(answers, failed.tolist(), strict=True)],
        "stop_reason": ["error" if f else "refusal" if r else "stop" for f, r in zip(failed.tolist(), refused.tolist(), strict=True)],
        "replayed_blocks": [[secret("block", seed, r)] if r >= 0 else [] for r in c.replay_of.tolist()],
        "emitted_blocks": [[secret("block", seed, i)] if e else [] for i, e in enumerate(emitted.tolist())],
        "tokens_in": [(len(u) + len(s or "")) // 4 + 4 for u, s in zip(users, systems, strict=True)],
        "reasoning_text": thoughts, "tokens_reasoning": [len(t) // 4 if t else 0 for t in thoughts],
        "tokens_out": [0 if f else len(t) // 4 + 1 for t, f in zip(answers, failed.tolist(), strict=True)],
        "http_status": np.where(failed, 529, 200), "latency_ms": (300 + rng.lognormal(6, 0.6, n)).astype(np.int64),
    }  # fmt: skip
    return pa.table(
        [
            _array(values[f.name], f.type) if f.name in values else pa.nulls(n, f.type)
            for f in schema.EXCHANGES
        ],
        schema=schema.EXCHANGES,
    )


def _thoughts(shown: npt.NDArray[np.bool_], rng: np.random.Generator) -> list[str | None]:
    """The visible reasoning of the rows that have some."""
    out: list[str | None] = [None] * len(shown)
    rows = np.flatnonzero(shown).tolist()
    for row, text in zip(rows, grammar().draw("thinking", len(rows), rng), strict=True):
        out[row] = text
    return out


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return pa.array(values, pa.int64()).cast(kind) if kind == schema.TIMESTAMP else pa.array(values, kind)


def _device(device: tuple[str, int, int], session: int) -> str | None:
    """A device of the account, or of the pool behind a relay, whose customers bring theirs along."""
    kind, owner, count = device
    return secret("device", kind, owner, session % count) if count else None


def role_name(role: int) -> str:
    """Return the label of a role."""
    return _ROLES[role]
