"""The traps of the log formats, each by name."""

from __future__ import annotations

import copy
import json

import pytest
from fixture_files import converted, records

from excise.ingest.formats import READERS
from excise.ingest.formats.client import client_columns, client_ip, headers_of
from excise.ingest.formats.messages import block_id, prose

BY_ID = {reader.id: reader for reader in READERS}
SUCCESS = "litellm-1.106.2-standard_logging_payload-success.ndjson"
FAILURE = "litellm-1.106.2-standard_logging_payload-failure.ndjson"
SPEND = "litellm-1.106.2-spendlogs_rows.ndjson"
CUT = "litellm-1.106.2-spendlogs_truncated.ndjson"
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk"


def payload(number=0, **changes):
    return {**copy.deepcopy(records(SUCCESS)[number]), **changes}


def one(reader, *found):
    (row,) = converted(BY_ID[reader], found)
    return row


def test_the_providers_id_repeats_and_does_not_name_a_call():
    found = records(SUCCESS)
    assert len({record["id"] for record in found}) < len(found)
    rows = converted(BY_ID["litellm-payload"], found)
    assert [row["exchange_id"] for row in rows] == [record["litellm_call_id"] for record in found]


def test_without_a_call_id_the_providers_id_and_the_time_name_a_call():
    found = [payload(0), payload(1)]
    for record in found:
        del record["litellm_call_id"]
    ids = [row["exchange_id"] for row in converted(BY_ID["litellm-payload"], found)]
    assert ids == ["msg_abc123@1795419644645581", "msg_abc123@1795419644962589"]


def test_an_old_spendlog_row_has_its_call_id_in_the_metadata_or_nowhere():
    row = copy.deepcopy(records(SPEND)[0])
    del row["litellm_call_id"]
    assert one("litellm-spendlogs", row)["exchange_id"] == "031a84e1-33b0-42f3-86b4-3254ff88a206"
    row["metadata"], row["proxy_server_request"] = "{}", "{}"
    assert one("litellm-spendlogs", row)["exchange_id"] == "msg_abc123@1795419644645581"


def test_litellm_counts_cache_reads_in_and_anthropic_does_not():
    row = one("litellm-payload", payload())
    assert (row["tokens_in"], row["tokens_cache_read"]) == (17, 5)
    pair = records("anthropic-2.12.0-messages_pairs.ndjson")[0]
    assert pair["response"]["usage"]["input_tokens"] == 12
    row = one("anthropic-messages", pair)
    assert (row["tokens_in"], row["tokens_cache_read"]) == (12 + 5 + 3, 5)


def test_a_system_prompt_in_blocks_is_lost_in_the_payload_and_kept_in_the_table():
    assert "system_text" not in one("litellm-payload", payload(1))
    assert one("litellm-spendlogs", records(SPEND)[1])["system_text"] == "sys block"


def test_thinking_that_goes_out_and_comes_back_has_one_id():
    row = one("litellm-payload", payload())
    assert row["emitted_blocks"] == row["replayed_blocks"] == [block_id(SIGNATURE)]
    pair = one("anthropic-messages", records("anthropic-2.12.0-messages_pairs.ndjson")[0])
    assert pair["replayed_blocks"] == [block_id(SIGNATURE)]
    assert pair["emitted_blocks"] == [block_id(SIGNATURE), block_id("EmwKAhgBEgyfakeRedacted")]
    first, second = converted(BY_ID["openai-responses"], records("openai-3.54.0-responses_pairs.ndjson")[:2])
    assert first["emitted_blocks"] == second["replayed_blocks"]


def test_litellm_renames_anthropics_refusal_to_content_filter():
    assert payload(2)["response"]["choices"][0]["finish_reason"] == "content_filter"
    assert one("litellm-payload", payload(2))["stop_reason"] == "refusal"
    other = payload(2, custom_llm_provider="openai", model="openai/gpt-4o")
    other["response"]["model"] = "gpt-4o"
    assert one("litellm-payload", other)["stop_reason"] == "filter"


