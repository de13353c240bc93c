"""Values as canonical JSON: the same bytes for the same values, whatever computed them and in which order."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

DECIMALS = 12
"""Absolute rounding: sums over threads differ near 1e-15, so what cancels to zero is zero."""
DIGITS = 9
"""Significant digits that are kept; no figure of a run is known better."""


def rounded(value: float, where: str = "") -> float:
    """`value` at nine significant digits; a NaN or an infinity is a bug upstream and raises `ValueError`."""
    if not math.isfinite(value):
        raise ValueError(f"{where or 'a number'} is {value}, which JSON cannot hold")
    return float(f"{round(float(value), DECIMALS):.{DIGITS}g}") + 0.0  # + 0.0 turns -0.0 into 0.0


def plain(value: Any, where: str = "") -> Any:
    """`value` (dataclasses, mappings, sequences, numbers, text) as JSON types with rounded floats."""
    return _plain(value, (None, where))


_Place = tuple[Any, str | int]
"""Where a value stands: the place of what holds it, and the last part of the name, or which item it is. Only an error spells it out."""
_AS_IT_IS = frozenset({str, int, bool, type(None)})


def _plain(value: Any, place: _Place) -> Any:
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return rounded(value) if math.isfinite(value) else rounded(value, _spelt(place))
    if isinstance(value, list | tuple):
        return [item if type(item) in _AS_IT_IS else _plain(item, (place, i)) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {str(key): _plain(item, (place, f".{key}")) for key, item in value.items()}
    if isinstance(value, int | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name), (place, f".{name}")) for name in _fields(kind)}  # type: ignore[arg-type]  # a class is hashable
    raise TypeError(f"{_spelt(place) or 'a value'} is a {kind.__name__}, which JSON cannot hold")


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _spelt(place: _Place) -> str:
    before, last = place
    name = last if isinstance(last, str) else f"[{last}]"
    return name if before is None else _spelt(before) + name


def document(value: Any) -> bytes:
    """One value, keys sorted, indented for people, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(plain(value), order="sorted"), indent=2) + b"\n"


def lines(values: Iterable[Any]) -> bytes:
    """A JSON list with one item a line, its keys in the order in which the dataclass declares them."""
    items = [msgspec.json.encode(plain(value, f"[{i}]")) for i, value in enumerate(values)]
    return b"[\n" + b",\n".join(items) + b"\n]\n" if items else b"[]\n"
