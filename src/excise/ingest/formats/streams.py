"""Put a streamed response together: the events of the three APIs become the body that a plain call would have had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from excise.ingest.formats.fields import decoded, integer, mapping

_DELTAS: Final = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_DONE: Final = ("response.completed", "response.incomplete", "response.failed")
_MOST_BLOCKS: Final = 10_000


def assembled(value: object) -> object:
    """The body of a response; a list of events, or the text of a server-sent event stream, is put together."""
    found = decoded(value)
    if isinstance(found, str) and ("data:" in found[:4096]):
        found = found.splitlines()
    if not isinstance(found, list):
        return found
    events = list(_events(found))
    kinds = {event.get("type") for event in events if isinstance(event.get("type"), str)}
    if "message_start" in kinds:
        return _message(events)
    if any(event.get("object") in ("chat.completion.chunk", "text_completion") for event in events):
        return _completion(events)
    for event in reversed(events):
        if event.get("type") in _DONE:
            return event.get("response")
    return None


def _events(chunks: list[Any]) -> Iterator[Mapping[str, Any]]:
    for chunk in chunks:
        if isinstance(chunk, str):
            event = mapping(chunk.strip().removeprefix("data:").strip())
        else:
            event = mapping(chunk)
        if event:
            yield mapping(event.get("data")) or event


def _message(events: list[Mapping[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        kind, at = event.get("type"), integer(event.get("index"))
        delta = mapping(event.get("delta"))
        if kind == "message_start":
            body.update(mapping(event.get("message")))
            usage.update(mapping(body.get("usage")))
        elif kind == "content_block_start" and at is not None and len(blocks) < _MOST_BLOCKS:
            blocks[at] = dict(mapping(event.get("content_block")))
        elif kind == "content_block_delta" and at in blocks:
            _extend(blocks[at], delta)
        elif kind == "message_delta":
            body.update(delta)
            usage.update(mapping(event.get("usage")))
    return {**body, "content": [blocks[at] for at in sorted(blocks)], "usage": usage}


def _extend(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    name = _DELTAS.get(str(delta.get("type")))
    more = delta.get(name) if name else None
    if name and isinstance(more, str):
        old = block.get(name)
        block[name] = (old if isinstance(old, str) else "") + more


def _completion(events: list[Mapping[str, Any]]) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    body: dict[str, Any] = {}
    reason, usage = None, None
    for event in events:
        body = body or {key: event.get(key) for key in ("id", "created", "model")}
        usage = event.get("usage") or usage
        choices = event.get("choices")
        choice = mapping(choices[0]) if isinstance(choices, list) and choices else {}
        if integer(choice.get("index")):
            continue
        delta = mapping(choice.get("delta")) or choice
        reason = choice.get("finish_reason") or reason
        _add(texts, delta.get("content"), delta.get("text"))
        _add(thoughts, delta.get("reasoning_content"), delta.get("reasoning"))
        _add(refusals, delta.get("refusal"))
    message = {
        "role": "assistant",
        "content": "".join(texts),
        "reasoning_content": "".join(thoughts),
        "refusal": "".join(refusals),
    }
    choice = {"index": 0, "finish_reason": reason, "message": message}
    return {**body, "object": "chat.completion", "choices": [choice], "usage": usage}


def _add(into: list[str], *pieces: object) -> None:
    into.extend(piece for piece in pieces if isinstance(piece, str))
