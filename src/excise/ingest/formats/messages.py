"""What a request's messages and an answer's content blocks say, for the APIs' shapes of them.

A message is an object with `role` and `content`; content is text or a list of blocks. One walk serves OpenAI chat and
responses, Anthropic messages, LiteLLM's mix of these, and OpenTelemetry's `parts`, as their block types do not clash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from excise.ingest.formats.fields import decoded, first, listing, mapping, text

_MARK: Final = re.compile(
    r"\.\.\. \(litellm_truncated[^()]{0,400}(?:\([^()]{0,100}\)[^()]{0,200}){0,4}\) ?(?:\.\.\.)?"
)
"""What LiteLLM 1.106 puts between the first 35 % and the last 65 % of a string that it cuts to 2,048 characters."""

_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}", re.ASCII)
_TEXT: Final = frozenset({"text", "input_text", "output_text"})
_THINKING: Final = frozenset({"thinking", "reasoning"})
_SYSTEM: Final = frozenset({"system", "developer"})
_STOP: Final = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "completed": "stop", "eos": "stop",
    "length": "length", "max_tokens": "length", "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool": "tool", "tool_calls": "tool", "tool_use": "tool", "tool_call": "tool", "function_call": "tool",
    "refusal": "refusal", "content_filter": "filter", "safety": "filter", "guardrail_intervened": "filter",
    "pause": "pause", "pause_turn": "pause", "error": "error", "failed": "error",
}  # fmt: skip


@dataclass(slots=True)
class Content:
    """Texts in order, and the ids of the opaque reasoning blocks, each once."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)

    @property
    def text(self) -> str | None:
        """What is shown as the message, one text a line."""
        return "\n".join(self.texts) or None

    @property
    def reasoning_text(self) -> str | None:
        """The visible reasoning, one text a line."""
        return "\n".join(self.reasoning) or None

    def add_block(self, secret: object) -> None:
        """Note an opaque block by its signature, redacted data or encrypted content."""
        found = text(secret)
        if found and (name := block_id(found)) not in self.blocks:
            self.blocks.append(name)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request's messages say. `messages`: how many there are, the system prompt not counted."""

    system_text: str | None
    user_text: str | None
    messages: int
    replayed: list[str]


def block_id(secret: str) -> str:
    """The id of an opaque reasoning block: `rb_` and 64 bits of the SHA-256 of its signature."""
    return "rb_" + sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def prose(value: object) -> str | None:
    """Text without LiteLLM's mark of a cut: what stood before it and after it, on lines of their own."""
    found = text(value)
    if found and "(litellm_truncated" in found:
        return "\n".join(filter(None, _MARK.split(found))) or None
    return found


def stop_word(reason: object) -> str | None:
    """The contract's word for an API's stop reason, or None for an unknown one."""
    return _STOP.get(reason.lower()) if isinstance(reason, str) else None


def read_content(content: object, into: Content | None = None) -> Content:
    """Collect text, reasoning, refusals and opaque blocks from a message's content. Images and files say nothing."""
    found = Content() if into is None else into
    if isinstance(content, str):
        _append(found.texts, content)
    elif isinstance(content, Mapping):
        _read_block(content, found)
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, str):
                _append(found.texts, block)
            elif isinstance(block, Mapping):
                _read_block(block, found)
    return found


def _read_block(block: Mapping[str, Any], found: Content) -> None:
    kind = block.get("type")
    if not isinstance(kind, str) or kind in _TEXT:
        _append(found.texts, first(block, "text", "content"))
    elif kind == "refusal":
        _append(found.refusals, block.get("refusal"))
    elif kind in _THINKING:
        _read_thinking(block, found)
    elif kind == "redacted_thinking":
        found.add_block(block.get("data"))


def _read_thinking(block: Mapping[str, Any], found: Content) -> None:
    for shown in (block.get("thinking"), block.get("text")):
        _append(found.reasoning, shown)
    for part in _parts(block.get("summary"), block.get("content")):
        if isinstance(part, str) and _OPAQUE.fullmatch(part):
            found.add_block(part)  # OpenTelemetry writes redacted thinking as if it were reasoning
        else:
            _append(found.reasoning, part)
    found.add_block(first(block, "signature", "encrypted_content"))


def _parts(*values: object) -> Iterator[object]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (part.get("text") if isinstance(part, Mapping) else part for part in value)


def _append(texts: list[str], value: object) -> None:
    found = prose(value)
    if found:
        texts.append(found)


def read_message(message: Mapping[str, Any], into: Content | None = None) -> Content:
    """The content of one message in any of the APIs' shapes, with what LiteLLM adds beside it."""
    if message.get("type") == "reasoning":
        return read_content(message, into)
    found = read_content(first(message, "content", "parts"), into)
    extra = mapping(message.get("provider_specific_fields"))
    _append(found.refusals, first(message, "refusal") or extra.get("refusal"))
    thinking = listing(message.get("thinking_blocks")) or listing(extra.get("thinking_blocks"))
    if thinking:
        read_content(thinking, found)
    if not found.reasoning:
        _append(found.reasoning, first(message, "reasoning_content", "reasoning"))
    return found


def read_messages(messages: object, system: object = None) -> Asked:
    """What a request says: `messages` are its messages or input items (or plain text), `system` its top-level prompt."""
    value = decoded(messages)
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    items: Iterable[object] = value if isinstance(value, list) else []
    systems, replayed = read_content(decoded_blocks(system)), Content()
    asked, count = None, 0
    for item in items:
        message = {"role": "user", "content": item} if isinstance(item, str) else item
        if not isinstance(message, Mapping):
            continue
        role = message.get("role")
        if isinstance(role, str) and role in _SYSTEM:
            read_message(message, systems)
            continue
        count += 1
        if role == "user":
            asked = read_message(message).text or asked
        else:
            replayed.blocks = read_message(message, Content(blocks=replayed.blocks)).blocks
    return Asked(systems.text, asked, count, replayed.blocks)


def decoded_blocks(value: object) -> object:
    """A system prompt: text, or blocks that an export may hold as a string of JSON."""
    return decoded(value) if isinstance(value, str) and value.lstrip().startswith('[{"') else value
