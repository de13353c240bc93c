"""A simulated world keeps the contract, its labels add up, its levels hide what they say, and nothing gives labels away."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from excise.errors import OutputError, UsageError
from excise.model import schema
from excise.simulate import KINDS, WorldSpec, parse_levels, write_world
from excise.simulate import world as world_module
from excise.simulate.populations import POPULATIONS
from excise.simulate.spec import CAPABILITY

SMALL = WorldSpec(exchanges=8_000, seed=5, levels=(1, 2, 3, 4, 6), days=14)


class World:
    """A written world, read back."""

    def __init__(self, spec: WorldSpec, out: Path) -> None:
        self.summary = write_world(spec, out)
        self.out, self.labels = out, out.with_name(out.name + "-labels")
        self.exchanges = pq.read_table(out / "exchanges")
        self.accounts = pq.read_table(out / "accounts.parquet")
        self.events = pq.read_table(out / "events.parquet")
        self.of_exchange = pq.read_table(self.labels / "exchange_labels.parquet")
        self.of_account = pq.read_table(self.labels / "account_labels.parquet")
        self.campaigns = json.loads((self.labels / "campaigns.json").read_text(encoding="utf-8"))

    def bad_rows(self) -> pa.Table:
        return self.of_account.filter(pc.is_valid(self.of_account["campaign_id"]))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(SMALL, tmp_path_factory.mktemp("simulate") / "w")


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def auc(score: np.ndarray, bad: np.ndarray) -> float:
    """Area under the ROC curve by mid-ranks; ties count half."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n = int(bad.sum())
    return float((rank[bad].sum() - n * (n + 1) / 2) / (n * (bad.size - n)))


def test_same_spec_same_bytes(tmp_path):
    spec = WorldSpec(exchanges=2_000, seed=9, levels=(2, 5))
    write_world(spec, tmp_path / "a")
    write_world(spec, tmp_path / "b")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a-labels") == digests(tmp_path / "b-labels")


def test_other_seed_other_traffic(tmp_path):
    one = World(WorldSpec(exchanges=2_000, seed=1, levels=()), tmp_path / "a")
    two = World(WorldSpec(exchanges=2_000, seed=2, levels=()), tmp_path / "b")
    ids = one.exchanges["exchange_id"].to_pylist()
    assert not set(ids) & set(two.exchanges["exchange_id"].to_pylist())


def test_tables_have_the_contracts_columns(world):
    assert world.exchanges.schema.equals(schema.EXCHANGES)
    assert world.accounts.schema.equals(schema.ACCOUNTS)
    assert world.events.schema.equals(schema.EVENTS)
    for name in schema.EXCHANGES_REQUIRED:
        assert world.exchanges[name].null_count == 0
    assert pc.count_distinct(world.exchanges["exchange_id"]).as_py() == world.exchanges.num_rows
    assert set(pc.unique(world.events["kind"]).to_pylist()) <= set(schema.EVENT_KINDS)
    assert set(pc.unique(world.exchanges["stop_reason"]).to_pylist()) - {None} <= set(schema.STOP_REASONS)
    assert set(pc.unique(world.exchanges["endpoint"]).to_pylist()) - {None} <= set(schema.ENDPOINTS)


def test_addresses_are_reserved(world):
    import ipaddress

    ranges = ("10.0.0.0/8", "100.64.0.0/10", "198.18.0.0/15", "2001:db8::/32")
    reserved = [ipaddress.ip_network(r) for r in ranges]
    for text in set(world.exchanges["client_ip"].to_pylist()) - {None}:
        address = ipaddress.ip_address(text)
        assert any(address in r for r in reserved if r.version == address.version), text
    numbers = set(world.exchanges["asn"].to_pylist()) - {None}
    assert min(numbers) >= 4_200_000_000


