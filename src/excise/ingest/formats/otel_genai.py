"""OpenTelemetry's GenAI conventions, old and new: spans, events and log records of model calls.

Content stands on spans as JSON strings, on events as structure (`gen_ai.client.inference.operation.details`), or, up to
version 1.36 of the conventions, in one event a message (`gen_ai.user.message`, ..., `gen_ai.choice`). What shares a span
is one call; so are spans of one trace that share a response id, and a model call's span directly inside another's, since
SDKs emit spans of their own below the instrumentation's. Calls are joined within a window of `_WINDOW` calls of a file, in which exporters keep them by far.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from excise.errors import BadRow
from excise.ingest.formats.client import client_columns
from excise.ingest.formats.fields import (
    as_json,
    decoded,
    finished,
    first,
    identifier,
    integer,
    listing,
    mapping,
    micros,
    number,
    text,
)
from excise.ingest.formats.messages import Content, read_content, read_message, read_messages, stop_word
from excise.ingest.formats.otel_records import Signal, is_console_log, signals
from excise.ingest.reader import Reader, Record, Row

_WINDOW: Final = 10_000
_MOST: Final = 2_000
"""Attributes and messages of one call that are kept: a real call has under 100 of the first; a hostile file has no end."""
_MODEL_CALLS: Final = {
    "chat": "chat", "text_completion": "completions", "generate_content": "chat", "embeddings": "embeddings",
}  # fmt: skip
_ROLES: Final = {
    f"gen_ai.{role}.message": role for role in ("system", "developer", "user", "assistant", "tool")
}


@dataclass(slots=True)
class _Call:
    attributes: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    span: str = ""
    started: int | None = None
    ended: int | None = None
    failed: bool = False

    @property
    def reply(self) -> str | None:
        """The response's id, where one is known by now."""
        return identifier(self.attributes.get("gen_ai.response.id"))

    def add(self, signal: Signal) -> None:
        """Merge one more span or event of the same call. The first value of an attribute stays."""
        if signal.is_span:
            start, end = micros(signal.started), micros(signal.ended)
            self.started = min(filter(None, (self.started, start)), default=None)
            self.ended = max(filter(None, (self.ended, end)), default=None)
            self.failed = self.failed or signal.failed
            self.span = self.span or signal.span
        if len(self.attributes) < _MOST:
            self.attributes = {**signal.attributes, **self.attributes}
        self.resource = self.resource or signal.resource
        role = _ROLES.get(signal.name)
        body = mapping(signal.body) or signal.attributes
        if role and len(self.asked) < _MOST:
            self.asked.append({**body, "role": role})
        elif signal.name == "gen_ai.choice" and not self.chosen and not integer(body.get("index")):
            self.chosen = body
        elif not signal.is_span and self.started is None:
            self.started = micros(signal.started)


class _Window:
    """Open calls in the order in which they appeared, found again by span, or by trace and response id."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._names: dict[tuple[str, str], int] = {}
        self._next = 0

    def add(self, signal: Signal) -> None:
        """Add to the call that the signal belongs to, or open one."""
        reply = identifier(signal.attributes.get("gen_ai.response.id"))
        names = [(signal.trace, signal.span)] if signal.span else []
        names += [(signal.trace, f"reply {reply}")] if reply else []
        near = [(signal.trace, signal.parent), (signal.trace, f"child of {signal.span}")]
        found = next(filter(None, map(self._call, names)), None) or next(
            (one for one in filter(None, map(self._call, near)) if _agree(one[1].reply, reply)), None
        )
        at, call = found or (self._next, _Call())
        if not found:
            self._next += 1
            self._calls[at] = call
        if signal.is_span and signal.parent:
            names.append((signal.trace, f"child of {signal.parent}"))
        self._names.update(dict.fromkeys(names, at))
        call.add(signal)

    def _call(self, name: tuple[str, str]) -> tuple[int, _Call] | None:
        at = self._names.get(name) if name[1] else None
        call = self._calls.get(at) if at is not None else None
        return None if at is None or call is None else (at, call)

    def closed(self, keep: int) -> Iterator[_Call]:
        while len(self._calls) > keep:
            yield self._calls.pop(next(iter(self._calls)))
        if len(self._names) > 4 * _WINDOW:
            self._names = {name: at for name, at in self._names.items() if at in self._calls}


def _matches(record: Record) -> bool:
    if "resourceSpans" in record or "resourceLogs" in record:
        return True
    attributes = record.get("attributes")
    named = isinstance(attributes, Mapping) and any(str(key).startswith("gen_ai.") for key in attributes)
    return named and ("context" in record or is_console_log(record))


def _convert(records: Iterable[Record]) -> Iterator[Row | BadRow]:
    window = _Window()
    for record in records:
        for signal in signals(record):
            if _is_genai(signal):
                window.add(signal)
        yield from map(_finished, filter(_is_call, window.closed(_WINDOW)))
    yield from map(_finished, filter(_is_call, window.closed(0)))


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _is_genai(signal: Signal) -> bool:
    """A signal of a model call: nested in one another they are the same call; spans of agents and tools are not."""
    operation = signal.attributes.get("gen_ai.operation.name")
    if operation is not None and operation not in tuple(_MODEL_CALLS):  # a tuple: it may be unhashable
        return False
    return signal.name.startswith("gen_ai.") or any(key.startswith("gen_ai.") for key in signal.attributes)


def _is_call(call: _Call) -> bool:
    """A model call: not the span of a tool or of an agent, nor an event whose span is not there at all."""
    operation = call.attributes.get("gen_ai.operation.name")
    return operation in tuple(_MODEL_CALLS) or (
        operation is None and "gen_ai.request.model" in call.attributes
    )


def _finished(call: _Call) -> Row | BadRow:
    return finished(_row(call))


def _row(call: _Call) -> Row:
    known = call.attributes
    asked = read_messages(
        listing(known.get("gen_ai.input.messages")) or call.asked, known.get("gen_ai.system_instructions")
    )
    span = None if call.started is None or call.ended is None else round((call.ended - call.started) / 1000)
    failed = call.failed or known.get("error.type") is not None
    peer = first(known, "client.address", "client.socket.address")
    return {
        **_request(known),
        "system_text": asked.system_text,
        "user_text": asked.user_text,
        "n_messages": asked.messages or None,
        "tools_json": as_json(listing(known.get("gen_ai.tool.definitions"))),
        **_answer(call, failed=failed),
        **_usage(known),
        **client_columns({}, known.get("user_agent.original"), peer),
        **_identity(call),
        "http_status": _status(known),
        "latency_ms": span if span is None or span >= 0 else None,
    }


def _request(known: Mapping[str, Any]) -> Row:
    return {
        "provider": text(first(known, "gen_ai.provider.name", "gen_ai.system")),
        "endpoint": _endpoint(known),
        "model": text(first(known, "gen_ai.request.model", "gen_ai.response.model")),
        "temperature": number(known.get("gen_ai.request.temperature")),
        "top_p": number(known.get("gen_ai.request.top_p")),
        "max_tokens": integer(known.get("gen_ai.request.max_tokens")),
        "n": integer(known.get("gen_ai.request.choice.count")),
        "reasoning_effort": text(
            first(known, "gen_ai.request.reasoning.effort", "openai.request.reasoning_effort")
        ),
    }


def _endpoint(known: Mapping[str, Any]) -> str | None:
    """Chat is the conventions' word for all three APIs: the OpenAI one has an attribute, Anthropic has but one."""
    operation = known.get("gen_ai.operation.name")
    endpoint = _MODEL_CALLS.get(operation) if isinstance(operation, str) else None
    if endpoint != "chat":
        return endpoint
    if first(known, "openai.api.type", "gen_ai.openai.api.type") == "responses":
        return "responses"
    return "messages" if first(known, "gen_ai.provider.name", "gen_ai.system") == "anthropic" else "chat"


