"""Values as canonical JSON: the same bytes for the same values, whatever computed them and in which order."""

from __future__ import annotations

import dataclasses
import math
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
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return rounded(value, where)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise TypeError(f"{where or 'a value'} is a {type(value).__name__}, which JSON cannot hold")


def document(value: Any) -> bytes:
    """One value, keys sorted, indented for people, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(plain(value), order="sorted"), indent=2) + b"\n"


def lines(values: Iterable[Any]) -> bytes:
    """A JSON list with one item a line, its keys in the order in which the dataclass declares them."""
    items = [msgspec.json.encode(plain(value, f"[{i}]")) for i, value in enumerate(values)]
    return b"[\n" + b",\n".join(items) + b"\n]\n" if items else b"[]\n"
