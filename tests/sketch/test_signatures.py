"""Known relay software: its constants are what the pack says they are, and are found wherever an id holds them."""

from __future__ import annotations

import hashlib
import re
import tomllib
from importlib import resources

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.sketch.signatures import device_digests, relay_signatures

PACK = tomllib.loads(resources.files("excise.sketch").joinpath("packs/relays.toml").read_text("utf-8"))
DIGESTS = device_digests()

around = st.text(max_size=12)


def test_the_pack_is_whole():
    assert re.fullmatch(r"\d{4}\.\d{2}(\.\d+)?", PACK["version"])
    assert len({entry["id"] for entry in PACK["device"]}) == len(PACK["device"]) == len(DIGESTS)
    for entry in PACK["device"]:
        assert set(entry) == {"id", "digest", "why"}
        assert re.fullmatch(r"[0-9a-f]{64}", entry["digest"])
        assert entry["why"]


@pytest.mark.parametrize("entry", PACK["device"], ids=[entry["id"] for entry in PACK["device"]])
def test_a_digest_is_the_hash_of_the_text_that_its_reason_names(entry):
    named = re.search(r"SHA-256 of the text `([^`]+)`", entry["why"])
    assert hashlib.sha256(named.group(1).encode()).hexdigest() == entry["digest"]


@pytest.mark.parametrize("digest", DIGESTS)
@given(before=around, after=around)
@settings(max_examples=50, deadline=None)
def test_a_constant_is_found_within_an_id_in_either_case(digest, before, after):
    ids = [before + digest + after, before + digest.upper() + after]
    assert relay_signatures(pa.array(ids)).tolist() == [1, 1]


@given(
    st.lists(st.one_of(st.none(), st.text("0123456789abcdefABCDEF-_", max_size=80), st.sampled_from(DIGESTS)))
)
@settings(max_examples=100, deadline=None)
def test_a_column_equals_the_slow_definition(ids):
    expected = [int(any(digest in (i or "").lower() for digest in DIGESTS)) for i in ids]
    array = pa.array(ids, pa.string())
    for form in (array, array.cast(pa.large_string())):
        got = relay_signatures(form)
        assert got.dtype == np.uint8
        assert got.tolist() == expected
        assert relay_signatures(form.slice(1)).tolist() == expected[1:]


def test_other_ids_have_no_signature():
    ordinary = [hashlib.sha256(f"user {i}".encode()).hexdigest() for i in range(5_000)]
    shortened = [digest[:-1] for digest in DIGESTS]
    assert not relay_signatures(pa.array([*ordinary, *shortened, "", None])).any()
