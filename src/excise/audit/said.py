"""Recorded answers by their prompts: of a transcript that `excise audit run` wrote, or of any NDJSON of pairs."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from excise.audit import texts, transcript

Answers = dict[str, tuple[str, ...]]
"""All answers to a prompt, in the order in which they were given."""


def answers(path: Path) -> Answers:
    """Answers by prompt. Raises `UnreadableFile`, and `InputError` where a transcript's chain or the rows do not hold."""
    with_head = texts.read_bytes(path, "recorded answers")[:4_096].lstrip()
    if with_head.startswith(b'{"kind":"header"'):
        pairs = [(one.prompt, one.answer) for one in transcript.read(path).answers]
    else:
        pairs = [(one.prompt, one.answer) for one in texts.answers(path)]
    found: defaultdict[str, list[str]] = defaultdict(list)
    for prompt, answer in pairs:
        found[prompt].append(answer)
    return {prompt: tuple(many) for prompt, many in found.items()}
