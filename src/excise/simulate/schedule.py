"""When the accounts of a campaign work: waves of bans and spares, quotas, one queue, a relay's baton, ordinary days."""

from __future__ import annotations

import numpy as np

from excise.simulate.cast import F64, I64, Cast, arrivals
from excise.simulate.knobs import DAILY, Knobs
from excise.simulate.spec import DAY


def lifetimes(cast: Cast, accounts: I64, k: Knobs, start: float, end: float) -> F64:
    """Return (n, 2): from when to when each account works. A wave of bans stops some, and spare ones take over."""
    rng, n = cast.rng, len(accounts)
    live = np.tile([start, end], (n, 1))
    if k.level >= 4:  # a ramp
        live[:, 0] += rng.uniform(0, 0.3, n) * (end - start)
    if n < 8:
        return live
    spare = max(1, n // 5)
    at = rng.uniform(start + 0.35 * (end - start), start + 0.7 * (end - start))
    lag = rng.uniform(0.5, 5, spare) / 24 if k.time <= 6 else rng.uniform(1, 4, spare)
    for i in range(spare):
        live[i, 1] = at + rng.exponential(600)
        cast.events.append((float(live[i, 1]), "suspension", int(accounts[i]), "terms"))
        live[n - 1 - i, 0] = at + lag[i] * DAY
    return live


def schedule(rng: np.random.Generator, accounts: I64, live: F64, k: Knobs) -> tuple[I64, F64]:
    """Return who harvests and when (seconds), about `size * per_account` requests in the order of time."""
    total = round(k.size * k.per_account)
    account, at = (
        _pooled(rng, accounts, live, k, total) if k.time in (2, 3) else _single(rng, accounts, live, k, total)
    )
    order = np.argsort(at, kind="stable")
    return account[order], at[order]


def _pooled(rng: np.random.Generator, accounts: I64, live: F64, k: Knobs, total: int) -> tuple[I64, F64]:
    """Work off one queue: in bursts over all accounts (2), or on few at a time, handed on by the hour (3)."""
    n, begin, end = len(accounts), float(live[:, 0].min()), float(live[:, 1].max())
    at = np.sort(rng.uniform(begin, end, total))
    if k.time == 3:
        lanes = max(1, n // 5)
        pick = ((at // 3600).astype(np.int64) * 7 + rng.integers(0, lanes, total)) % n
    else:
        pick = rng.integers(0, n, total)
        at = at // 10 * 10 + np.floor(rng.exponential(0.8, total)) + rng.random(total)
    for _ in range(8):  # who is banned or not yet there leaves the work to another
        away = np.flatnonzero((at < live[pick, 0]) | (at > live[pick, 1]))
        pick[away] = (pick[away] + rng.integers(1, n, len(away))) % n if n > 1 else pick[away]
    there = (at >= live[pick, 0]) & (at <= live[pick, 1])
    return accounts[pick[there]], at[there]


def _single(rng: np.random.Generator, accounts: I64, live: F64, k: Knobs, total: int) -> tuple[I64, F64]:
    """Each account by itself: at an even rate (0, 1), as a machine or a person would (4 to 6), a few a day (7 and 8)."""
    uneven = np.exp(rng.normal(0, 0.5, len(accounts))) if k.time >= 4 else np.ones(len(accounts))
    weight = np.maximum(live[:, 1] - live[:, 0], 3600.0) * uneven
    volume = rng.multinomial(total, weight / weight.sum())
    rhythm = "even" if k.time <= 1 else "human" if k.level >= 7 or rng.random() < 0.5 else "machine"
    times = [_times(rng, rhythm, int(v), a, b, k) for (a, b), v in zip(live.tolist(), volume, strict=True)]
    return np.repeat(accounts, [len(t) for t in times]), np.concatenate(times)


def _times(rng: np.random.Generator, rhythm: str, count: int, start: float, end: float, k: Knobs) -> F64:
    if rhythm == "even":
        gap = (end - start) / (count + 1)
        return np.clip(
            np.linspace(start, end, count + 2)[1:-1] + rng.normal(0, gap * 0.08, count), start, end
        )
    at = arrivals(rng, rhythm, count, start, end)
    if k.level < 7:
        return at
    day = (at // DAY).astype(np.int64)
    return at[np.arange(len(at)) - np.searchsorted(day, day) < DAILY]
