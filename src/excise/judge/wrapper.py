"""What requests have in common, in words that may be shown: align a few, keep what all share, redact what may be personal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from excise.model.findings import Example, Segment, Wrapper

MOST_CHARACTERS: Final = 4000
"""Of each text: wrappers are shorter, payloads need not be compared to their end."""
_LEAST_RUN: Final = 3
"""Words in a row that must agree: one or two agree by chance in any two texts of a language."""
_WORD: Final = re.compile(r"\s*\S+")
_PERSONAL: Final = (
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}"), "[mail]"),
    (re.compile(r"\b(?:https?|ftp)://\S{1,500}"), "[link]"),
    (re.compile(r"\b(?:sk|pk|key|tok|ghp|xox[abp])[-_][A-Za-z0-9_-]{8,200}"), "[key]"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "[address]"),
    (re.compile(r"\b(?=[A-Za-z]*\d)[A-Za-z\d]{20,200}\b"), "[token]"),
    (re.compile(r"\+?\d[\d ()/-]{6,30}\d"), "[number]"),
)


def common_wrapper(texts: Sequence[str], share: float) -> Wrapper | None:
    """Align two and more texts of different accounts; None when they have no run of words in common.

    Only words that every text has are kept, so a payload never shows. Quadratic in the words of a text at worst, for a
    handful of texts of at most 4,000 characters.
    """
    if len(texts) < 2:
        return None
    words = [_WORD.findall(t[:MOST_CHARACTERS]) for t in texts]
    kept: list[list[str]] = [words[0]]
    for other in words[1:]:
        kept = [run for piece in kept for run in _common_runs(piece, other)]
    segments: list[Segment] = []
    for run in kept:
        segments += [Segment("", fixed=False), Segment(redact("".join(run).strip()), fixed=True)]
    if not kept:
        return None
    if words[0][: len(kept[0])] == kept[0]:
        segments = segments[1:]
    if not all(w[-len(kept[-1]) :] == kept[-1] for w in words):
        segments.append(Segment("", fixed=False))
    return Wrapper(tuple(segments), share)


def _common_runs(mine: Sequence[str], other: Sequence[str]) -> list[list[str]]:
    matcher = SequenceMatcher(None, [w.strip() for w in mine], [w.strip() for w in other], autojunk=False)
    return [list(mine[m.a : m.a + m.size]) for m in matcher.get_matching_blocks() if m.size >= _LEAST_RUN]


def redact(text: str) -> str:
    """Replace what may name a person or open a door: mails, links, keys, addresses, long tokens and numbers."""
    for pattern, word in _PERSONAL:
        text = pattern.sub(word, text)
    return text


def as_example(wrapper: Wrapper) -> Example:
    """Return the wrapper as one line of text, its gaps marked."""
    return Example("wrapper", " ".join(s.text if s.fixed else "[…]" for s in wrapper.segments))
