"""The numeric tables that cross stage boundaries: millions of exchanges as columns, without text.

Hashes are 64-bit, keyed by the deployment's seed; 0 stands for "absent". Codes are dense int32 positions in another
table, -1 for "absent". Times are microseconds since 1970 UTC. Rows are in canonical order: account, time, exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from excise.model.ragged import Ragged

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
U32 = npt.NDArray[np.uint32]
U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Systems:
    """One row a distinct system prompt (by the bytes' hash, ascending)."""

    raw: U64
    doc: U64
    tokens: U32
    cues: U64
    shingles: Ragged
    marks: Ragged


@dataclass(frozen=True, slots=True)
class Family:
    """A family of elicitation (a bit of `Exchanges.families`) and the capability that it harvests."""

    id: str
    title: str
    capability: str


@dataclass(frozen=True, slots=True)
class Exchanges:
    """One row an exchange. `account` is a code into `Accounts`; `system` a code into `Systems`.

    `client` hashes what the client says of itself, `sampling` its sampling parameters; `net` is the /24 (IPv4) or /48
    (IPv6) of the address. `families` is a bit mask over
    `Traffic.families`. `relay`: 1 where the exchange carries a known relay's signature; `tools`: 1 where it offers tools. Counts are capped at 2^31 - 1.
    """

    row: I64
    id: U64
    account: I32
    at: I64
    session: U64
    end_user: U64
    net: U64
    client: U64
    device: U64
    sampling: U64
    model: U64
    system: I32
    tokens: U32
    doc: U64
    families: U64
    messages: I32
    refused: U8
    relay: U8
    tools: U8
    shingles: Ragged
    marks: Ragged
    wide_in: Ragged
    wide_out: Ragged
    emitted: Ragged
    replayed: Ragged

    def __len__(self) -> int:
        """Return the number of exchanges."""
        return len(self.row)


@dataclass(frozen=True, slots=True)
class Habits:
    """One row a (token, account) that the account repeats; sorted by token, then account.

    `spread`: how many accounts use the token at all, repeated or not. `weight`: the share of one wrapper that the token
    stands for, 1 / (number of the account's habits in the same text), averaged over its texts: the weights of a fixed
    wrapper add up to 1, those of a wrapper with 30 variants to about 30.
    """

    token: U64
    account: I32
    spread: I32
    weight: F64


@dataclass(frozen=True, slots=True)
class Phrases:
    """Rare runs of words and who says them, repeated or not: accounts of phrase i, ascending, at `offsets[i]:offsets[i + 1]`.

    `token` as of `Habits`, in no order. `text`: a hash of the first request in which the account says it; `runs`: how many sampled runs stand there (in it, or in its system prompt).
    """

    token: U64
    offsets: I64
    account: I32
    text: U32
    runs: U8

    def sizes(self) -> I64:
        """Return how many accounts say each phrase."""
        return np.diff(self.offsets)

    def owners(self) -> I64:
        """Return, for each row, its phrase."""
        return np.repeat(np.arange(len(self.token), dtype=np.int64), self.sizes())


NO_PHRASES: Final = Phrases(
    np.zeros(0, np.uint64),
    np.zeros(1, np.int64),
    np.zeros(0, np.int32),
    np.zeros(0, np.uint32),
    np.zeros(0, np.uint8),
)


@dataclass(frozen=True, slots=True)
class Accounts:
    """One row an account that was seen, in the order of its hash; attributes come from the operator's accounts table.

    `created` is 0 where unknown. `declared`: 0 none, else 1 + position in `schema.DECLARED`. `verified`: 1 yes,
    0 no or unknown.
    """

    name: npt.NDArray[np.object_]
    hash: U64
    starts: I64
    created: I64
    org: U64
    owner: U64
    mail: U64
    payment: U64
    signup_ip: U64
    signup_net: U64
    programme: U64
    verified: U8
    declared: U8

    def __len__(self) -> int:
        """Return the number of accounts."""
        return len(self.hash)

    def volume(self) -> I64:
        """Return the number of exchanges of each account."""
        return np.diff(self.starts)

    def one_owner(self, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> Bool:
        """Return which pairs are known to have one legal owner, or to be of one organisation."""
        owner = (self.owner[a] == self.owner[b]) & (self.owner[a] != 0)
        return owner | ((self.org[a] == self.org[b]) & (self.org[a] != 0))


@dataclass(frozen=True, slots=True)
class Events:
    """The operator's events. `account` is a code or -1; `model` a hash or 0; `kind` an index in `schema.EVENT_KINDS`."""

    at: I64
    kind: U8
    account: I32
    model: U64


@dataclass(frozen=True, slots=True)
class Traffic:
    """Everything that the detectors read. `available` names the kinds of evidence that the input allows."""

    exchanges: Exchanges
    systems: Systems
    habits: Habits
    accounts: Accounts
    events: Events
    families: tuple[Family, ...]
    available: frozenset[str]
    phrases: Phrases = NO_PHRASES
    _derived: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _locks: dict[str, RLock] = field(default_factory=dict, init=False, repr=False, compare=False)

    def period(self) -> tuple[int, int]:
        """Return the times of the first and the last exchange; zeros where there is none."""
        at = self.exchanges.at
        return self.once("period", lambda: (int(at.min()), int(at.max())) if len(at) else (0, 0))

    def once(self, name: str, derive: Callable[[], Result]) -> Result:
        """Return what `derive` makes of this traffic, by a name of its own; the first answer is kept, and made once."""
        with self._locks.setdefault(name, RLock()):
            if name not in self._derived:
                self._derived[name] = derive()
            return self._derived[name]

    def ask(self, name: str, derive: Callable[[], Result]) -> Result:
        """Return what is known by a name, or derive it anew: for answers that depend on more than this traffic, on clusters say."""
        return self._derived[name] if name in self._derived else derive()

    def know(self, name: str, answer: object) -> None:
        """Keep an answer that was derived elsewhere: of all exchanges, where these are only some of them."""
        self._derived[name] = answer

    def learn(self, other: Traffic) -> None:
        """Keep what another traffic knows."""
        self._derived.update(other._derived)
