"""Text as tuples (context, token) under a tokenizer of ours, so that the suspect's own does not matter."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from excise.audit.prf import ABSENT, U64, Numbers
from excise.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

Ids = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int64]

MOST_CONTEXT: Final = 4
TEXT_LIMIT: Final = 200_000
"""Characters of one answer that are scored at most: no answer alone may decide an audit."""
_WORD = re.compile(r"\w+|[^\w\s]")
_HASHED: Final = 1 << 20


class Tokenizer(Protocol):
    """A function from text to token ids (32 bits), the same for ever. `name` is what a plan writes down."""

    name: str

    def __call__(self, text: str) -> Ids:
        """The ids of `text`, shape (tokens,)."""
        ...

    def placed(self, text: str) -> tuple[Ids, Places]:
        """The ids of `text`, and for each the character after its last one; both of shape (tokens,)."""
        ...


@lru_cache(maxsize=_HASHED)
def word_id(word: str) -> int:
    """A word's id: the first 32 bits of its BLAKE2b hash. Two words that share one also share their coins, no more.

    >>> word_id("teacher") == word_id("teacher"), word_id("teacher") == word_id("Teacher")
    (True, False)
    """
    return int.from_bytes(
        hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little"
    )


class Words:
    """Runs of word characters, and each other visible character by itself: needs no vocabulary, so fits any gateway."""

    name = "words"

    def __call__(self, text: str) -> Ids:
        """See `Tokenizer`."""
        return np.fromiter((word_id(w) for w in _WORD.findall(text[:TEXT_LIMIT])), np.uint32)

    def placed(self, text: str) -> tuple[Ids, Places]:
        """See `Tokenizer`."""
        ends = np.fromiter((found.end() for found in _WORD.finditer(text[:TEXT_LIMIT])), np.int64)
        return self(text), ends


class FromFile:
    """The bytes of a `tokenizer.json` as the `tokenizers` package reads them (extra `audit`); its hash is its name."""

    def __init__(self, data: bytes) -> None:
        self.name = f"sha256:{hashlib.sha256(data).hexdigest()}"
        try:
            from tokenizers import Tokenizer as Loaded  # noqa: PLC0415  an extra
        except ImportError as error:
            raise UsageError(
                "needs the extra `audit`",
                subject="a tokenizer file",
                hint="pip install 'excise[audit]', or use `words`",
            ) from error
        try:
            self._loaded: Any = Loaded.from_buffer(data)
        except Exception as error:  # the library raises bare exceptions of its own
            raise InputError(
                "cannot be read", subject="the tokenizer file", hint="name a tokenizer.json"
            ) from error

    def __call__(self, text: str) -> Ids:
        """See `Tokenizer`."""
        return np.array(self._loaded.encode(text[:TEXT_LIMIT], add_special_tokens=False).ids, np.uint32)

    def placed(self, text: str) -> tuple[Ids, Places]:
        """See `Tokenizer`."""
        found = self._loaded.encode(text[:TEXT_LIMIT], add_special_tokens=False)
        return np.array(found.ids, np.uint32), np.array([end for _, end in found.offsets], np.int64)


def tokenizer_of(file: bytes | None) -> Tokenizer:
    """`words` where there is no file. Raises `UsageError` without the extra, `InputError` for what is no tokenizer."""
    return Words() if file is None else FromFile(file)


@cache
def _shifts(context: int) -> tuple[int, ...]:
    return tuple(range(context, 0, -1))


def windows(ids: Ids, context: int) -> U64:
    """The tuples of one text: each token with the `context` (1 to 4) before it. The first tokens have none. (n, 3) words."""
    n = len(ids) - context
    if n <= 0:
        return np.empty((0, 3), np.uint64)
    wide = ids.astype(np.uint64)
    before = [np.full(n, ABSENT, np.uint64)] * (MOST_CONTEXT - context) + [
        wide[context - back : context - back + n] for back in _shifts(context)
    ]
    high = before[0] << np.uint64(32) | before[1]
    low = before[2] << np.uint64(32) | before[3]
    return np.stack([high, low, wide[context:]], axis=1)


@dataclass(frozen=True, slots=True)
class Counts:
    """Distinct tuples, (n, 3) words in ascending order, and how often each was said, (n,)."""

    tuples: U64
    said: Numbers

    @property
    def total(self) -> float:
        """All tuples with repetition."""
        return float(self.said.sum())


def counted(parts: Iterable[U64]) -> Counts:
    """The distinct tuples of many texts. O(n log n)."""
    every = np.concatenate([np.empty((0, 3), np.uint64), *parts])
    tuples, _, said = distinct(every)
    return Counts(tuples, said.astype(float))


def distinct(every: U64) -> tuple[U64, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct rows in ascending order, for each row of `every` its place among them, and how often each stands."""
    order = np.lexsort(every.T[::-1])
    ordered = every[order]
    new = np.ones(len(every), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    place = np.empty(len(every), np.int64)
    place[order] = np.cumsum(new) - 1
    return ordered[starts], place, np.diff(starts, append=len(every))


def tuples_of(texts: Sequence[str], tokenizer: Callable[[str], Ids], context: int) -> list[U64]:
    """The tuples of each text."""
    return [windows(tokenizer(text), context) for text in texts]
