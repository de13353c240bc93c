"""Recorded answers by their prompts: of a transcript that `excise audit run` or `ask` wrote, or of any NDJSON of pairs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from excise.audit import texts, transcript


@dataclass(frozen=True, slots=True)
class Unplanned:
    """Prompts that are asked without a plan, for leads and safeguards; a transcript goes on only with the same ones."""

    prompts: tuple[str, ...]
    out: Path

    @property
    def commitment(self) -> str:
        """The hash of the prompts; it seals nothing."""
        return "prompts:" + texts.digest("\0".join(self.prompts).encode("utf-8", "surrogatepass"))

    def transcript_path(self, suspect: str) -> Path:  # noqa: ARG002  one interface
        """The one file, whoever is asked."""
        return self.out


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
