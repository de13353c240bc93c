"""Accounts and requests in numbers, before any text: columns that grow as populations and campaigns move in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from excise.simulate.spec import DAY

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
NEVER: Final = 1e18

_CLIENTS: Final = {
    "sdk": (("python-sdk", ("1.40.2", "1.57.0", "1.75.3", "2.1.0"), ("CPython 3.10.14", "CPython 3.11.9", "CPython 3.12.4")), ("node-sdk", ("4.71.1", "5.8.2"), ("node v18.20.4", "node v20.19.2", "node v22.12.0")), ("go-sdk", ("0.9.1", "1.4.0"), ("go1.22.5", "go1.23.4")), ("rest", ("7.81", "8.5"), ("",))),
    "cli": (("shell-agent", ("1.0.57", "1.0.110", "2.0.4"), ("node v20.19.2", "node v22.12.0")), ("patch-agent", ("0.61.0", "0.80.1"), ("CPython 3.12.4",))),
    "browser": (("web", ("2026.1", "2026.2"), ("",)),),
}  # fmt: skip
_SYSTEMS: Final = ("Linux", "MacOS", "Windows")


def client_table() -> dict[str, list[tuple[str, str, str, str]]]:
    """Return the clients (sdk_name, version, os, runtime) of each group; the first `cli` one is what a stock relay shows."""
    return {
        group: [
            (name, version, system, runtime)
            for name, versions, runtimes in entries
            for version in versions
            for runtime in runtimes
            for system in _SYSTEMS
        ]
        for group, entries in _CLIENTS.items()
    }


@dataclass(frozen=True, slots=True)
class Traffic:
    """Some requests: one value each. `session` and `text` are numbers of their own; `style` says how the text is made.

    `same_as`: the request whose text this one repeats; `echo_of`: whose answer it brings back; `replay_of`: whose reasoning
    block; -1 for none. `role`: 0 benign, 1 cover, 2 harvest.
    """

    account: I64
    at: F64
    session: I64
    turn: I64
    style: I64
    role: int
    same_as: I64
    echo_of: I64
    replay_of: I64


@dataclass(frozen=True, slots=True)
class Style:
    """How a request is made: the symbol of the user text, a system prompt, tools, and perhaps a wrapper around the text.

    `items`: texts to choose from instead of the symbol. `wrapper`: see `wrappers.Wrapper`.
    """

    symbol: str
    system: str | None = None
    tools: str | None = None
    items: tuple[str, ...] = ()
    wrapper: Any = None
    refused: float = 0.004
    answer: str = "chatanswer"


@dataclass(slots=True)
class Cast:
    """Everything that moved in so far. Account columns are lists of equal length."""

    rng: np.random.Generator
    days: int
    release: float
    accounts: dict[str, list[Any]] = field(default_factory=dict)
    traffic: list[Traffic] = field(default_factory=list)
    styles: list[Style] = field(default_factory=list)
    events: list[tuple[float, str, int, str]] = field(default_factory=list)
    sessions: int = 0
    requests: int = 0
    groups: int = 0

    def admit(self, count: int, **columns: Any) -> I64:
        """Add accounts; a column is one value for all, or a sequence of one each. Returns their numbers."""
        first = len(self.accounts.get("population", ()))
        for name, value in columns.items():
            values = (
                [value] * count
                if np.isscalar(value) or value is None or isinstance(value, tuple)
                else list(value)
            )
            self.accounts.setdefault(name, []).extend(values)
        return np.arange(first, first + count)

    def style(self, style: Style) -> int:
        """Add a style and return its number."""
        self.styles.append(style)
        return len(self.styles) - 1

    def group(self) -> int:
        """Return the number of a new group."""
        self.groups += 1
        return self.groups

    def request(self, account: I64, at: F64, style: I64 | int, role: int = 0, **more: I64) -> I64:
        """Add requests; absent `session`: each its own. Returns their numbers."""
        n = len(account)
        session = more.get("session")
        if session is None:
            session = self.sessions + np.arange(n)
        self.sessions = max(self.sessions, int(session.max(initial=-1)) + 1)
        none = np.full(n, -1, np.int64)
        self.traffic.append(
            Traffic(
                np.asarray(account, np.int64), np.asarray(at, np.float64), np.asarray(session, np.int64), more.get("turn", np.zeros(n, np.int64)),
                np.broadcast_to(np.asarray(style, np.int64), n).copy(), role, more.get("same_as", none), more.get("echo_of", none), more.get("replay_of", none),
            )
        )  # fmt: skip
        self.requests += n
        return np.arange(self.requests - n, self.requests)


def arrivals(rng: np.random.Generator, kind: str, count: int, start: float, end: float) -> F64:
    """Return `count` times (seconds) of one account between start and end: people by day, machines evenly, batches in a few hours."""
    span = max(end - start, 3600.0)
    if kind == "batch":
        runs = max(1, int(rng.poisson(2)))
        begin = start + rng.random(runs) * span
        at = begin[rng.integers(0, runs, count)] + rng.exponential(3600, count)
    else:
        at = start + rng.random(count) * span
    if kind == "human":
        midday = rng.uniform(0, DAY)
        at = np.floor(at / DAY) * DAY + (midday + rng.normal(0, 3.2 * 3600, count)) % DAY
    outside = (at < start) | (at >= end)  # drawn again: a clip would pile them up on one instant
    at[outside] = start + rng.random(int(outside.sum())) * max(end - start, 1.0)
    return np.sort(at)


def conversations(rng: np.random.Generator, opening: F64, turns: float) -> tuple[I64, I64, F64]:
    """Spread openings into conversations of `turns` on average: (which opening, turn, time) of every request."""
    length = 1 + (rng.poisson(turns - 1.0, len(opening)) if turns > 1 else np.zeros(len(opening), np.int64))
    which = np.repeat(np.arange(len(opening)), length)
    turn = np.arange(len(which)) - np.searchsorted(which, which)
    gap = rng.lognormal(3.6, 0.9, len(which)) * (turn > 0)
    total = np.cumsum(gap)
    return which, turn, opening[which] + total - total[np.searchsorted(which, which)]


def network_address(rng: np.random.Generator, kind: str, count: int) -> tuple[list[str], list[int]]:
    """Return addresses of reserved ranges with private AS numbers: homes and offices in 10/8, clouds in 100.64/10, VPNs in 198.18/15."""
    if kind == "vpn":
        block = rng.integers(0, 24, count)
        return [f"198.18.{b}.{h}" for b, h in zip(block, rng.integers(2, 30, count), strict=True)], (
            4_200_000_000 + block % 6
        ).tolist()
    if kind == "cloud":
        block = rng.integers(0, 6000, count)
        return [
            f"100.{64 + b // 256 % 64}.{b % 256}.{h}"
            for b, h in zip(block, rng.integers(2, 254, count), strict=True)
        ], (4_200_000_100 + block % 40).tolist()
    block = rng.integers(0, 60_000, count)
    return [
        f"10.{b // 256}.{b % 256}.{h}" for b, h in zip(block, rng.integers(2, 254, count), strict=True)
    ], (4_200_001_000 + block % 300).tolist()