def test_openais_refusal_stands_in_provider_fields_and_stops_with_stop():
    choice = payload(5)["response"]["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", None)
    row = one("litellm-payload", payload(5))
    assert (row["stop_reason"], row["output_text"]) == ("refusal", "I can't.")


def test_a_refusal_keeps_its_category():
    row = one("anthropic-messages", records("anthropic-2.12.0-messages_pairs.ndjson")[1])
    assert (row["stop_reason"], row["refusal_category"]) == ("refusal", "reasoning_extraction")


def test_a_mark_of_a_cut_is_no_text_and_both_ends_stay():
    row = one("litellm-spendlogs", records(CUT)[0])
    for column in ("system_text", "user_text"):
        assert "truncat" not in row[column]
        assert row[column].startswith("Begin. ")
        assert row[column].endswith("End.")
        assert row[column].count("\n") == 1


def test_marks_of_other_versions_are_cut_too_and_an_unfinished_one_is_left():
    assert prose("begin... (litellm_truncated 123 chars)") == "begin"
    assert prose("begin... (litellm_truncated skipped 9 chars) ...end") == "begin\nend"
    assert prose("I saw (litellm_truncated in a log") == "I saw (litellm_truncated in a log"


def test_a_mark_repeated_without_end_costs_no_time():
    assert prose("... (litellm_truncated(" * 20_000)


def test_withheld_values_are_absent():
    record = payload(messages=[{"role": "user", "content": "redacted-by-litellm"}])
    record["metadata"]["user_api_key_user_id"] = "REDACTED_BY_LITELM"
    row = one("litellm-payload", record)
    assert "user_text" not in row
    assert row["account_id"] == record["metadata"]["user_api_key_hash"]


def test_a_blocked_call_is_a_row_with_its_status():
    rows = converted(BY_ID["litellm-payload"], records(FAILURE))
    assert [(row["http_status"], row["stop_reason"]) for row in rows] == [
        (403, "error"),
        (429, "error"),
        (403, "error"),
    ]
    assert all("output_text" not in row for row in rows)


def test_a_failure_without_a_user_is_the_keys():
    row = converted(BY_ID["litellm-payload"], records(FAILURE))[2]
    assert row["account_id"] == row["key_id"]


def test_neither_user_nor_key_is_a_bad_row():
    record = payload()
    record["metadata"] = {}
    assert one("litellm-payload", record)["bad_row"] == "no-account"


def test_messages_of_a_spendlog_are_empty_and_the_request_has_them():
    row = records(SPEND)[0]
    assert row["messages"] == "{}"
    assert one("litellm-spendlogs", row)["user_text"] == "weather in Oslo?"
    bare = {**row, "proxy_server_request": "{}", "messages": '[{"role": "user", "content": "hi"}]'}
    assert one("litellm-spendlogs", bare)["user_text"] == "hi"


def test_a_naive_time_of_the_table_is_utc():
    aware, naive = copy.deepcopy(records(SPEND)[0]), copy.deepcopy(records(SPEND)[0])
    naive["startTime"] = naive["startTime"].removesuffix("+00:00")
    assert one("litellm-spendlogs", naive)["started_at"] == one("litellm-spendlogs", aware)["started_at"]


def test_headers_from_jsonb_have_no_order_to_speak_of():
    row = copy.deepcopy(records(SPEND)[3])
    body = json.loads(row["proxy_server_request"])
    names = sorted(body["metadata"]["headers"].items(), key=lambda item: (len(item[0]), item[0]))
    body["metadata"]["headers"] = dict(names)
    assert "header_order" in one("litellm-spendlogs", row)
    assert "header_order" not in one("litellm-spendlogs", {**row, "proxy_server_request": body})


def test_a_tool_result_is_not_what_the_user_said():
    assert payload()["messages"][-1]["content"][0]["type"] == "tool_result"
    row = one("litellm-payload", payload())
    assert (row["user_text"], row["n_messages"]) == ("weather in Oslo?", 3)


