"""The lexicon: phrases by which people ask a model for what a student model learns from, in families.

A family is weak evidence by design: teachers, evaluators and curious users ask the same. It says what a set of
exchanges is after, never that somebody is at fault. A pack is a TOML file (docs/families.md); the shipped one is
`packs/elicitation.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from excise.errors import UsageError
from excise.sketch.cues import MAX_PHRASE, CueTable, phrase_hashes
from excise.sketch.kernel import sketch_text, token_hashes

U64 = npt.NDArray[np.uint64]

MAX_GROUPS: Final = 64
"""Groups in a pack: one bit each."""

MAX_CHARACTERS: Final = 200
"""Characters in a phrase: what is read as one chunk."""

CAPABILITIES: Final = ("reasoning", "agentic", "coding", "grading", "safety", "data-generation", "other")
"""What can be harvested, as the contract names it."""

_PACK: Final = Path(__file__).with_name("packs") / "elicitation.toml"


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ways to say one thing, in any language; one bit of `cues`."""

    id: str
    phrases: tuple[str, ...]


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of request. It fires when at least `needs` distinct groups of it occur in one exchange.

    `fires` and `silent` are texts on which it must and must not fire, by language.
    """

    id: str
    title: str
    capability: str
    groups: tuple[Group, ...]
    needs: int = 1
    fires: dict[str, tuple[str, ...]] = {}
    silent: dict[str, tuple[str, ...]] = {}


class _Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    families: tuple[Family, ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """A pack, ready to look up. Bit f of a family mask is `families[f]`; cue groups are numbered through all of them."""

    version: str
    families: tuple[Family, ...]

    def cue_table(self, seed: int) -> CueTable:
        """Hash every phrase under a seed, for `sketch_text`."""
        groups = [group for family in self.families for group in family.groups]
        found: dict[int, int] = {}
        singles, pairs = np.zeros(1024, np.uint64), np.zeros(1024, np.uint64)
        longest = 0
        for bit, group in enumerate(groups):
            for phrase in group.phrases:
                tokens = token_hashes(phrase, seed=seed)
                value, pair, filtered = phrase_hashes(tokens, seed=seed)
                chosen = singles if len(tokens) == 1 else pairs
                chosen[filtered >> 6] |= np.uint64(1 << (filtered & 63))
                found[value] = found.get(value, 0) | 1 << bit
                if len(tokens) > 1:
                    found[pair] = found.get(pair, 0) | 1 << len(tokens)
                longest = max(longest, len(tokens))
        slots, masks = _open_addressing(found)
        return CueTable(seed, singles, pairs, slots, masks, longest)

    def families_of(self, cues: U64) -> U64:
        """Masks of the families that fire, from masks of cue groups: u64[n] -> u64[n]."""
        fired = np.zeros(len(cues), np.uint64)
        first = 0
        for f, family in enumerate(self.families):
            mask = ((1 << len(family.groups)) - 1) << first
            first += len(family.groups)
            enough = np.bitwise_count(cues & np.uint64(mask)) >= family.needs
            fired |= enough.astype(np.uint64) << np.uint64(f)
        return fired

    def names_of(self, mask: int) -> tuple[str, ...]:
        """Ids of the families in one mask, in the order of the pack."""
        return tuple(family.id for f, family in enumerate(self.families) if mask >> f & 1)


def load_pack(path: str | Path | None = None) -> Lexicon:
    """Read and check a pack; None is the shipped one.

    Raises UsageError when the file cannot be read, is not a pack, or breaks a rule: at most 64 groups, known
    capabilities, ids used once, `needs` within reach, phrases of 1 to 10 tokens and at most 200 characters.
    """
    source = _PACK if path is None else Path(path)
    try:
        pack = msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8")), _Pack)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(
            str(error), subject=str(source), hint="see docs/families.md for the form of a pack"
        ) from error
    problem = next(_problems(pack.families), None)
    if problem:
        raise UsageError(problem, subject=str(source), hint="see docs/families.md for the rules of a pack")
    return Lexicon(pack.version, pack.families)


def _problems(families: tuple[Family, ...]) -> Iterator[str]:
    groups = [group for family in families for group in family.groups]
    if len(groups) > MAX_GROUPS:
        yield f"{len(groups)} groups, at most {MAX_GROUPS} fit"
    ids = [family.id for family in families] + [group.id for group in groups]
    yield from (f"the id {name!r} is used twice" for name in sorted({i for i in ids if ids.count(i) > 1}))
    for family in families:
        if family.capability not in CAPABILITIES:
            yield f"family {family.id!r}: capability {family.capability!r} is none of {', '.join(CAPABILITIES)}"
        if not 1 <= family.needs <= len(family.groups):
            yield f"family {family.id!r}: needs {family.needs} of {len(family.groups)} groups"
    phrases = [(group.id, phrase) for group in groups for phrase in group.phrases]
    for (group_id, phrase), length in zip(phrases, _lengths([p for _, p in phrases]), strict=True):
        shown = f"group {group_id!r}: {phrase[:60]!r}"
        if not 1 <= length <= MAX_PHRASE:
            yield f"{shown} has {length} tokens, not 1 to {MAX_PHRASE}"
        elif len(phrase) > MAX_CHARACTERS:
            yield f"{shown} has {len(phrase)} characters, at most {MAX_CHARACTERS} fit"


def _lengths(phrases: list[str]) -> list[int]:
    """Tokens of each phrase."""
    array = pa.array(phrases, pa.string())
    return sketch_text(array, seed=0, narrow=False, wide=False, marks=False).tokens.tolist()


def _open_addressing(found: dict[int, int]) -> tuple[U64, U64]:
    """Lay the pairs out with linear probing, at most a quarter full."""
    size = 1 << max(2, (4 * len(found)).bit_length())
    slots, masks = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    for value in sorted(found):
        at = value & (size - 1)
        while slots[at]:
            at = (at + 1) & (size - 1)
        slots[at], masks[at] = value, found[value]
    return slots, masks