def _answer(call: _Call, *, failed: bool) -> Row:
    found, reason = Content(), None
    for item in listing(call.attributes.get("gen_ai.output.messages"))[:1] or [call.chosen]:
        message = mapping(item)
        reason = message.get("finish_reason")
        read_message(mapping(message.get("message")) or message, found)
    if not found.texts and isinstance(call.chosen.get("content"), str):
        read_content(decoded(call.chosen["content"]), found)
    reasons = call.attributes.get("gen_ai.response.finish_reasons")
    reasons = reasons if isinstance(reasons, list) else listing(reasons)
    stops = (*reasons[:1], reason, call.attributes.get("anthropic.message.stop_reason"))
    stop = next(filter(None, map(stop_word, stops)), None)
    return {
        "output_text": found.text or "\n".join(found.refusals) or None,
        "reasoning_text": found.reasoning_text,
        "stop_reason": "error" if failed else ("refusal" if found.refusals else stop),
    }


def _usage(known: Mapping[str, Any]) -> Row:
    cached = first(known, "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
    thought = first(known, "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens")
    return {
        "tokens_in": integer(first(known, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")),
        "tokens_cache_read": integer(cached),
        "tokens_out": integer(first(known, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")),
        "tokens_reasoning": integer(thought),
    }


def _identity(call: _Call) -> Row:
    known = {**call.resource, **call.attributes}
    user, end_user = identifier(known.get("user.id")), identifier(known.get("enduser.id"))
    account = identifier(first(known, "account_id", "account.id")) or user or end_user
    return {
        "exchange_id": identifier(known.get("gen_ai.response.id")) or text(call.span),
        "started_at": call.started,
        "account_id": account,
        "org_id": identifier(first(known, "org_id", "organization.id", "tenant.id")),
        "project_id": identifier(first(known, "project_id", "project.id")),
        "key_id": identifier(first(known, "key_id", "api_key.id")),
        "end_user_id": end_user if end_user != account else None,
        "session_id": identifier(first(known, "gen_ai.conversation.id", "session.id")),
    }


def _status(known: Mapping[str, Any]) -> int | None:
    for value in (known.get("http.response.status_code"), known.get("error.type")):
        status = integer(value)
        if status is not None and 100 <= status < 600:
            return status
    return None


OTEL_GENAI: Final = Reader(
    id="otel-genai",
    title="OpenTelemetry GenAI spans and events",
    carries=(
        "exchange_id", "started_at", "account_id", "org_id", "project_id", "key_id", "end_user_id", "session_id",
        "client_ip", "user_agent", "sdk_name", "sdk_version", "provider", "endpoint", "model",
        "temperature", "top_p", "max_tokens", "n", "reasoning_effort", "system_text", "user_text", "tools_json",
        "n_messages", "output_text", "reasoning_text", "stop_reason", "tokens_in", "tokens_cache_read",
        "tokens_out", "tokens_reasoning", "http_status", "latency_ms",
    ),
    lacks=(
        "ids of opaque reasoning blocks, since the instrumentation drops signatures; refusal categories, and OpenAI's refusals, which it writes as text; the account, "
        "unless user.id, enduser.id or account_id is set on spans or resource; network, OS and runtime; texts, unless "
        "message content is captured"
    ),
    matches=_matches,
    convert=_convert,
)  # fmt: skip
