"""Pseudonyms: one mapping everywhere, nothing of the names left, neighbours stay neighbours."""

from __future__ import annotations

import ipaddress
import stat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conftest import START, exchange, whole, write_parquet
from excise.errors import OutputError, UnreadableFile, UsageError
from excise.ingest.pseudonym import Pseudonymiser, load_key
from excise.model.schema import ACCOUNTS, EVENTS

KEY = Pseudonymiser(b"k" * 32)
v4 = st.ip_addresses(v=4).map(str)
v6 = st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None).map(str)


def prefix(address, width):
    return ipaddress.ip_network(f"{address}/{width}", strict=False)


@given(v4, v4)
def test_ipv4_addresses_share_a_prefix_exactly_where_they_did(one, two):
    a, b = KEY.address(one), KEY.address(two)
    assert (a == b) == (one == two)
    for width in (48, 56, 64):
        assert (prefix(a, width) == prefix(b, width)) == (prefix(one, 24) == prefix(two, 24))


@given(v4, st.integers(0, 255))
def test_ipv4_neighbours_stay_neighbours(address, last):
    neighbour = address.rsplit(".", 1)[0] + f".{last}"
    assert prefix(KEY.address(address), 48) == prefix(KEY.address(neighbour), 48)


@given(v6, st.integers(0, 2**80 - 1))
def test_ipv6_neighbours_stay_neighbours(address, host):
    neighbour = str(ipaddress.IPv6Address((int(ipaddress.ip_address(address)) >> 80 << 80) | host))
    assume(ipaddress.IPv6Address(neighbour).ipv4_mapped is None)
    assert prefix(KEY.address(address), 48) == prefix(KEY.address(neighbour), 48)
    assert (KEY.address(address) == KEY.address(neighbour)) == (address == neighbour)


@given(v4)
def test_an_address_becomes_a_global_one_in_unallocated_space(address):
    assert ipaddress.ip_address(KEY.address(address)) in ipaddress.ip_network("3000::/5")
    assert KEY.address(f"::ffff:{address}") == KEY.address(address) == KEY.address(f" {address} ")


def test_text_that_is_no_address_becomes_a_name():
    assert KEY.address("unknown").startswith("ip_")
    assert len(KEY.address("unknown")) == 23


@given(st.text(st.characters(exclude_categories=("Cs",))), st.text(st.characters(exclude_categories=("Cs",))))
def test_names_are_equal_exactly_where_they_were_and_differ_by_kind_and_key(one, two):
    assert (KEY.name("acct", one) == KEY.name("acct", two)) == (one == two)
    assert KEY.name("acct", one)[5:] != KEY.name("org", one)[4:]
    assert Pseudonymiser(b"j" * 32).name("acct", one) != KEY.name("acct", one)


def test_the_tables_of_a_source_share_one_mapping(tmp_path, opened):
    source = tmp_path / "s"
    (source / "exchanges").mkdir(parents=True)
    rows = [
        exchange(n, account_id="alice", org_id="acme", session_id="s1", client_ip="10.0.0.7")
        for n in range(3)
    ]
    write_parquet(source / "exchanges" / "p.parquet", rows)
    account = {
        "account_id": "alice",
        "org_id": "acme",
        "email_domain": "acme.example",
        "signup_ip": "10.0.0.7",
        "plan": "free",
    }
    pq.write_table(
        pa.Table.from_pylist([account, {"account_id": "bob"}], ACCOUNTS), source / "accounts.parquet"
    )
    events = [
        ("suspension", "alice"),
        ("rate_limit", "carol"),
        ("outage", "bob"),
        ("model_release", "m-1"),
        ("outage", None),
    ]
    table = pa.Table.from_pylist(
        [{"at": START, "kind": kind, "subject": who} for kind, who in events], EVENTS
    )
    pq.write_table(table, source / "events.parquet")
    traffic = opened(source, pseudonymise=KEY)
    seen = whole(traffic)
    alice = KEY.name("acct", "alice")
    assert set(seen["account_id"].to_pylist()) == {alice}
    assert seen["client_ip"][0].as_py() == traffic.accounts["signup_ip"][0].as_py() == KEY.address("10.0.0.7")
    assert seen["org_id"][0].as_py() == traffic.accounts["org_id"][0].as_py() == KEY.name("org", "acme")
    assert seen["session_id"][0].as_py() == KEY.name("sess", "s1")
    bob, carol = KEY.name("acct", "bob"), KEY.name("acct", "carol")
    assert traffic.accounts["account_id"].to_pylist() == [alice, bob]
    assert traffic.events["subject"].to_pylist() == [alice, carol, bob, "m-1", None]
    everything = str(seen.to_pylist()) + str(traffic.accounts.to_pylist()) + str(traffic.events.to_pylist())
    assert not any(name in everything for name in ("alice", "acme", "10.0.0.7", "bob", "carol"))
    assert seen["user_text"].to_pylist() == ["question 0", "question 1", "question 2"]


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "case.key"
    key = load_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key) == 32
    assert load_key(path) == key
    assert load_key(tmp_path / "other.key") != key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_that_others_may_touch_is_refused(tmp_path, mode):
    path = tmp_path / "case.key"
    load_key(path)
    path.chmod(mode)
    with pytest.raises(UsageError, match="read by others"):
        load_key(path)


def test_what_is_no_key_is_refused(tmp_path):
    path = tmp_path / "case.key"
    path.write_text("abc123\n")
    path.chmod(0o600)
    with pytest.raises(UsageError, match="no key"):
        load_key(path)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(UnreadableFile):
        load_key(tmp_path / "link")
    with pytest.raises(OutputError):
        load_key(tmp_path / "no-folder" / "case.key")
