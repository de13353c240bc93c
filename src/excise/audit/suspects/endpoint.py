"""An OpenAI-compatible address as a suspect. What it cannot do to us is `wire`'s business, what it says is read here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from excise import wire
from excise.audit.suspects import NoReply, Reply
from excise.wire import MOST_BYTES, Limits, Trouble

if TYPE_CHECKING:
    from excise.audit.plan import Sampling

__all__ = ["MOST_BYTES", "Endpoint", "Limits"]


class Endpoint:
    """Asks `URL/chat/completions`. Raises `UsageError` for an address or a key that cannot be used."""

    source = "endpoint"

    def __init__(
        self,
        url: str,
        model: str,
        key_env: str | None,
        sampling: Sampling,
        limits: Limits,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        where, key = wire.address(url, "/chat/completions", "--endpoint"), wire.key_of(key_env)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._wire = wire.Wire(where, limits, headers, key, sleep)
        self._body = {"model": model, "temperature": sampling.temperature, "max_tokens": sampling.max_tokens}

    def ask(self, query: int, prompt: str) -> Reply:  # noqa: ARG002  one interface
        """The reply to `prompt`, after as many attempts as it takes. Raises `NoReply`."""
        body = msgspec.json.encode({**self._body, "messages": [{"role": "user", "content": prompt}]})
        try:
            reply, attempts = self._wire.post(body, _reply)
        except Trouble as trouble:
            raise NoReply(
                trouble.reason, trouble.detail, attempts=trouble.attempts, final=trouble.final
            ) from None
        return replace(reply, attempts=attempts)


def _reply(raw: bytes) -> Reply:
    try:
        value = msgspec.json.decode(raw)
        choice = value["choices"][0]
        message = choice["message"]
        content = message.get("content")
        text = msgspec.convert(content if content is not None else message.get("refusal") or "", str)
    except (
        msgspec.MsgspecError,
        ValueError,
        RecursionError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise Trouble("bad-json", f"{type(error).__name__}: {error}"[:300]) from None
    usage = value.get("usage")
    claimed = usage.get("completion_tokens") if isinstance(usage, dict) else None
    name = " ".join(_text(value.get(part)) for part in ("model", "system_fingerprint")).strip()
    return Reply(
        text=text,
        model=name,
        finish=_text(choice.get("finish_reason")),
        claimed_tokens=claimed if isinstance(claimed, int) and abs(claimed) < 1 << 53 else None,
        raw_sha256=hashlib.sha256(raw).hexdigest(),
    )


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""
