"""Raw request/response pairs: the envelope around the two bodies, shared by the three readers of them.

Accepted keys of a record, first one that holds something (bodies as objects or as JSON text):

    request          request, request_body, or request.body      response   response, response_body, or response.body
    headers          headers, request_headers, request.headers   status     status, http_status, status_code, response.status
    exchange_id      exchange_id, request_id, call_id, else the response's id, else made of account,
                                                                time and request: a failure has no id
    started_at       started_at, timestamp, time, start_time, else the response's created or created_at
    account_id       account_id, account, else user_id, user, else key_id
    key_id           key_id, api_key_id, api_key_hash            org_id     org_id, organization_id
    project_id       project_id, team_id                         session_id session_id, conversation_id
    end_user_id      end_user_id, end_user, else what the request names
    client_ip        client_ip, remote_addr, ip                  latency_ms latency_ms, duration_ms
    path             path, url, endpoint, only to tell the API where the bodies do not

The three readers share one conversion, so a file in which the APIs are mixed is read whole by any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from excise.errors import BadRow
from excise.ingest.formats.calls import (
    ANSWER_COLUMNS,
    CLIENT_COLUMNS,
    REQUEST_COLUMNS,
    answer_columns,
    api_of_response,
    body_of,
    end_user_of,
    request_columns,
)
from excise.ingest.formats.client import client_columns, headers_of
from excise.ingest.formats.fields import derived_id, finished, first, identifier, integer, micros, text
from excise.ingest.formats.streams import assembled
from excise.ingest.reader import Record, Row

CARRIES: Final = (
    "exchange_id", "started_at", "account_id", "org_id", "project_id", "key_id", "end_user_id", "session_id",
    "parent_exchange_id", *CLIENT_COLUMNS, "provider", "endpoint", "model",
    *REQUEST_COLUMNS, *ANSWER_COLUMNS, "http_status", "latency_ms",
)  # fmt: skip
LACKS: Final = (
    "account, key, time, address, status and latency, unless the program that recorded the pairs put them beside the "
    "bodies (a response of OpenAI's has a time of its own)"
)
_FAILED: Final = 400


@dataclass(frozen=True, slots=True)
class Pair:
    """One record taken apart. `response` is put together where it was streamed."""

    record: Record
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    headers: dict[str, str]
    status: int | None


def pair_of(record: Record) -> Pair | None:
    """The pair in a record, or None where it holds no request body or no response."""
    request, response = first(record, "request", "request_body"), first(record, "response", "response_body")
    if request is None or response is None:
        return None
    asked, headers, status = body_of(request), first(record, "headers", "request_headers"), None
    if "body" in asked:
        headers = headers or asked.get("headers")
        asked = body_of(asked["body"])
    answer = assembled(response)
    if isinstance(answer, Mapping) and "body" in answer:
        status = answer.get("status")
        answer = assembled(answer["body"])
    status = first(record, "status", "http_status", "status_code") or status
    return Pair(
        record, asked, answer if isinstance(answer, Mapping) else {}, headers_of(headers), integer(status)
    )


def api_of(record: Record) -> str | None:
    """`chat`, `responses` or `messages` for a pair, or None for any other record."""
    pair = pair_of(record)
    return _api(pair) if pair else None


def _api(pair: Pair) -> str | None:
    request = pair.request
    known = api_of_response(pair.response)
    if known in ("chat", "responses", "messages") and ("messages" in request or "input" in request):
        return known
    path = first(pair.record, "path", "url", "endpoint")
    if isinstance(request.get("messages"), list) and isinstance(request.get("model"), str):
        says = (isinstance(path, str) and path.rstrip("/").endswith("messages"),
                "anthropic-version" in pair.headers, "system" in request, pair.response.get("type") == "error")  # fmt: skip
        return "messages" if any(says) else "chat"
    if "input" in request and isinstance(path, str) and path.rstrip("/").endswith("responses"):
        return "responses"
    return None


def convert(records: Iterable[Record]) -> Iterator[Row | BadRow]:
    """Rows of all pairs of the three APIs; a record that is no pair is left out."""
    for record in records:
        pair = pair_of(record)
        api = _api(pair) if pair else None
        if pair is not None and api is not None:
            yield finished(_row(pair, api))


def _row(pair: Pair, api: str) -> Row:
    record, request, response = pair.record, pair.request, pair.response
    failed = (pair.status or 0) >= _FAILED or bool(response.get("error"))
    answer = answer_columns(response, "anthropic" if api == "messages" else None)
    return {
        **request_columns(request),
        **answer,
        "stop_reason": "error" if failed else answer.get("stop_reason"),
        **client_columns(
            pair.headers, record.get("user_agent"), first(record, "client_ip", "remote_addr", "ip")
        ),
        **_identity(record, request, response),
        "provider": text(record.get("provider")) or ("anthropic" if api == "messages" else "openai"),
        "endpoint": api,
        "model": text(request.get("model")) or text(response.get("model")),
        "http_status": pair.status,
        "latency_ms": integer(first(record, "latency_ms", "duration_ms")),
    }


def _identity(record: Record, request: Mapping[str, Any], response: Mapping[str, Any]) -> Row:
    key = identifier(first(record, "key_id", "api_key_id", "api_key_hash"))
    account = identifier(first(record, "account_id", "account", "user_id", "user")) or key
    logged = first(record, "started_at", "timestamp", "time", "start_time")
    started = micros(logged or first(response, "created", "created_at"))
    name = identifier(first(record, "exchange_id", "request_id", "call_id") or response.get("id"))
    return {
        "exchange_id": name or derived_id(account, started, request),
        "started_at": started,
        "account_id": account,
        "org_id": identifier(first(record, "org_id", "organization_id")),
        "project_id": identifier(first(record, "project_id", "team_id")),
        "key_id": key,
        "end_user_id": identifier(first(record, "end_user_id", "end_user")) or end_user_of(request),
        "session_id": identifier(first(record, "session_id", "conversation_id")),
        "parent_exchange_id": identifier(request.get("previous_response_id")),
    }
