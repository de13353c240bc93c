"""What LiteLLM's two logs have in common: names of call types, failures, usage, and where headers are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from excise.ingest.formats.calls import usage_columns
from excise.ingest.formats.fields import first, integer, mapping
from excise.ingest.formats.messages import stop_word
from excise.ingest.reader import Row

_ENDPOINTS: Final = {
    "completion": "chat",
    "anthropic_messages": "messages",
    "responses": "responses",
    "text_completion": "completions",
    "embedding": "embeddings",
    "create_batch": "batch",
}
_OK, _FAILED = 200, 400


def endpoint_of(call_type: object) -> str | None:
    """The contract's endpoint for a LiteLLM call type (`acompletion` is the async `completion`), or None."""
    if not isinstance(call_type, str):
        return None
    return _ENDPOINTS.get(call_type) or _ENDPOINTS.get(call_type.removeprefix("a"))


def outcome(status: object, error: Mapping[str, Any], answer: Row) -> Row:
    """HTTP status and stop reason: a success is 200; a failure has its code, and stopped by error."""
    if status == "failure":
        code = integer(error.get("error_code"))
        return {"http_status": code if code and code >= _FAILED else None, "stop_reason": "error"}
    reason = answer.get("stop_reason")
    return {"http_status": _OK if status == "success" else None, "stop_reason": reason or stop_word(status)}


def usage(record: Mapping[str, Any], metadata: Mapping[str, Any], answer: Row) -> Row:
    """Token counts: the record's own columns, with what only the usage objects split. Cache reads are included."""
    extra = usage_columns(metadata.get("usage_object"))
    merged = {name: answer.get(name) if answer.get(name) is not None else extra[name] for name in extra}
    own = {"tokens_in": record.get("prompt_tokens"), "tokens_out": record.get("completion_tokens")}
    for name, value in own.items():
        count = integer(value)
        merged[name] = merged[name] if count is None else count
    return merged


def headers_in(*holders: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request's headers: whole where a holder has them (in the order received), else the `x-*` ones it logs."""
    for holder in holders:
        for metadata in (holder, mapping(holder.get("litellm_metadata")), mapping(holder.get("metadata"))):
            whole = mapping(metadata.get("headers")) or mapping(
                mapping(metadata.get("requester_metadata")).get("headers")
            )
            if whole:
                return whole
    for holder in holders:
        if custom := mapping(first(holder, "requester_custom_headers")):
            return custom
    return {}
