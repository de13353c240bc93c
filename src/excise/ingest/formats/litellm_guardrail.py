"""What LiteLLM posts to a generic guardrail before and after a call (1.106.2), recorded by the guardrail's server.

The `request` and the `response` post of one call share `litellm_call_id` and become one row. The posts carry no time:
whoever records them must put one beside them as `received_at` or `timestamp`, else every call is a bad row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from excise.errors import BadRow
from excise.ingest.formats.calls import CLIENT_COLUMNS, request_columns
from excise.ingest.formats.client import client_columns, headers_of
from excise.ingest.formats.fields import finished, first, identifier, listing, mapping, micros, text
from excise.ingest.formats.messages import prose
from excise.ingest.reader import Reader, Record, Row

_WAITING: Final = 10_000
"""Calls that wait for their `response` post at most, 1 to 20 kB each: a call that was blocked never gets one."""


def _matches(record: Record) -> bool:
    return "input_type" in record and "litellm_call_id" in record and "texts" in record


def _convert(records: Iterable[Record]) -> Iterator[Row | BadRow]:
    waiting: dict[str, Row] = {}
    for record in records:
        call = identifier(record.get("litellm_call_id"))
        if record.get("input_type") == "response":
            asked = waiting.pop(call, None) if call else None
            row = _row(record) if asked is None else asked
            yield finished({**row, "output_text": _joined(record.get("texts"))})
        elif record.get("input_type") == "request":
            row = _row(record)
            if call is None or call in waiting:
                yield finished(row)
                continue
            waiting[call] = row
            if len(waiting) > _WAITING:
                yield finished(waiting.pop(next(iter(waiting))))
    yield from map(finished, waiting.values())


def _row(record: Record) -> Row:
    caller = mapping(record.get("request_data"))
    key = identifier(caller.get("user_api_key_hash"))
    columns = request_columns({**record, "messages": listing(record.get("structured_messages"))})
    if record.get("input_type") == "request" and columns["n_messages"] is None:
        columns["user_text"] = _joined(record.get("texts"))
    return {
        **columns,
        **client_columns(headers_of(record.get("request_headers"))),
        "exchange_id": identifier(record.get("litellm_call_id")),
        "started_at": micros(first(record, "received_at", "started_at", "timestamp")),
        "account_id": identifier(caller.get("user_api_key_user_id")) or key,
        "org_id": identifier(caller.get("user_api_key_org_id")),
        "project_id": identifier(caller.get("user_api_key_team_id")),
        "key_id": key,
        "end_user_id": identifier(caller.get("user_api_key_end_user_id")),
        "session_id": identifier(record.get("litellm_trace_id")),
        "model": text(record.get("model")),
    }


def _joined(texts: Any) -> str | None:
    return "\n".join(found for found in map(prose, listing(texts)) if found) or None


LITELLM_GUARDRAIL: Final = Reader(
    id="litellm-guardrail",
    title="LiteLLM generic guardrail requests",
    carries=(
        "exchange_id", "started_at", "account_id", "org_id", "project_id", "key_id", "end_user_id", "session_id",
        *CLIENT_COLUMNS, "model", "system_text", "user_text", "tools_json", "n_messages", "replayed_blocks",
        "output_text",
    ),
    lacks=(
        "the time, unless the recorder adds received_at; sampling, stop reasons, tokens, status, latency and "
        "reasoning; the client's address, unless x-forwarded-for is among the guardrail's extra_headers; headers "
        "outside LiteLLM's allow-list"
    ),
    matches=_matches,
    convert=_convert,
)  # fmt: skip
