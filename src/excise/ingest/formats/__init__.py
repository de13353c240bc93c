"""The log formats that a scan can read besides the contract's own tables: one file a format, one line here."""

from __future__ import annotations

from excise.ingest.formats.anthropic_messages import ANTHROPIC_MESSAGES
from excise.ingest.formats.litellm_guardrail import LITELLM_GUARDRAIL
from excise.ingest.formats.litellm_payload import LITELLM_PAYLOAD
from excise.ingest.formats.litellm_spendlogs import LITELLM_SPENDLOGS
from excise.ingest.formats.openai_chat import OPENAI_CHAT
from excise.ingest.formats.openai_responses import OPENAI_RESPONSES
from excise.ingest.formats.otel_genai import OTEL_GENAI
from excise.ingest.formats.sdk_requests import SDK_REQUESTS
from excise.ingest.reader import Reader

READERS: tuple[Reader, ...] = (
    LITELLM_PAYLOAD,
    LITELLM_SPENDLOGS,
    LITELLM_GUARDRAIL,
    OTEL_GENAI,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    ANTHROPIC_MESSAGES,
    SDK_REQUESTS,
)
