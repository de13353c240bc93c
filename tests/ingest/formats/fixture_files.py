"""The fixtures by name, decoded, and the rows that a reader makes of them."""

from __future__ import annotations

import json
from pathlib import Path

from excise.errors import BadRow

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"
GOLDEN = ROOT / "golden"

FORMATS = {
    "litellm-1.106.2-standard_logging_payload-success.ndjson": "litellm-payload",
    "litellm-1.106.2-standard_logging_payload-failure.ndjson": "litellm-payload",
    "litellm-1.106.2-spendlogs_rows.ndjson": "litellm-spendlogs",
    "litellm-1.106.2-generic_guardrail_api_requests.ndjson": "litellm-guardrail",
    "openai-anthropic-sdk-requests-with-headers.ndjson": "sdk-requests",
    "otel-genai-1.3b0-spans.json": "otel-genai",
    "otel-genai-1.3b0-otlp_spans.ndjson": "otel-genai",
    "otel-genai-1.3b0-otlp_events.ndjson": "otel-genai",
    "otel-openai-v2-2.1b0-otlp_old.ndjson": "otel-genai",
    "litellm-1.106.2-spendlogs_truncated.ndjson": "litellm-spendlogs",
    "openai-3.54.0-chat_pairs.ndjson": "openai-chat",
    "openai-3.54.0-responses_pairs.ndjson": "openai-responses",
    "anthropic-2.12.0-messages_pairs.ndjson": "anthropic-messages",
}
BESIDE = {"account_id": "acct-9", "received_at": 1795420000, "timestamp": "2026-11-23T07:46:40Z"}
"""What a recorder must put beside these, which say neither time nor account."""
BARE = {
    "litellm-1.106.2-generic_guardrail_api_requests.ndjson",
    "openai-anthropic-sdk-requests-with-headers.ndjson",
    "otel-genai-1.3b0-spans.json",
}


def objects(text):
    """JSON objects one after the other, on lines of their own or spread over several."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def records(name):
    return objects((FIXTURES / name).read_text("utf-8"))


def plain(item):
    """A row, or a bad row, as JSON can hold it."""
    return {"bad_row": item.reason, "detail": item.detail} if isinstance(item, BadRow) else item


def converted(reader, found):
    return [plain(item) for item in reader.convert(found)]


def completed(name):
    """The fixture's records with what its recorder should have put beside them."""
    found = records(name)
    if name not in BARE:
        return found
    if name.startswith("otel"):
        return [{**record, "attributes": {**record["attributes"], "user.id": "acct-9"}} for record in found]
    return [{**record, **BESIDE} for record in found]


def goldens():
    """(golden file, reader's id, records): as they are, and the bare ones once more with what belongs beside them."""
    for name, reader in FORMATS.items():
        stem = name.rpartition(".")[0]
        yield f"{stem}.ndjson", reader, records(name)
        if name in BARE:
            yield f"{stem}+beside.ndjson", reader, completed(name)