def test_every_row_is_labelled_and_labels_agree(world):
    assert world.of_exchange["exchange_id"].equals(world.exchanges["exchange_id"])
    assert world.of_exchange["account_id"].equals(world.exchanges["account_id"])
    assert set(world.of_account["account_id"].to_pylist()) == set(world.accounts["account_id"].to_pylist())
    assert set(world.exchanges["account_id"].to_pylist()) <= set(world.accounts["account_id"].to_pylist())
    campaign_of = dict(
        zip(
            world.of_account["account_id"].to_pylist(),
            world.of_account["campaign_id"].to_pylist(),
            strict=True,
        )
    )
    for row in world.of_exchange.to_pylist():
        assert row["campaign_id"] == campaign_of[row["account_id"]]
        assert (row["role"] == "benign") == (row["campaign_id"] is None)
        assert (row["role"] == "harvest") == (row["capability"] is not None)


def test_campaigns_json_counts_what_the_labels_hold(world):
    assert len(world.campaigns) == world.summary.campaigns > 0
    for told in world.campaigns:
        rows = world.of_exchange.filter(pc.equal(world.of_exchange["campaign_id"], told["campaign_id"]))
        harvest = rows.filter(pc.equal(rows["role"], "harvest"))
        assert (rows.num_rows, harvest.num_rows) == (told["exchanges"], told["harvest_exchanges"])
        assert set(harvest["capability"].to_pylist()) == {CAPABILITY[told["kind"]]}


def test_none_has_no_campaign(tmp_path):
    world = World(WorldSpec(exchanges=2_000, seed=3, levels=parse_levels("none")), tmp_path / "w")
    assert world.campaigns == []
    assert set(world.of_exchange["role"].to_pylist()) == {"benign"}
    assert world.of_account["campaign_id"].null_count == world.of_account.num_rows


def test_every_population_lives_somewhere(tmp_path):
    world = World(WorldSpec(exchanges=6_000, seed=4, levels=(), accounts=3_000), tmp_path / "w")
    assert set(world.of_account["population"].to_pylist()) == {p.name for p in POPULATIONS}


def shared(world: World, column: str, table: pa.Table) -> float:
    """Share of campaign accounts that have a known value of `column` in common with another of the same campaign."""
    campaign = dict(
        zip(
            world.bad_rows()["account_id"].to_pylist(),
            world.bad_rows()["campaign_id"].to_pylist(),
            strict=True,
        )
    )
    holders: dict[tuple[str, str], set[str]] = {}
    known = set()
    for account, value in zip(table["account_id"].to_pylist(), table[column].to_pylist(), strict=True):
        if account in campaign and value is not None:
            holders.setdefault((campaign[account], value), set()).add(account)
            known.add(account)
    return len({a for group in holders.values() if len(group) > 1 for a in group}) / max(1, len(known))


@pytest.fixture(scope="module")
def at_level(tmp_path_factory):
    """Worlds of one level each, made when first asked for."""
    made: dict[int, World] = {}

    def get(level: int) -> World:
        if level not in made:
            spec = WorldSpec(
                exchanges=2_500, seed=6, levels=(level,), campaigns=3, kinds=("cot",), correlation=1.0
            )
            made[level] = World(spec, tmp_path_factory.mktemp("level") / "w")
        return made[level]

    return get


def test_level_1_shares_card_and_level_4_none(at_level):
    low, high = at_level(1), at_level(4)
    assert shared(low, "payment_fp", low.accounts) > 0.5
    assert shared(high, "payment_fp", high.accounts) == 0
    assert shared(low, "email_domain", low.accounts) > shared(high, "email_domain", high.accounts)


def test_level_4_lives_behind_its_own_addresses(at_level):
    high = at_level(4)
    assert shared(high, "client_ip", high.exchanges) < 0.1