def test_images_say_nothing():
    row = one("openai-chat", records("openai-3.54.0-chat_pairs.ndjson")[0])
    assert row["user_text"] == "What is six times seven?"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("1.2.3.4, 203.0.113.7", None, "203.0.113.7"),
        ("1.2.3.4, 203.0.113.7, 10.0.0.2", None, "203.0.113.7"),
        ("127.0.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "1.2.3.4", "203.0.113.7"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("10.0.0.9, 10.0.0.2", None, "10.0.0.2"),
        ("[2001:db8::1]:443", None, "2001:db8::1"),
        ("203.0.113.7:5123", None, "203.0.113.7"),
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
        ("nonsense", None, None),
        (None, None, None),
        (7, ["x"], None),
    ],
)
def test_the_address_is_the_rightmost_hop_that_is_not_ours(peer, forwarded, address):
    assert client_ip(peer, forwarded) == address


def test_the_edges_headers_are_read_and_are_no_part_of_the_clients_order():
    found = {"Host": "h", "X-JA4": "t13d1516h2_8daaf6152771_b186095e22b6", "x-asn": "AS64500", "x-country": "no",
             "user-agent": "python-httpx/0.28.1", "x-forwarded-for": "203.0.113.7"}  # fmt: skip
    row = client_columns(headers_of(found), None, "10.0.0.1")
    assert row["ja4"] == "t13d1516h2_8daaf6152771_b186095e22b6"
    assert (row["asn"], row["country"], row["client_ip"]) == (64500, "NO", "203.0.113.7")
    assert (row["sdk_name"], row["sdk_version"]) == ("python-httpx", "0.28.1")
    assert row["header_order"] == "host,user-agent"


def test_headers_of_both_sdks_have_their_own_order():
    rows = converted(BY_ID["openai-chat"], records("openai-3.54.0-chat_pairs.ndjson")[:1])
    rows += converted(BY_ID["anthropic-messages"], records("anthropic-2.12.0-messages_pairs.ndjson")[:1])
    assert rows[0]["header_order"] != rows[1]["header_order"]
    assert [row["sdk_name"] for row in rows] == ["openai-python", "anthropic-python"]


def test_a_browsers_product_is_no_sdk():
    assert client_columns({"user-agent": "Mozilla/5.0 (X11)"})["sdk_name"] is None


@pytest.mark.parametrize("reader", ["openai-chat", "openai-responses", "anthropic-messages"])
def test_a_file_with_mixed_apis_is_read_whole_by_any_of_the_three(reader):
    names = ("openai-3.54.0-chat_pairs", "openai-3.54.0-responses_pairs", "anthropic-2.12.0-messages_pairs")
    found = [record for name in names for record in records(f"{name}.ndjson")]
    rows = converted(BY_ID[reader], found)
    assert [row["endpoint"] for row in rows] == ["chat"] * 5 + ["responses"] * 4 + ["messages"] * 4


@pytest.mark.parametrize(
    ("name", "reader", "streamed"),
    [
        ("openai-3.54.0-chat_pairs.ndjson", "openai-chat", 3),
        ("openai-3.54.0-responses_pairs.ndjson", "openai-responses", 3),
        ("anthropic-2.12.0-messages_pairs.ndjson", "anthropic-messages", 2),
    ],
)
def test_a_stream_reads_the_same_as_a_list_of_events_and_as_text(name, reader, streamed):
    pair = records(name)[streamed]
    assert isinstance(pair["response"], list)
    lines = [f"event: {event.get('type')}\ndata: {json.dumps(event)}\n" for event in pair["response"]]
    as_text = {**pair, "response": "\n".join([*lines, "data: [DONE]\n"])}
    assert one(reader, as_text) == one(reader, pair)
    assert one(reader, pair)["output_text"] in ("The answer is 42.", "Answer: 42")


def test_bodies_may_be_text_or_stand_inside_request_and_response():
    pair = records("openai-3.54.0-chat_pairs.ndjson")[0]
    wanted = one("openai-chat", pair)
    text = {
        **pair,
        "request_body": json.dumps(pair["request"]),
        "response_body": json.dumps(pair["response"]),
    }
    del text["request"], text["response"]
    assert one("openai-chat", text) == wanted
    around = {key: value for key, value in pair.items() if key not in ("headers", "status")}
    around["request"] = {"headers": list(pair["headers"].items()), "body": pair["request"]}
    around["response"] = {"status": pair["status"], "body": json.dumps(pair["response"])}
    assert one("openai-chat", json.loads(json.dumps(around))) == wanted


