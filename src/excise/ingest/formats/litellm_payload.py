"""LiteLLM's StandardLoggingPayload, as its `generic_api` callback and object-store loggers write it (1.106.2).

`id` is the provider's and repeats: `litellm_call_id` tells calls apart. Prompt tokens include cache reads. On
`/v1/messages` the system prompt stands in `messages` where it was text; where it was blocks, LiteLLM drops it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from excise.ingest.formats.fields import finished, first, identifier, mapping, micros, text
from excise.ingest.formats.litellm import endpoint_of, headers_in, outcome, usage
from excise.ingest.reader import Reader, Record, Row


def _matches(record: Record) -> bool:
    return "model_parameters" in record and "call_type" in record and "startTime" in record


def _convert(records: Iterable[Record]) -> Iterator[Row | BadRow]:
    for record in records:
        if "call_type" in record:
            yield finished(_row(record))


def _row(record: Record) -> Row:
    metadata, parameters = mapping(record.get("metadata")), mapping(record.get("model_parameters"))
    provider = text(record.get("custom_llm_provider"))
    answer = answer_columns(body_of(record.get("response")), provider)
    started, ended = micros(record.get("startTime")), micros(record.get("endTime"))
    headers = headers_of(headers_in(metadata))
    peer = first(record, "requester_ip_address") or metadata.get("requester_ip_address")
    return {
        **request_columns({**parameters, "messages": record.get("messages")}),
        **answer,
        **usage(record, metadata, answer),
        **outcome(record.get("status"), mapping(record.get("error_information")), answer),
        **client_columns(headers, first(record, "user_agent") or metadata.get("user_agent"), peer),
        **_identity(record, metadata, parameters, started),
        "started_at": started,
        "latency_ms": None if started is None or ended is None else max(0, round((ended - started) / 1000)),
        "provider": provider,
        "endpoint": endpoint_of(record.get("call_type")),
        "model": text(record.get("model_group")) or text(record.get("model")),
    }


def _identity(
    record: Record, metadata: Mapping[str, Any], parameters: Mapping[str, Any], started: int | None
) -> Row:
    key = identifier(metadata.get("user_api_key_hash"))
    own, provided = identifier(record.get("litellm_call_id")), identifier(record.get("id"))
    return {
        "exchange_id": own or (provided and f"{provided}@{started}"),
        "account_id": identifier(metadata.get("user_api_key_user_id")) or key,
        "org_id": identifier(metadata.get("user_api_key_org_id")),
        "project_id": identifier(first(metadata, "user_api_key_project_id", "user_api_key_team_id")),
        "key_id": key,
        "end_user_id": identifier(record.get("end_user")) or end_user_of(parameters),
        "session_id": identifier(first(record, "session_id", "trace_id")),
    }


LITELLM_PAYLOAD: Final = Reader(
    id="litellm-payload",
    title="LiteLLM standard logging payload",
    carries=(
        "exchange_id", "started_at", "account_id", "org_id", "project_id", "key_id", "end_user_id", "session_id",
        *CLIENT_COLUMNS, "provider", "endpoint", "model",
        *(column for column in (*REQUEST_COLUMNS, *ANSWER_COLUMNS) if column != "refusal_category"),
        "http_status", "latency_ms",
    ),
    lacks=(
        "refusal categories; a system prompt given as blocks to /v1/messages; network and JA4, unless the edge "
        "injects x-asn, x-country and x-ja4 request headers"
    ),
    matches=_matches,
    convert=_convert,
)  # fmt: skip
