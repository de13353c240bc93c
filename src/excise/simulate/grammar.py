"""Text from compact grammars, many strings at a time.

A grammar is a table of symbols. A symbol is a list of patterns, in which `$symbol` stands for a draw from another one,
`$^symbol` for the same with a capital, `${symbol}` where a letter follows, `$symbol(2,4)` for two to four of them in a
row, and `$n(2,90)` for a whole number of that range. Drawing is by column: one call fills thousands of texts, so that the cost a
text is that of joining its pieces.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

_REFERENCE: Final = re.compile(
    r"\$(?:\{(?P<braced>[a-z0-9]+)\}|(?P<cap>\^?)(?P<name>[a-z][a-z0-9]*))(?:\((?P<lo>\d+),(?P<hi>\d+)\))?"
)
_FILES: Final = ("words", "benign", "products", "answers", "languages", "harvest", "agents")


@dataclass(frozen=True, slots=True)
class _Slot:
    symbol: str
    capital: bool
    low: int
    high: int


_Piece: TypeAlias = "str | _Slot"


@dataclass(frozen=True, slots=True)
class _Symbol:
    words: tuple[str, ...]  # filled where no pattern has a slot: drawn by index alone
    patterns: tuple[tuple[_Piece, ...], ...]


class Grammar:
    """The symbols of all text files of the package. Immutable; share it freely."""

    def __init__(self, tables: Mapping[str, str | Sequence[str]]) -> None:
        self._symbols = {name: _compile(value) for name, value in tables.items()}
        for name, symbol in self._symbols.items():
            for pattern in symbol.patterns:
                for piece in pattern:
                    if isinstance(piece, _Slot) and piece.symbol != "n" and piece.symbol not in self._symbols:
                        raise ValueError(f"symbol {name} refers to {piece.symbol}, which is nowhere defined")

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._symbols

    def draw(
        self,
        symbol: str,
        count: int,
        rng: np.random.Generator,
        bound: Mapping[str, Sequence[str]] | None = None,
    ) -> list[str]:
        """`count` texts of `symbol`. `bound[s]` fixes what `$s` stands for in each of them (length `count`)."""
        return self._fill(symbol, np.arange(count), rng, bound or {})

    def one(self, symbol: str, rng: np.random.Generator, **bound: str) -> str:
        """A single text of `symbol`, with `bound` symbols fixed."""
        return self.draw(symbol, 1, rng, {name: [value] for name, value in bound.items()})[0]

    def _fill(
        self,
        symbol: str,
        rows: npt.NDArray[np.int64],
        rng: np.random.Generator,
        bound: Mapping[str, Sequence[str]],
    ) -> list[str]:
        if symbol in bound:
            fixed = bound[symbol]
            return [fixed[row] for row in rows.tolist()]
        entry = self._symbols[symbol]
        if entry.words:
            words = entry.words
            return [words[i] for i in rng.integers(0, len(words), rows.size).tolist()]
        if len(entry.patterns) == 1:
            return self._join(entry.patterns[0], rows, rng, bound)
        chosen = rng.integers(0, len(entry.patterns), rows.size)
        texts = [""] * rows.size
        order = np.argsort(chosen, kind="stable")
        ends = np.cumsum(np.bincount(chosen, minlength=len(entry.patterns)))
        for pattern, where in zip(entry.patterns, np.split(order, ends[:-1]), strict=True):
            if where.size:
                for at, text in zip(
                    where.tolist(), self._join(pattern, rows[where], rng, bound), strict=True
                ):
                    texts[at] = text
        return texts

    def _join(
        self,
        pattern: tuple[_Piece, ...],
        rows: npt.NDArray[np.int64],
        rng: np.random.Generator,
        bound: Mapping[str, Sequence[str]],
    ) -> list[str]:
        columns = [
            [p] * rows.size if isinstance(p, str) else self._slot(p, rows, rng, bound) for p in pattern
        ]
        return columns[0] if len(columns) == 1 else list(map("".join, zip(*columns, strict=True)))

    def _slot(
        self,
        slot: _Slot,
        rows: npt.NDArray[np.int64],
        rng: np.random.Generator,
        bound: Mapping[str, Sequence[str]],
    ) -> list[str]:
        if slot.symbol == "n":
            return list(map(str, rng.integers(slot.low, slot.high + 1, rows.size).tolist()))
        if slot.high == 1:
            texts = self._fill(slot.symbol, rows, rng, bound)
        else:
            texts = self._repeat(slot, rows, rng, bound)
        return [t[:1].upper() + t[1:] for t in texts] if slot.capital else texts

    def _repeat(
        self,
        slot: _Slot,
        rows: npt.NDArray[np.int64],
        rng: np.random.Generator,
        bound: Mapping[str, Sequence[str]],
    ) -> list[str]:
        counts = rng.integers(slot.low, slot.high + 1, rows.size)
        parts = self._fill(slot.symbol, np.repeat(rows, counts), rng, bound)
        ends = np.cumsum(counts).tolist()
        starts = [0, *ends[:-1]]
        glue = "" if parts and parts[0].endswith("\n") else " "
        return [glue.join(parts[a:b]) for a, b in zip(starts, ends, strict=True)]


def _compile(value: str | Sequence[str]) -> _Symbol:
    if isinstance(value, str):
        flat = " ".join(value.split())
        options = flat.split("|") if "|" in flat else flat.split(" ")
        return _Symbol(tuple(option.strip() for option in options if option.strip()), ())
    if not any(_REFERENCE.search(pattern) for pattern in value):
        return _Symbol(tuple(value), ())
    return _Symbol((), tuple(_pattern(pattern) for pattern in value))


def _pattern(text: str) -> tuple[_Piece, ...]:
    pieces: list[_Piece] = []
    last = 0
    for match in _REFERENCE.finditer(text):
        if match.start() > last:
            pieces.append(text[last : match.start()])
        name = match["braced"] or match["name"]
        low, high = (int(match["lo"]), int(match["hi"])) if match["lo"] else (1, 1)
        pieces.append(_Slot(name, match["cap"] == "^", low, high))
        last = match.end()
    if last < len(text) or not pieces:
        pieces.append(text[last:])
    return tuple(pieces)


@cache
def grammar() -> Grammar:
    """The package's own grammar, read once."""
    tables: dict[str, str | list[str]] = {}
    for name in _FILES:
        text = (files("excise.simulate") / "text" / f"{name}.toml").read_text(encoding="utf-8")
        tables |= tomllib.loads(text)
    return Grammar(tables)
