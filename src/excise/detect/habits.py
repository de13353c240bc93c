"""Which account repeats which token: the habits of an account, as a sparse table.

A wrapper is what an account says again and again around ever new payloads; a payload it says once. So a token counts
where an account repeats it in several *different* texts, and only where few accounts do (docs/references.md, measurements:
repetition cut the edges of 2 M rows by 40 and kept every campaign).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import numpy as np

from excise.detect.repeats import (
    ACCOUNT_BITS,
    LOW,
    MAX_ACCOUNTS,
    first_texts,
    hash_index,
    say_repeated,
    sieve_of,
    spread_weights,
    use_tokens,
)
from excise.engine.embedded import map_ordered
from excise.engine.memory import forget
from excise.errors import InputError
from excise.model.tables import I32, I64, U64, Bool, Exchanges, Habits, Systems

_CHUNK_ROWS: Final = 1 << 18
"""Rows whose tokens are in memory at a time, where tables lie in files."""

Result = TypeVar("Result")
Lists = tuple[I64, U64, I64, U64]
"""Offsets and values of the shingles, then of the marks."""


MOST_SPEAKERS: Final = 254
"""They are counted in a byte, of which 255 says more."""


@dataclass(frozen=True, slots=True)
class HabitSettings:
    """repeats: different texts in which an account must say a token (references.md, measurements: 3). most_accounts: users of a token at
    most, more is public (references.md, measurements: 200 to 300). most_speakers: accounts that say a phrase at most for it to count
    though nobody repeats it, and speakers_share: the same as a share of all accounts (what is said once is mostly a payload:
    it must be rarer).
    """  # noqa: D205

    repeats: int = 3
    most_accounts: int = 200
    most_speakers: int = 20
    speakers_share: float = 0.0005

    def speakers(self, accounts: int) -> int:
        """Return how many of so many accounts may say a phrase, `MOST_SPEAKERS` at most: with fewer than 2 there are none."""
        return min(self.most_speakers, int(self.speakers_share * accounts), MOST_SPEAKERS)


def find_habits(
    exchanges: Exchanges, systems: Systems, accounts: int, settings: HabitSettings, *, threads: int = 1
) -> Habits:
    """Return what accounts repeat and 2 to `most_accounts` accounts use.

    Account by account, so that only what some account repeats is ever sorted. Linear in the sampled tokens, and O(n log n)
    in the repeated ones. Exchanges are in canonical order. Raises InputError for more accounts than a key holds.
    """
    if accounts > MAX_ACCOUNTS:
        raise InputError(
            f"{accounts:,} accounts are more than the {MAX_ACCOUNTS:,} of one scan",
            hint="scan a shorter period, or each product by itself",
        )
    if not len(exchanges):
        return Habits(*(np.zeros(0, kind) for kind in (np.uint64, np.int32, np.int32, np.float64)))
    texts = every_distinct_text(exchanges, threads)
    keys = np.sort(repeated_keys(exchanges, systems, texts, settings.repeats, threads))
    token = keys >> np.uint64(ACCOUNT_BITS)
    tokens = token[np.append(True, token[1:] != token[:-1])] if len(token) else token
    users = count_users(exchanges, systems, texts, tokens, threads)[np.searchsorted(tokens, token)]
    kept = (users >= 2) & (users <= settings.most_accounts)
    return weigh_habits(exchanges, systems, texts, keys[kept], users[kept], accounts, threads)


def every_distinct_text(exchanges: Exchanges, threads: int = 1) -> Bool:
    """Return, for every exchange, whether it is the first of its account's with its texts ; an account's repeats of one text are no habit."""

    def first(rows: slice) -> Bool:
        return first_texts(exchanges.account[rows], exchanges.doc[rows], exchanges.system[rows])

    parts = map_ordered(first, account_chunks(exchanges), threads=threads)
    return np.concatenate([np.zeros(0, np.bool_), *parts])


def repeated_keys(exchanges: Exchanges, systems: Systems, texts: Bool, repeats: int, threads: int = 1) -> U64:
    """Return (token, account) keys (`pack_key`) of what an account says in `repeats` different texts, in no order."""

    def find(*piece: Any) -> U64:
        return say_repeated(*piece, repeats)

    return np.concatenate([np.zeros(0, np.uint64), *_each(find, exchanges, systems, texts, threads)])


def count_users(exchanges: Exchanges, systems: Systems, texts: Bool, tokens: U64, threads: int = 1) -> I32:
    """Return how many accounts say each of `tokens` (distinct, the upper 40 bits of keys) at all.

    Each thread counts for itself: no account is in two pieces, so the counts add up.
    """
    wanted, free = (tokens, hash_index(tokens), sieve_of(tokens)), SimpleQueue[tuple[I32, I32]]()
    counts = [np.zeros(len(tokens), np.int32) for _ in range(threads)]
    for spread in counts:
        free.put((spread, np.full(len(tokens), -1, np.int32)))

    def count(*piece: Any) -> None:
        spread, last = free.get()
        use_tokens(*piece, wanted, last, spread)
        free.put((spread, last))

    for _ in _each(count, exchanges, systems, texts, threads):
        pass
    for spread in counts[1:]:
        counts[0] += spread
    return counts[0]


def weigh_habits(
    exchanges: Exchanges,
    systems: Systems,
    texts: Bool,
    keys: U64,
    users: I32,
    accounts: int,
    threads: int = 1,
) -> Habits:
    """Return the habits of sorted `keys`, with the users of each one's token, and the share of a wrapper that it stands for."""
    total, seen = np.zeros(len(keys)), np.zeros(len(keys), np.int32)
    owner = (keys & LOW).astype(np.int32)
    by_account = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[by_account], np.arange(accounts + 1))

    def weigh(*piece: Any) -> None:
        spread_weights(keys, by_account, starts, *piece, total, seen)

    for _ in _each(weigh, exchanges, systems, texts, threads):
        pass
    return Habits(keys >> np.uint64(ACCOUNT_BITS), owner, users, total / np.maximum(seen, 1))


def _each(
    kernel: Callable[..., Result], exchanges: Exchanges, systems: Systems, texts: Bool, threads: int
) -> Iterator[Result]:
    """Yield what a kernel makes of each piece of the exchanges, in order; several run at once, each on accounts of its own."""
    prompts = flat(systems)

    def run(rows: slice) -> Result:
        return kernel(*columns_of(exchanges, rows), texts[rows], prompts)

    for result in map_ordered(run, account_chunks(exchanges), threads=threads):
        forget(exchanges)
        yield result


def account_chunks(exchanges: Exchanges) -> Iterator[slice]:
    """Cut the rows into pieces of at least `_CHUNK_ROWS` that end where an account ends."""
    start = 0
    while start < len(exchanges):
        end = min(start + _CHUNK_ROWS, len(exchanges))
        if end < len(exchanges):
            end = int(np.searchsorted(exchanges.account, exchanges.account[end - 1], side="right"))
        yield slice(start, end)
        start = end


def columns_of(exchanges: Exchanges, rows: slice) -> tuple[I32, I32, Lists]:
    """Return account, system and tokens of some rows; lists are given by their offsets there."""
    offsets = slice(rows.start, rows.stop + 1)
    shingles, marks = exchanges.shingles, exchanges.marks
    lists = (shingles.offsets[offsets], shingles.values, marks.offsets[offsets], marks.values)
    return exchanges.account[rows], exchanges.system[rows], lists


def flat(systems: Systems) -> Lists:
    """Return the tokens of the system prompts."""
    return systems.shingles.offsets, systems.shingles.values, systems.marks.offsets, systems.marks.values
