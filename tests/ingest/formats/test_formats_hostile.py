"""Hostile records: whatever a file holds, a reader yields rows and bad rows, and raises nothing."""

from __future__ import annotations

import copy
import json
import random

import pytest
from fixture_files import FORMATS, records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from excise.errors import BadRow
from excise.ingest.formats import READERS
from excise.model.schema import EXCHANGES, EXCHANGES_REQUIRED

BY_ID = {reader.id: reader for reader in READERS}
SAMPLES = {name: records(name) for name in FORMATS}
JUNK = (
    None,
    True,
    -1,
    2**70,
    1e308,
    float("nan"),
    "",
    "x",
    "\ud800",
    "{",
    "[1",
    [],
    [None],
    {},
    {"type": []},
    [[["a"]]],
)
KEYS = sorted({key for found in SAMPLES.values() for record in found for key in record})

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(JUNK)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def check(reader, found):
    """The items are rows with contract columns, required ones at least, or bad rows."""
    for item in reader.convert(found):
        if isinstance(item, BadRow):
            assert item.reason
            continue
        assert set(item) <= set(EXCHANGES.names)
        assert set(EXCHANGES_REQUIRED) <= set(item)
        json.dumps(item).encode()
        for value in item.values():
            if isinstance(value, str):
                value.encode("utf-8")


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.id)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=st.lists(st.dictionaries(st.sampled_from(KEYS), anything, max_size=8), max_size=3))
def test_random_json_raises_nothing(reader, found):
    for record in found:
        assert reader.matches(record) in (True, False)
    check(reader, found)


def paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def opened(value):
    """The value with JSON text inside it decoded, so that damage reaches what lies within."""
    if isinstance(value, dict):
        return {key: opened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [opened(inner) for inner in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def replaced(record, path, junk):
    damaged = copy.deepcopy(record)
    holder = damaged
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    return damaged


@pytest.mark.parametrize("name", FORMATS)
def test_real_records_with_one_value_of_a_wrong_type(name):
    reader, chance = BY_ID[FORMATS[name]], random.Random(7)
    for record in SAMPLES[name][:3]:
        whole = opened(record)
        found = [path for path in paths(whole) if path]
        for path in chance.sample(found, min(120, len(found))):
            damaged = replaced(whole, path, chance.choice(JUNK))
            assert reader.matches(damaged) in (True, False)
            check(reader, [damaged])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:20])
def test_every_top_level_value_of_a_wrong_type(name, junk):
    reader = BY_ID[FORMATS[name]]
    for record in SAMPLES[name][:2]:
        check(reader, [dict.fromkeys(record, junk)])
        for key in record:
            check(reader, [{**record, key: junk}])


def test_deep_nesting_raises_nothing():
    deep = "x"
    for _ in range(500):
        deep = [{"type": "text", "content": deep, "arrayValue": {"values": [deep]}}]
    for name, reader in FORMATS.items():
        record = copy.deepcopy(SAMPLES[name][0])
        for key in record:
            check(BY_ID[reader], [{**record, key: deep}])
    value = {"stringValue": "x"}
    for _ in range(400):
        value = {"arrayValue": {"values": [value]}}
    spans = [
        {"traceId": "t", "spanId": "s", "attributes": [{"key": "gen_ai.input.messages", "value": value}]}
    ]
    check(BY_ID["otel-genai"], [{"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}])


def test_json_text_nested_too_deep_is_left_as_text():
    record = {**SAMPLES["litellm-1.106.2-spendlogs_rows.ndjson"][0], "proxy_server_request": "[" * 100_000}
    check(BY_ID["litellm-spendlogs"], [record])


def test_endless_events_of_one_span_are_bounded():
    events = [
        {
            "name": "gen_ai.user.message",
            "attributes": [{"key": f"gen_ai.k{number}", "value": {"stringValue": "x"}}],
        }
        for number in range(30_000)
    ]
    attributes = [{"key": key, "value": {"stringValue": "m"}} for key in ("gen_ai.request.model", "user.id")]
    span = {"traceId": "t", "spanId": "s", "startTimeUnixNano": "1795420000000000000", "attributes": attributes,
            "events": events}  # fmt: skip
    (row,) = BY_ID["otel-genai"].convert([{"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}])
    assert row["n_messages"] == 2_000