def wrappers(world: World) -> int:
    """How many openings of 40 characters there are in a campaign's harvest, system prompt or question."""
    harvest = set(
        world.of_exchange.filter(pc.equal(world.of_exchange["role"], "harvest"))["exchange_id"].to_pylist()
    )
    columns = (world.exchanges[name].to_pylist() for name in ("exchange_id", "system_text", "user_text"))
    texts = [(system or user or "")[:40] for i, system, user in zip(*columns, strict=True) if i in harvest]
    return len(set(texts))


def test_wording_is_fixed_low_and_drawn_anew_high(at_level):
    low, high = at_level(1), at_level(5)
    assert wrappers(low) < 0.2 * wrappers(high)


def test_cover_grows_up_the_ladder(at_level):
    def cover(world: World) -> float:
        roles = world.of_exchange["role"].to_pylist()
        return roles.count("cover") / (roles.count("cover") + roles.count("harvest"))

    low, high = at_level(1), at_level(6)
    assert cover(low) < 0.15  # a stray exchange or two an account
    assert 0.4 < cover(high) < 0.95


def test_suspensions_name_accounts_and_honest_ones_too(world):
    suspended = world.events.filter(pc.equal(world.events["kind"], "suspension"))["subject"].to_pylist()
    bad = set(world.bad_rows()["account_id"].to_pylist())
    assert set(suspended) <= set(world.accounts["account_id"].to_pylist())
    assert set(suspended) - bad


def test_nothing_meaningless_tells_good_from_bad(world):
    """Ids, fractions of a second and rows' places are no evidence; a level-free generator would give 0.5."""
    bad = np.array([c is not None for c in world.of_exchange["campaign_id"].to_pylist()])
    at = np.array(world.exchanges["started_at"].cast(pa.int64()))
    assert (np.diff(at) >= 0).all()
    ids = np.array(
        [
            int(hashlib.sha256(i.encode()).hexdigest()[:8], 16)
            for i in world.exchanges["exchange_id"].to_pylist()
        ]
    )
    rank = np.argsort(np.argsort(np.array(world.exchanges["exchange_id"].to_pylist())))
    for name, score in (
        ("id hash", ids),
        ("id order", rank),
        ("microseconds", at % 1_000_000),
        ("place in a block", np.arange(bad.size) % 997),
    ):
        assert abs(auc(score, bad) - 0.5) < 0.05, name
    accounts = np.array([c is not None for c in world.of_account["campaign_id"].to_pylist()])
    names = np.argsort(np.argsort(np.array(world.of_account["account_id"].to_pylist())))
    assert abs(auc(names, accounts) - 0.5) < 3 / np.sqrt(
        12 * accounts.sum()
    )  # three standard errors of a chance ranking


def test_each_kind_makes_its_campaign(tmp_path):
    spec = WorldSpec(exchanges=3_000, seed=8, levels=(3,), campaigns=len(KINDS))
    campaigns = World(spec, tmp_path / "w").campaigns
    assert {c["kind"] for c in campaigns} == set(KINDS)
    for told in campaigns:
        assert told["harvest_exchanges"] > 0
        assert told["expected_verdict"] == ("relay" if told["kind"] == "serve_harvest" else "distillation")


@pytest.mark.parametrize("text", ["9", "4-", "-1", "x", "0-12", "", "5-2", "²", "0-99999999999", "3,,4"])
def test_wrong_levels_are_refused(text):
    with pytest.raises(UsageError) as caught:
        parse_levels(text)
    assert caught.value.hint


def test_levels_are_read():
    assert parse_levels("none") == ()
    assert parse_levels("0-2,6") == (0, 1, 2, 6)


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "w-labels").mkdir()
    with pytest.raises(OutputError):
        write_world(SMALL, tmp_path / "w")
    assert [p.name for p in tmp_path.iterdir()] == ["w-labels"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args, **_more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(world_module, "_labels", full)
    with pytest.raises(OutputError) as caught:
        write_world(WorldSpec(exchanges=1_000, seed=1, levels=()), tmp_path / "w")
    assert caught.value.exit_status == 4
    assert list(tmp_path.iterdir()) == []
