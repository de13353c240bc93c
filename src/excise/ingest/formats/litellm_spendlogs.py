"""Rows of LiteLLM's LiteLLM_SpendLogs table, exported as NDJSON, CSV or Parquet, or read from PostgreSQL (1.106.2).

JSON columns come as objects or as their text. Content is there only with `store_prompts_in_spend_logs: true`, and then
in `proxy_server_request` (the request's body, also its headers) while `messages` is "{}"; strings longer than 2,048
characters keep their first 35 % and last 65 %, with a mark between. The table keeps JSON as jsonb, which loses the order of headers. `request_id` is the provider's and may repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from excise.errors import BadRow
from excise.ingest.formats.calls import (
    ANSWER_COLUMNS,
    CLIENT_COLUMNS,
    REQUEST_COLUMNS,
    answer_columns,
    body_of,
    end_user_of,
    request_columns,
)
from excise.ingest.formats.client import client_columns, headers_of
from excise.ingest.formats.fields import finished, first, identifier, integer, listing, mapping, micros, text
from excise.ingest.formats.litellm import endpoint_of, headers_in, outcome, usage
from excise.ingest.reader import Reader, Record, Row

_AGENT_TAG: Final = "User-Agent: "


def _matches(record: Record) -> bool:
    return "request_id" in record and "call_type" in record and "proxy_server_request" in record


def convert(records: Iterable[Record]) -> Iterator[Row | BadRow]:
    """Rows for table rows, decoded from an export or projected by `excise.ingest.postgres`."""
    for record in records:
        if "call_type" in record:
            yield finished(_row(record))


def _row(record: Record) -> Row:
    metadata, body = mapping(record.get("metadata")), mapping(record.get("proxy_server_request"))
    asked = {
        **body,
        "messages": first(body, "messages", "input", "prompt") or listing(record.get("messages")),
    }
    provider = text(record.get("custom_llm_provider"))
    answer = answer_columns(body_of(record.get("response")), provider)
    headers = headers_of(headers_in(body))
    return {
        **request_columns(asked),
        **answer,
        **usage(record, metadata, answer),
        **outcome(
            first(record, "status") or metadata.get("status"),
            mapping(metadata.get("error_information")),
            answer,
        ),
        **client_columns(headers, _user_agent(record, metadata), _peer(record, metadata, body)),
        **({"header_order": None} if _is_jsonb_order(headers) else {}),
        **_identity(record, metadata, body),
        "provider": provider,
        "endpoint": endpoint_of(record.get("call_type")),
        "model": text(record.get("model_group")) or text(record.get("model")),
    }


def _is_jsonb_order(headers: Iterable[str]) -> bool:
    """Whether names stand as PostgreSQL's jsonb keeps keys (by length, then bytes): no client's order then."""
    names = list(headers)
    return names == sorted(names, key=lambda name: (len(name), name))


def _peer(record: Record, metadata: Any, body: Any) -> str | None:
    """The requester's address: the column is empty for chat calls of 1.106, whose request body still says it."""
    inner = (mapping(body.get("metadata")), mapping(body.get("litellm_metadata")))
    found = (holder.get("requester_ip_address") for holder in (record, metadata, *inner))
    return next(filter(None, map(text, found)), None)


def _user_agent(record: Record, metadata: Any) -> str | None:
    """The metadata's user agent, else the longest of the request tags that LiteLLM makes of it."""
    tags = [tag for tag in listing(record.get("request_tags")) if isinstance(tag, str)]
    named = [tag.removeprefix(_AGENT_TAG) for tag in tags if tag.startswith(_AGENT_TAG)]
    return text(metadata.get("user_agent")) or max(named, key=len, default=None)


def _identity(record: Record, metadata: Any, body: Any) -> Row:
    key = identifier(first(record, "api_key") or metadata.get("user_api_key"))
    started, ended = micros(record.get("startTime")), micros(record.get("endTime"))
    own = identifier(first(record, "litellm_call_id")) or identifier(
        first(metadata, "litellm_call_id") or body.get("litellm_call_id")
    )
    provided = identifier(record.get("request_id"))
    span = None if started is None or ended is None else max(0, round((ended - started) / 1000))
    duration = integer(record.get("request_duration_ms"))
    return {
        "exchange_id": own or (provided and f"{provided}@{started}"),
        "started_at": started,
        "account_id": identifier(first(record, "user") or metadata.get("user_api_key_user_id")) or key,
        "org_id": identifier(first(record, "organization_id") or metadata.get("user_api_key_org_id")),
        "project_id": identifier(metadata.get("user_api_key_project_id"))
        or identifier(record.get("team_id")),
        "key_id": key,
        "end_user_id": identifier(record.get("end_user")) or end_user_of(body),
        "session_id": identifier(record.get("session_id")),
        "latency_ms": span if duration is None else duration,
    }


LITELLM_SPENDLOGS: Final = Reader(
    id="litellm-spendlogs",
    title="LiteLLM_SpendLogs rows",
    carries=(
        "exchange_id", "started_at", "account_id", "org_id", "project_id", "key_id", "end_user_id", "session_id",
        *CLIENT_COLUMNS, "provider", "endpoint", "model",
        *(column for column in (*REQUEST_COLUMNS, *ANSWER_COLUMNS) if column != "refusal_category"),
        "http_status", "latency_ms",
    ),
    lacks=(
        "texts, unless store_prompts_in_spend_logs is on (and then the middle of strings over 2,048 characters); "
        "refusal categories; the order of headers, in rows that were in the table; network and JA4, unless the edge injects x-asn, x-country and x-ja4 request headers"
    ),
    matches=_matches,
    convert=convert,
)  # fmt: skip
