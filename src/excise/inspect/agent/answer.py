"""What an answer may hold: hypotheses and fixes, each bounded, each dropped by itself where it is malformed.

There is no field to lower, close, accept or hide anything: what is not here cannot be said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

MOST_CLAIMS: Final = 8
"""Hypotheses of one answer that are looked at."""
MOST_FIXES: Final = 4
MOST_STEPS: Final = 24
MOST_WORDS: Final = 300
"""Characters of a title, a path, a fact or a line."""
MOST_DIFF: Final = 40_000


class ClaimStep(msgspec.Struct, frozen=True):
    """One step of a hypothesis. `text` is on the line, as it stands in the file."""

    path: str
    line: int
    text: str = ""
    fact: str = ""
    rule: str = "flow"


class Claim(msgspec.Struct, frozen=True):
    """A hypothesis: a class of `weakness.WEAKNESSES`, and the chain from what an outsider controls to what hurts."""

    weakness: str
    steps: tuple[ClaimStep, ...]
    title: str = ""
    severity: str = ""


class Fix(msgspec.Struct, frozen=True):
    """A unified diff for the finding with that fingerprint."""

    finding: str
    diff: str
    why: str = ""


class _Said(msgspec.Struct, frozen=True):
    hypotheses: list[msgspec.Raw] = []
    fixes: list[msgspec.Raw] = []


@dataclass(frozen=True, slots=True)
class Answer:
    """What is left of an answer, and how many of its parts were not."""

    claims: tuple[Claim, ...] = ()
    fixes: tuple[Fix, ...] = ()
    dropped: int = 0


class Unusable(Exception):
    """An answer that is no JSON object of ours."""


Part = TypeVar("Part")


def parse(text: str) -> Answer:
    """The answer in `text`: the outermost braces, whatever stands around them. Raises `Unusable`."""
    start, end = text.find("{"), text.rfind("}")
    try:
        said = msgspec.json.decode(text[start : end + 1].encode("utf-8", "replace"), type=_Said)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unusable(f"is no answer of ours: {error}"[:MOST_WORDS]) from None
    claims, fixes = _parts(said.hypotheses, Claim, MOST_CLAIMS), _parts(said.fixes, Fix, MOST_FIXES)
    kept = tuple(c for c in claims if _fits(c)), tuple(f for f in fixes if len(f.diff) <= MOST_DIFF)
    return Answer(*kept, len(said.hypotheses) + len(said.fixes) - sum(map(len, kept)))


def _parts(raw: list[msgspec.Raw], kind: type[Part], most: int) -> list[Part]:
    out: list[Part] = []
    for part in raw[:most]:
        try:
            out.append(msgspec.json.decode(part, type=kind))
        except (msgspec.MsgspecError, RecursionError):
            continue
    return out


def _fits(claim: Claim) -> bool:
    words = (claim.title, *(w for s in claim.steps for w in (s.path, s.text, s.fact)))
    return 0 < len(claim.steps) <= MOST_STEPS and all(len(w) <= MOST_WORDS for w in words)
