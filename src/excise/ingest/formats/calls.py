"""A request body and a response body of the OpenAI and Anthropic APIs as contract columns.

The shape tells the API, not a name beside it: LiteLLM logs `/v1/messages` calls with a chat completion as response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from excise.ingest.formats.fields import (
    as_json,
    decoded,
    first,
    identifier,
    integer,
    listing,
    mapping,
    number,
    text,
)
from excise.ingest.formats.messages import Content, read_content, read_message, read_messages, stop_word
from excise.ingest.reader import Row

REQUEST_COLUMNS: Final = (
    "temperature", "top_p", "max_tokens", "n", "reasoning_effort",
    "system_text", "user_text", "tools_json", "n_messages", "replayed_blocks",
)  # fmt: skip
ANSWER_COLUMNS: Final = (
    "output_text", "reasoning_text", "stop_reason", "refusal_category", "emitted_blocks",
    "tokens_in", "tokens_cache_read", "tokens_out", "tokens_reasoning",
)  # fmt: skip
CLIENT_COLUMNS: Final = (
    "client_ip", "asn", "country", "user_agent", "sdk_name", "sdk_version", "os", "runtime", "ja4", "header_order",
)  # fmt: skip


def request_columns(body: Mapping[str, Any]) -> Row:
    """What a request body says, for all three APIs; `prompt` of the old completions counts as one user message."""
    asked = read_messages(first(body, "messages", "input", "prompt"), first(body, "system", "instructions"))
    return {
        **sampling_columns(body),
        "system_text": asked.system_text,
        "user_text": asked.user_text,
        "n_messages": asked.messages or None,
        "replayed_blocks": asked.replayed,
    }


def sampling_columns(body: Mapping[str, Any]) -> Row:
    """Sampling, limits, effort and tools: also LiteLLM's `model_parameters`, which carry no messages."""
    effort = first(body, "reasoning_effort")
    for holder in ("reasoning", "output_config"):
        effort = effort or mapping(body.get(holder)).get("effort")
    return {
        "temperature": number(body.get("temperature")),
        "top_p": number(body.get("top_p")),
        "max_tokens": integer(first(body, "max_tokens", "max_completion_tokens", "max_output_tokens")),
        "n": integer(body.get("n")),
        "reasoning_effort": text(effort),
        "tools_json": as_json(listing(first(body, "tools", "functions"))),
    }


def end_user_of(body: Mapping[str, Any]) -> str | None:
    """The end user that the caller names: OpenAI's `user` or `safety_identifier`, Anthropic's `metadata.user_id`."""
    return identifier(
        first(body, "user", "safety_identifier") or mapping(body.get("metadata")).get("user_id")
    )


def api_of_response(response: Mapping[str, Any]) -> str | None:
    """`chat`, `responses`, `messages` or `completions` by the response's shape, or None."""
    if isinstance(response.get("choices"), list):
        return "completions" if response.get("object") == "text_completion" else "chat"
    if isinstance(response.get("output"), list) or response.get("object") == "response":
        return "responses"
    is_message = response.get("type") == "message" or "stop_reason" in response
    return "messages" if is_message and isinstance(response.get("content"), list) else None


def answer_columns(response: Mapping[str, Any], provider: str | None = None) -> Row:
    """What a response says. `provider` settles what `content_filter` means: Anthropic's refusals are renamed so."""
    api = api_of_response(response)
    if api in ("chat", "completions"):
        return _chat(response, provider)
    if api == "responses":
        return _responses(response)
    return _messages(response) if api == "messages" else {}


def _chat(response: Mapping[str, Any], provider: str | None) -> Row:
    choice = mapping(next(iter(response["choices"]), None))
    message = mapping(choice.get("message"))
    found = read_message(message) if message else read_content(choice.get("text"))
    extra = {
        **mapping(message.get("provider_specific_fields")),
        **mapping(choice.get("provider_specific_fields")),
    }
    stop = stop_word(choice.get("finish_reason"))
    raw = stop_word(first(extra, "stop_reason", "native_finish_reason"))
    if found.refusals or raw == "refusal" or (stop == "filter" and _is_anthropic(provider, response)):
        stop = "refusal"
    details = mapping(extra.get("stop_details")) or mapping(message.get("stop_details"))
    return {**_answer(found, stop, details), **usage_columns(response.get("usage"))}


def _is_anthropic(provider: str | None, response: Mapping[str, Any]) -> bool:
    model = response.get("model")
    return provider == "anthropic" or (isinstance(model, str) and "claude" in model.lower())


def _messages(response: Mapping[str, Any]) -> Row:
    found = read_content(response.get("content"))
    stop = stop_word(response.get("stop_reason"))
    usage = mapping(response.get("usage"))
    columns = {**_answer(found, stop, mapping(response.get("stop_details"))), **usage_columns(usage)}
    fresh = integer(usage.get("input_tokens"))
    if fresh is not None:  # unlike everyone else's, Anthropic's input tokens leave the cache out
        cached = [integer(usage.get(f"cache_{kind}_input_tokens")) or 0 for kind in ("read", "creation")]
        columns["tokens_in"] = integer(fresh + sum(cached))
    return columns


def _responses(response: Mapping[str, Any]) -> Row:
    found, stop = Content(), stop_word(response.get("status"))
    for item in listing(response.get("output")):
        kind = item.get("type") if isinstance(item, Mapping) else None
        if kind in ("message", "reasoning"):
            read_message(item, found)
        stop = "tool" if stop == "stop" and kind in ("function_call", "custom_tool_call") else stop
    reason = mapping(response.get("incomplete_details")).get("reason")
    stop = "refusal" if found.refusals else stop_word(reason) or stop
    return {**_answer(found, stop, {}), **usage_columns(response.get("usage"))}


def _answer(found: Content, stop: str | None, details: Mapping[str, Any]) -> Row:
    return {
        "output_text": found.text or "\n".join(found.refusals) or None,
        "reasoning_text": found.reasoning_text,
        "stop_reason": stop,
        "refusal_category": text(details.get("category")),
        "emitted_blocks": found.blocks,
    }


def usage_columns(usage: object) -> Row:
    """Token counts under any of the APIs' names; `tokens_in` as the source has it."""
    found = mapping(usage)
    inner = mapping(first(found, "prompt_tokens_details", "input_tokens_details"))
    outer = mapping(first(found, "completion_tokens_details", "output_tokens_details"))
    return {
        "tokens_in": integer(first(found, "prompt_tokens", "input_tokens")),
        "tokens_cache_read": integer(first(inner, "cached_tokens") or found.get("cache_read_input_tokens")),
        "tokens_out": integer(first(found, "completion_tokens", "output_tokens")),
        "tokens_reasoning": integer(first(outer, "reasoning_tokens", "thinking_tokens")),
    }


def body_of(value: object) -> Mapping[str, Any]:
    """A body given as an object or as its JSON text; an empty one for anything else."""
    found = decoded(value)
    return found if isinstance(found, Mapping) else {}
