"""The tables of the data contract as Arrow schemas: what goes into a scan and what comes out.

Times are UTC in microseconds. Every column may be null unless it is listed as required.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
BLOCKS: Final = pa.list_(pa.string())

EXCHANGES: Final = pa.schema(
    [
        ("exchange_id", pa.string()),
        ("started_at", TIMESTAMP),
        ("account_id", pa.string()),
        ("org_id", pa.string()),
        ("project_id", pa.string()),
        ("key_id", pa.string()),
        ("end_user_id", pa.string()),
        ("session_id", pa.string()),
        ("parent_exchange_id", pa.string()),
        ("client_ip", pa.string()),
        ("asn", pa.int64()),
        ("country", pa.string()),
        ("user_agent", pa.string()),
        ("sdk_name", pa.string()),
        ("sdk_version", pa.string()),
        ("os", pa.string()),
        ("runtime", pa.string()),
        ("ja4", pa.string()),
        ("header_order", pa.string()),
        ("device_id", pa.string()),
        ("provider", pa.string()),
        ("endpoint", pa.string()),
        ("model", pa.string()),
        ("temperature", pa.float64()),
        ("top_p", pa.float64()),
        ("max_tokens", pa.int64()),
        ("n", pa.int64()),
        ("reasoning_effort", pa.string()),
        ("system_text", pa.string()),
        ("user_text", pa.string()),
        ("tools_json", pa.string()),
        ("n_messages", pa.int64()),
        ("output_text", pa.string()),
        ("reasoning_text", pa.string()),
        ("stop_reason", pa.string()),
        ("refusal_category", pa.string()),
        ("replayed_blocks", BLOCKS),
        ("emitted_blocks", BLOCKS),
        ("tokens_in", pa.int64()),
        ("tokens_cache_read", pa.int64()),
        ("tokens_out", pa.int64()),
        ("tokens_reasoning", pa.int64()),
        ("http_status", pa.int64()),
        ("latency_ms", pa.int64()),
    ]
)
EXCHANGES_REQUIRED: Final = ("exchange_id", "started_at", "account_id", "model")

ACCOUNTS: Final = pa.schema(
    [
        ("account_id", pa.string()),
        ("created_at", TIMESTAMP),
        ("org_id", pa.string()),
        ("owner_id", pa.string()),
        ("email_domain", pa.string()),
        ("payment_fp", pa.string()),
        ("signup_ip", pa.string()),
        ("signup_asn", pa.int64()),
        ("plan", pa.string()),
        ("programme", pa.string()),
        ("verified", pa.bool_()),
        ("declared", pa.string()),
    ]
)
ACCOUNTS_REQUIRED: Final = ("account_id",)

EVENTS: Final = pa.schema(
    [("at", TIMESTAMP), ("kind", pa.string()), ("subject", pa.string()), ("note", pa.string())]
)
EVENTS_REQUIRED: Final = ("at",)
EVENT_KINDS: Final = ("model_release", "suspension", "rate_limit", "outage", "price_change")

ASN_TABLE: Final = pa.schema([("asn", pa.int64()), ("kind", pa.string()), ("country", pa.string())])
ASN_REQUIRED: Final = ("asn",)

STOP_REASONS: Final = ("stop", "length", "tool", "refusal", "filter", "pause", "error")
ENDPOINTS: Final = ("chat", "responses", "messages", "completions", "embeddings", "batch")
DECLARED: Final = ("reseller", "evaluator", "licensed-distiller")

ACCOUNTS_OUT: Final = pa.schema(
    [
        ("account_id", pa.string()),
        ("exchanges", pa.int64()),
        ("score", pa.float64()),
        ("campaign_id", pa.string()),
        ("verdict", pa.string()),
        ("harvest_exchanges", pa.int64()),
        ("reasons", pa.list_(pa.string())),
    ]
)
HARVEST_OUT: Final = pa.schema(
    [
        ("exchange_id", pa.string()),
        ("account_id", pa.string()),
        ("campaign_id", pa.string()),
        ("score", pa.float64()),
    ]
)
