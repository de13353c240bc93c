"""Bare requests as a tee or a debugging proxy records them: one object with `path`, `headers` and `body` a request.

There is no account and no time in a request: `account_id` and `timestamp` (or `started_at`) must stand beside it. Where
only the account is missing, the key that the request was sent with serves as one, hashed; it is never kept itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final

from excise.errors import BadRow
from excise.ingest.formats.calls import CLIENT_COLUMNS, REQUEST_COLUMNS, body_of, end_user_of, request_columns
from excise.ingest.formats.client import client_columns, headers_of
from excise.ingest.formats.fields import derived_id, finished, first, identifier, micros, text
from excise.ingest.reader import Reader, Record, Row

_ENDPOINTS: Final = {
    "chat": "chat",
    "completions": "completions",
    "responses": "responses",
    "messages": "messages",
    "embeddings": "embeddings",
}


def _matches(record: Record) -> bool:
    return isinstance(record.get("headers"), Mapping | list) and "path" in record and "body" in record


def _convert(records: Iterable[Record]) -> Iterator[Row | BadRow]:
    for record in records:
        body, endpoint = body_of(record.get("body")), _endpoint(record.get("path"))
        if endpoint is not None and body:
            yield finished(_row(record, body, endpoint))


def _row(record: Record, body: Mapping[str, object], endpoint: str) -> Row:
    headers = headers_of(record.get("headers"))
    key = _hashed_key(headers)
    started = micros(first(record, "started_at", "timestamp", "time"))
    name = identifier(first(record, "exchange_id", "request_id")) or text(headers.get("x-request-id"))
    return {
        **request_columns(body),
        **client_columns(headers, None, first(record, "client_ip", "remote_addr")),
        "exchange_id": name or derived_id(key, started, body),
        "started_at": started,
        "account_id": identifier(first(record, "account_id", "account")) or key,
        "key_id": key,
        "end_user_id": end_user_of(body),
        "provider": "anthropic" if endpoint == "messages" else "openai",
        "endpoint": endpoint,
        "model": text(body.get("model")),
    }


def _endpoint(path: object) -> str | None:
    if not isinstance(path, str):
        return None
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if parts[-2:] == ["chat", "completions"]:
        return "chat"
    return _ENDPOINTS.get(parts[-1]) if parts else None


def _hashed_key(headers: Mapping[str, str]) -> str | None:
    key = text(headers.get("x-api-key")) or text(headers.get("authorization", "").removeprefix("Bearer "))
    return "key_" + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32] if key else None


SDK_REQUESTS: Final = Reader(
    id="sdk-requests",
    title="Requests of SDKs with headers",
    carries=(
        "exchange_id", "started_at", "account_id", "key_id", "end_user_id", *CLIENT_COLUMNS,
        "provider", "endpoint", "model", *REQUEST_COLUMNS,
    ),
    lacks="the time, unless the recorder adds timestamp; answers, reasoning, stop reasons, tokens, status, latency",
    matches=_matches,
    convert=_convert,
)  # fmt: skip
