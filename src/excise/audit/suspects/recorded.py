"""A recorded file of prompts and answers as a suspect: nothing is asked, answers are looked up by their prompt."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

from excise.audit.suspects import NoReply, Reply
from excise.audit.texts import Said, answers


class Recorded:
    """Answers in the order of the file; a prompt that stands there twice has two answers."""

    source = "recorded"

    def __init__(self, path: Path, prompts: Sequence[str]) -> None:
        by_prompt: dict[str, deque[Said]] = defaultdict(deque)
        for said in answers(path):
            by_prompt[said.prompt].append(said)
        self._said = [by_prompt[p].popleft() if by_prompt[p] else None for p in prompts]

    def ask(self, query: int, prompt: str) -> Reply:  # noqa: ARG002  one interface
        """The recorded answer to prompt number `query`. Raises `NoReply` where there is none."""
        said = self._said[query]
        if said is None:
            raise NoReply("not-recorded", final=True)
        raw = hashlib.sha256(said.answer.encode("utf-8", "surrogatepass")).hexdigest()
        return Reply(said.answer, model=said.model, raw_sha256=raw, at=said.at)
