"""The network of an address: /24 and /48 by plain arithmetic, and 0 for what is no address."""

from __future__ import annotations

import ipaddress

import numpy as np
import pyarrow as pa
import pytest
from adversarial import texts
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.sketch.hashing import hash_strings
from excise.sketch.network import hash_networks, network_of

V4 = st.integers(0, 2**32 - 1)
V6 = st.integers(0, 2**128 - 1).filter(lambda number: number >> 32 != 0xFFFF)


@given(V4)
def test_ipv4_gives_the_first_three_bytes(number):
    a, b, c, d = number.to_bytes(4, "big")
    expected = f"{a}.{b}.{c}.0/24"
    assert network_of(f"{a}.{b}.{c}.{d}") == expected
    assert network_of(f"::ffff:{a}.{b}.{c}.{d}") == expected
    assert network_of(f"::FFFF:{number >> 16:x}:{number & 0xFFFF:X}") == expected


@given(V6)
def test_ipv6_gives_the_first_48_bits_however_it_is_written(number):
    address = ipaddress.IPv6Address(number)
    expected = f"{ipaddress.IPv6Address(number >> 80 << 80)}/48"
    for written in (
        address.compressed,
        address.exploded,
        address.exploded.upper(),
        f" {address}\n",
    ):
        assert network_of(written) == expected


@given(V6.filter(lambda number: number & (1 << 80) - 1))
def test_a_zone_is_no_part_of_the_network(number):
    address = ipaddress.IPv6Address(number)
    assert network_of(f"{address}%eth0") == network_of(str(address))


def test_a_zone_is_no_part_of_the_network_of_its_first_address():
    assert network_of("2001:db8:1::%eth0") == network_of("2001:db8:1::")


@pytest.mark.parametrize(
    "written",
    ["", " ", "unknown", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4:443", "1.2.3.4/24", "[::1]", "::1::", "2130706433", "0x7f.0.0.1", "1.2.3.4, 5.6.7.8", "\x00", "9" * 100_000],
)  # fmt: skip
def test_what_is_no_address_has_no_network(written):
    assert network_of(written) is None
    assert hash_networks(pa.array([written]), seed=1).tolist() == [0]


@given(st.one_of(texts, st.binary(max_size=20).map(lambda b: b.decode("latin-1"))))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_network_or_none(text):
    network = network_of(text)
    assert network is None or str(ipaddress.ip_network(network)) == network


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.just("nonsense"),
            V4.map(ipaddress.IPv4Address).map(str),
            V6.map(ipaddress.IPv6Address).map(str),
        )
    ),
    st.integers(0, 2**64 - 1),
)
@settings(max_examples=60, deadline=None)
def test_a_column_equals_its_rows_whatever_its_form(addresses, seed):
    array = pa.array(addresses, pa.string())
    networks = pa.array([None if a is None else network_of(a) for a in addresses], pa.string())
    expected = hash_strings(networks, seed=seed).tolist()
    for form in (array, array.cast(pa.large_string()), array.dictionary_encode()):
        got = hash_networks(form, seed=seed)
        assert got.dtype == np.uint64
        assert got.tolist() == expected
        assert hash_networks(form.slice(1), seed=seed).tolist() == expected[1:]


def test_neighbours_share_and_the_seed_keys():
    addresses = pa.array(["10.1.2.3", "10.1.2.250", "10.1.3.3", "2001:db8:7::1", "2001:db8:7:9::2", None])
    a, b, c, d, e, none = hash_networks(addresses, seed=1).tolist()
    assert a == b != c
    assert d == e != a
    assert none == 0
    assert hash_networks(addresses, seed=2).tolist()[:5] != [a, b, c, d, e]
    assert hash_networks(pa.nulls(3), seed=1).tolist() == [0, 0, 0]
    assert len(hash_networks(pa.array([], pa.string()), seed=1)) == 0
