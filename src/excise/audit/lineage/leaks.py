"""What a model says of itself, and how it refuses: two more leads, both easily removed and easily picked up elsewhere.

A model that names another maker may have learnt it from any page that quotes that maker's model, so a leak counts as a
lead only beside how often controls do the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from excise.audit.safeguards.judge import local_judge

OPENING_WORDS: Final = 6
"""Words of a refusal's beginning that are its style."""
FEWEST_REFUSALS: Final = 10
_SHOWN: Final = 160
_READ: Final = 4_000


@dataclass(frozen=True, slots=True)
class Leak:
    """How many answers name a family as the speaker, of how many, at the suspect and over the controls; one example."""

    family: str
    answers: int
    of: int
    controls: int
    of_controls: int
    example: str


@dataclass(frozen=True, slots=True)
class Style:
    """Share of the suspect's refusals that begin like a refusal of the family, and like one of any other family."""

    family: str
    alike: float
    alike_others: float


def leaks(
    called: Mapping[str, Sequence[str]], suspect: Sequence[str], controls: Sequence[Sequence[str]]
) -> tuple[Leak, ...]:
    """Leaks of every family that has names, those with most first; families without any are left out."""
    out = []
    for family, names in called.items():
        pattern = speaks_as(names)
        hits = [answer for answer in suspect if pattern.search(answer[:_READ])]
        others = sum(bool(pattern.search(a[:_READ])) for said in controls for a in said)
        if hits:
            found = pattern.search(hits[0][:_READ])
            example = hits[0][max(0, found.start() - 40) : found.end() + 40][:_SHOWN] if found else ""
            out.append(
                Leak(family, len(hits), len(suspect), others, sum(len(said) for said in controls), example)
            )
    return tuple(sorted(out, key=lambda leak: -leak.answers))


def speaks_as(names: Sequence[str]) -> re.Pattern[str]:
    """A pattern for a first person who is called, or was made by, one of `names`; a mention alone does not match.

    >>> bool(speaks_as(["Claude"]).search("Hello! I'm Claude, an assistant."))
    True
    >>> bool(speaks_as(["Claude"]).search("Claude Monet was a painter, as I am told."))
    False
    """
    name = "(?:" + "|".join(re.escape(n) for n in sorted(names, key=len, reverse=True)) + r")\b"
    return re.compile(
        r"\b(?:i am|i['\u2019]m|my name is|call me)\s+(?:[\w-]+\s+){0,3}?" + name
        + r"|\b(?:i am|i['\u2019]m|i was|as)\s+(?:[\w,-]+\s+){0,8}?(?:developed|created|made|trained|built|designed)\s+by\s+"
        + name + r"|\bas\s+" + name + r",\s+i\b",
        re.IGNORECASE,
    )  # fmt: skip


def refusals(answers: Iterable[str]) -> Counter[str]:
    """How often which beginning stands at the refusals among `answers`, as the local judge sees them."""
    judge = local_judge()
    begun = (
        " ".join(re.findall(r"[\w']+", a[:400].lower())[:OPENING_WORDS])
        for a in answers
        if judge.refuses("", a)
    )
    return Counter(begin for begin in begun if begin)


def styles(families: Mapping[str, Sequence[str]], suspect: Sequence[str]) -> tuple[Style, ...]:
    """Likeness of refusals by family, nearest first; nothing where the suspect has fewer than `FEWEST_REFUSALS`."""
    own = refusals(suspect)
    total = sum(own.values())
    if total < FEWEST_REFUSALS:
        return ()
    begun = {family: refusals(said) for family, said in families.items()}
    out = [
        Style(
            family,
            sum(n for begin, n in own.items() if begin in begun[family]) / total,
            sum(n for begin, n in own.items() if any(begin in b for f, b in begun.items() if f != family))
            / total,
        )
        for family in families
    ]
    return tuple(sorted(out, key=lambda s: s.alike_others - s.alike))
