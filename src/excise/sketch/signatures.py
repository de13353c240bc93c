"""Known relay software, recognised by constants that it leaves (a versioned pack, `packs/relays.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise.model.tables import U8

_PACK: Final = Path(__file__).with_name("packs") / "relays.toml"
_DIGITS: Final = 16
"""Hex digits of a digest that must match: gateways shorten and prefix device ids; 16 digits are 64 bits."""


@cache
def device_digests() -> tuple[str, ...]:
    """Return the first digits of the known constant device ids."""
    pack = tomllib.loads(_PACK.read_text(encoding="utf-8"))
    return tuple(entry["digest"][:_DIGITS] for entry in pack["device"])


def relay_signatures(devices: pa.Array) -> U8:
    """Return 1 for each device id that holds a known relay's constant."""
    found = np.zeros(len(devices), np.uint8)
    for digest in device_digests():
        found |= ask(devices, partial(pc.match_substring, pattern=digest, ignore_case=True))
    return found


def ask(texts: pa.Array, question: Callable[[pa.Array], pa.Array]) -> U8:
    """Return 1 where the answer for a text is true, 0 where it is false or there is no text; a dictionary is asked once an entry."""
    if pa.types.is_dictionary(texts.type):
        answers = np.append(ask(texts.dictionary, question), np.uint8(0))
        return answers[pc.fill_null(texts.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)]
    return pc.fill_null(question(texts), False).to_numpy(zero_copy_only=False).astype(np.uint8)
