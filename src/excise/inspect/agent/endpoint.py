"""The endpoint that a person named, in one of two dialects. What it cannot do to us is `wire`'s business."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from excise import wire
from excise.errors import UsageError
from excise.inspect.agent import prompt
from excise.wire import Limits, Trouble, Wire

MOST_TOKENS: Final = 4_000
"""Of one answer."""
VERSION: Final = "2023-06-01"
"""Of Anthropic's interface."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The text of an answer, the tokens that it says it cost (foreign), bytes that went over the wire, its digest."""

    text: str
    tokens: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a kind of endpoint is asked and answers."""

    ending: str
    headers: Callable[[str], dict[str, str]]
    body: Callable[[str, str], dict[str, Any]]
    text: Callable[[Any], Any]
    tokens: tuple[str, str]


def _openai(model: str, words: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": prompt.system()}, {"role": "user", "content": words}]
    return {"model": model, "max_tokens": MOST_TOKENS, "temperature": 0, "messages": messages}


def _anthropic(model: str, words: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": words}]
    return {"model": model, "max_tokens": MOST_TOKENS, "system": prompt.system(), "messages": messages}


def _blocks(value: Any) -> str:
    return "".join(block["text"] for block in value["content"] if block.get("type") == "text")


DIALECTS: Final = {
    "openai": Dialect(
        "/chat/completions",
        lambda key: {"Authorization": f"Bearer {key}"} if key else {},
        _openai,
        lambda value: value["choices"][0]["message"]["content"],
        ("prompt_tokens", "completion_tokens"),
    ),
    "anthropic": Dialect(
        "/messages",
        lambda key: {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {}),
        _anthropic,
        _blocks,
        ("input_tokens", "output_tokens"),
    ),
}


class Endpoint:
    """One model at one address. Raises `UsageError` for an address, a key or a dialect that cannot be used."""

    def __init__(self, url: str, model: str, dialect: str, key_env: str | None) -> None:
        if dialect not in DIALECTS:
            raise UsageError(
                f"no dialect {dialect!r}", subject="--agent-api", hint=f"one of {', '.join(DIALECTS)}"
            )
        self._dialect = DIALECTS[dialect]
        self._address = wire.address(url, self._dialect.ending, "--agent")
        self.model, self.url = model, url.split("?", maxsplit=1)[0]  # what follows could be a key
        self._key = wire.key_of(key_env)

    @property
    def reach(self) -> tuple[str, int]:
        """The only host and port that are talked to."""
        return self._address.host, self._address.port

    def ask(self, words: str, seconds: float) -> Reply:
        """The reply to `words`, in `seconds` at most. Raises `Trouble`."""
        body = msgspec.json.encode(self._dialect.body(self.model, words))
        line = Wire(self._address, Limits(seconds, 1, 6e6), self._dialect.headers(self._key), self._key)
        reply, _ = line.post(body, lambda raw: self._read(raw, len(body)))
        return reply

    def _read(self, raw: bytes, sent: int) -> Reply:
        try:
            value = msgspec.json.decode(raw)
            text = msgspec.convert(self._dialect.text(value), str)
        except (
            msgspec.MsgspecError,
            ValueError,
            RecursionError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            raise Trouble("bad-json", f"{type(error).__name__}: {error}"[:300]) from None
        usage = value.get("usage") if isinstance(value, dict) else None
        claimed = [usage.get(name) for name in self._dialect.tokens] if isinstance(usage, dict) else []
        tokens = sum(n for n in claimed if isinstance(n, int) and 0 <= n < 1 << 40)
        shown = text.replace(self._key, "[key]") if self._key else text
        return Reply(shown, tokens, sent + len(raw), hashlib.sha256(raw).hexdigest())
