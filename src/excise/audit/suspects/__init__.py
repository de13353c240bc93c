"""What can be asked: anything that turns one prompt into one reply or says why not.

endpoint    an OpenAI-compatible address
recorded    a file of prompts and answers
model       a local transformers model (extra)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one prompt. `model` is the name that the suspect gives itself; texts are foreign."""

    text: str
    model: str = ""
    finish: str = ""
    claimed_tokens: int | None = None
    attempts: int = 1
    raw_sha256: str = ""
    at: str = ""


class NoReply(Exception):
    """A query that got no usable answer after all attempts. `reason` is a short stable word, `detail` is foreign text."""

    def __init__(self, reason: str, detail: str = "", *, attempts: int = 1) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.attempts = attempts


class Suspect(Protocol):
    """`source` is the kind for the transcript's header. `ask` is called once a query, in the order of the plan."""

    source: str

    def ask(self, query: int, prompt: str) -> Reply:
        """The reply to `prompt`, which is number `query` of the plan. Raises `NoReply`."""
        ...
