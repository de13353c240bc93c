"""What can be asked: anything that turns one prompt into one reply or says why not.

endpoint    an OpenAI-compatible address
recorded    a file of prompts and answers
model       a local transformers model (extra)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from excise.errors import UsageError

if TYPE_CHECKING:
    from excise.audit.plan import Sampling


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
    """A query that got no usable answer after all attempts. `reason` is a short stable word, `detail` is foreign text.

    `final`: asking again would not help; otherwise the suspect seems to be down, and a later run asks again.
    """

    def __init__(self, reason: str, detail: str = "", *, attempts: int = 1, final: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.attempts = attempts
        self.final = final


class Suspect(Protocol):
    """`source` is the kind for the transcript's header. `ask` is called once a query, in the order of the plan."""

    source: str

    def ask(self, query: int, prompt: str) -> Reply:
        """The reply to `prompt`, which is number `query` of the plan. Raises `NoReply`."""
        ...


def chosen(
    prompts: Sequence[str],
    sampling: Sampling,
    *,
    endpoint: str | None,
    model: str,
    key_env: str | None,
    recorded: Path | None,
    local: Path | None,
    rate: float,
    timeout: float,
    attempts: int,
) -> Suspect:
    """The one suspect that the options name. Raises `UsageError` for none or several, and what each kind raises."""
    if sum(given is not None for given in (endpoint, recorded, local)) != 1:
        raise UsageError(
            "name one", subject="--endpoint, --recorded or --local", hint="--endpoint URL --model NAME"
        )
    if recorded is not None:
        from excise.audit.suspects.recorded import Recorded  # noqa: PLC0415  each kind loads what it needs

        return Recorded(recorded, prompts)
    if local is not None:
        from excise.audit.suspects.local import Local  # noqa: PLC0415

        return Local(local, sampling)
    from excise.audit.suspects.endpoint import Endpoint, Limits  # noqa: PLC0415

    return Endpoint(endpoint or "", model, key_env, sampling, Limits(timeout, attempts, rate))
