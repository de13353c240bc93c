"""Spans and log records out of OpenTelemetry's files: OTLP JSON (traces and logs) and the SDK's console exporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from excise.ingest.formats.fields import first, listing, mapping
from excise.ingest.reader import Record

_DEEPEST: Final = 64
"""Nesting of OTLP values that is followed; message content seen in the wild stays under 20."""


@dataclass(slots=True)
class Signal:
    """A span, or an event (`name` is the event's then), with plain JSON attributes. Times as in the source."""

    is_span: bool
    name: str
    trace: str
    span: str
    started: Any
    ended: Any
    attributes: dict[str, Any]
    body: Any = None
    resource: dict[str, Any] = field(default_factory=dict)
    failed: bool = False
    parent: str = ""


def signals(record: Record) -> Iterator[Signal]:
    """All spans with their own events, and all log records, of one decoded object of any of the forms."""
    for resource in listing(record.get("resourceSpans")):
        known = _attributes(mapping(mapping(resource).get("resource")).get("attributes"))
        for scope in listing(mapping(resource).get("scopeSpans")):
            for span in listing(mapping(scope).get("spans")):
                yield from _otlp_span(mapping(span), known)
    for resource in listing(record.get("resourceLogs")):
        known = _attributes(mapping(mapping(resource).get("resource")).get("attributes"))
        for scope in listing(mapping(resource).get("scopeLogs")):
            for log in listing(mapping(scope).get("logRecords")):
                yield _otlp_log(mapping(log), known)
    if isinstance(record.get("context"), Mapping):
        yield from _console_span(record)
    elif is_console_log(record):
        yield _console_log(record)


def is_console_log(record: Record) -> bool:
    """Whether this is the console exporter's form of a log record."""
    return "body" in record and "trace_id" in record and isinstance(record.get("attributes"), Mapping)


def _otlp_span(span: Mapping[str, Any], resource: dict[str, Any]) -> Iterator[Signal]:
    trace, name = _hex(span.get("traceId")), _hex(span.get("spanId"))
    failed = str(mapping(span.get("status")).get("code")) in ("2", "STATUS_CODE_ERROR")
    times = span.get("startTimeUnixNano"), span.get("endTimeUnixNano")
    attributes = _attributes(span.get("attributes"))
    yield Signal(
        True,
        _word(span.get("name")),
        trace,
        name,
        *times,
        attributes,
        None,
        resource,
        failed,
        _hex(span.get("parentSpanId")),
    )
    for item in listing(span.get("events")):
        event = mapping(item)
        yield Signal(
            False,
            _word(event.get("name")),
            trace,
            name,
            event.get("timeUnixNano"),
            None,
            _attributes(event.get("attributes")),
        )


def _otlp_log(log: Mapping[str, Any], resource: dict[str, Any]) -> Signal:
    attributes = _attributes(log.get("attributes"))
    name = _word(log.get("eventName") or attributes.get("event.name"))
    at = first(log, "timeUnixNano", "observedTimeUnixNano")
    body = _value(log.get("body"), 0)
    return Signal(
        False, name, _hex(log.get("traceId")), _hex(log.get("spanId")), at, None, attributes, body, resource
    )


def _console_span(record: Record) -> Iterator[Signal]:
    context = mapping(record.get("context"))
    trace, name = _hex(context.get("trace_id")), _hex(context.get("span_id"))
    failed = mapping(record.get("status")).get("status_code") == "ERROR"
    resource = dict(mapping(mapping(record.get("resource")).get("attributes")))
    times = record.get("start_time"), record.get("end_time")
    attributes = dict(mapping(record.get("attributes")))
    yield Signal(
        True,
        _word(record.get("name")),
        trace,
        name,
        *times,
        attributes,
        None,
        resource,
        failed,
        _hex(record.get("parent_id")),
    )
    for item in listing(record.get("events")):
        event = mapping(item)
        known = dict(mapping(event.get("attributes")))
        yield Signal(False, _word(event.get("name")), trace, name, event.get("timestamp"), None, known)


def _console_log(record: Record) -> Signal:
    attributes = dict(mapping(record.get("attributes")))
    name = _word(first(record, "event_name") or attributes.get("event.name"))
    resource = dict(mapping(mapping(record.get("resource")).get("attributes")))
    ids = _hex(record.get("trace_id")), _hex(record.get("span_id"))
    return Signal(False, name, *ids, record.get("timestamp"), None, attributes, record.get("body"), resource)


def _attributes(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    pairs = map(mapping, listing(value))
    return {pair["key"]: _value(pair.get("value"), 0) for pair in pairs if isinstance(pair.get("key"), str)}


def _value(value: object, depth: int) -> Any:
    """An OTLP value (`{"stringValue": …}` and its kind) as plain JSON."""
    if not isinstance(value, Mapping) or depth > _DEEPEST:
        return None
    for kind, content in value.items():
        if kind == "arrayValue":
            return [_value(item, depth + 1) for item in listing(mapping(content).get("values"))]
        if kind == "kvlistValue":
            pairs = map(mapping, listing(mapping(content).get("values")))
            return {
                pair["key"]: _value(pair.get("value"), depth + 1)
                for pair in pairs
                if isinstance(pair.get("key"), str)
            }
        if kind == "intValue" and isinstance(content, str):
            return int(content) if content.lstrip("-").isdigit() and len(content) < 20 else None
        if kind in ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue"):
            return content
    return None


def _hex(value: object) -> str:
    """A trace or span id: as it stands, without `0x`. Protobuf's JSON has base64 here, which is as unique."""
    return value.removeprefix("0x") if isinstance(value, str) else ""


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
