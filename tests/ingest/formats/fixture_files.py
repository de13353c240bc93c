"""The fixtures by name, decoded, and the rows that a reader makes of them."""

from __future__ import annotations

import json
from collections import Counter
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


def counted(rows):
    return Counter(name for row in rows for name in row)