def test_a_bare_request_says_no_time_and_no_key_is_kept():
    found = records("openai-anthropic-sdk-requests-with-headers.ndjson")
    assert {row["bad_row"] for row in converted(BY_ID["sdk-requests"], found)} == {"no-time"}
    timed = {**found[4], "timestamp": "2026-11-23T08:00:00Z"}
    timed["headers"] = {**timed["headers"], "authorization": "Bearer sk-very-secret"}
    row = one("sdk-requests", timed)
    assert row["account_id"] == row["key_id"]
    assert "sk-very-secret" not in json.dumps(row)


def test_a_guardrails_two_posts_are_one_call_and_a_blocked_one_has_no_answer():
    found = records("litellm-1.106.2-generic_guardrail_api_requests.ndjson")
    rows = converted(BY_ID["litellm-guardrail"], [{**record, "timestamp": 1795420000} for record in found])
    assert len(rows) == 8
    assert sum("output_text" in row for row in rows) == 5
    assert rows[0]["model"] == "fake-claude"  # as asked, not as routed


SPANS = "otel-genai-1.3b0-otlp_spans.ndjson"
EVENTS = "otel-genai-1.3b0-otlp_events.ndjson"


def test_spans_and_events_say_the_same():
    varying = ("started_at", "latency_ms", "exchange_id")
    spans, events = (
        [
            {key: row[key] for key in row if key not in varying}
            for row in converted(BY_ID["otel-genai"], records(name))
        ]
        for name in (SPANS, EVENTS)
    )
    assert spans == events


def test_the_sdks_own_span_is_the_same_call():
    found = records(SPANS)
    spans = [
        span
        for resource in found[0]["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    rows = converted(BY_ID["otel-genai"], found)
    assert len(spans) - len(rows) == 4  # three with a response id, one that failed and has none


def test_logs_before_their_spans_are_joined_too():
    found = records(EVENTS)
    turned = converted(BY_ID["otel-genai"], found[::-1])
    straight = converted(BY_ID["otel-genai"], found)
    assert sorted(map(json.dumps, (dict(sorted(row.items())) for row in turned))) == sorted(
        map(json.dumps, (dict(sorted(row.items())) for row in straight))
    )


def test_names_older_than_1_27_are_read():
    found = json.loads(
        json.dumps(records(SPANS))
        .replace("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
        .replace("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
        .replace("gen_ai.provider.name", "gen_ai.system")
    )
    assert converted(BY_ID["otel-genai"], found) == converted(BY_ID["otel-genai"], records(SPANS))


def test_an_agents_span_is_no_model_call_and_does_not_swallow_its_calls():
    def span(name, parent, operation, reply=None):
        names = {"gen_ai.operation.name": operation, "gen_ai.request.model": "m", "user.id": "a"}
        names |= {"gen_ai.response.id": reply} if reply else {}
        return {"traceId": "t", "spanId": name, "parentSpanId": parent, "startTimeUnixNano": "1795420000000000000",
                "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in names.items()]}  # fmt: skip

    spans = [span("2", "1", "chat", "r1"), span("3", "1", "chat", "r2"), span("1", "", "invoke_agent")]
    record = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    assert [row["exchange_id"] for row in converted(BY_ID["otel-genai"], [record])] == ["r1", "r2"]


def test_redacted_thinking_is_not_taken_for_reasoning():
    rows = converted(BY_ID["otel-genai"], records(SPANS))
    assert {row["reasoning_text"] for row in rows if "reasoning_text" in row} == {"let me think"}


def test_signatures_are_dropped_and_said_to_be():
    assert "emitted_blocks" not in BY_ID["otel-genai"].carries
    assert "signatures" in BY_ID["otel-genai"].lacks
