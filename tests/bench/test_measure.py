"""Worlds, kept scans, baselines, replays and the search of an adversary, on small worlds."""

import json
import sys
from collections import Counter
from datetime import timedelta
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import write_run

import quality
from excise import pipeline
from excise.settings import Settings
from excise.simulate.spec import WorldSpec
from measure import adversary, baselines, delay, sections, stages, worlds
from measure.runs import Variant, scan, score_of, scored
from repository import ROOT, page


@pytest.fixture(scope="module")
def small(world):
    return worlds.given(world)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def rows(path):
    return pq.read_table(path / "exchanges").to_pylist()


# Worlds


def test_a_world_without_labels_is_refused(tmp_path):
    (tmp_path / "w").mkdir()
    with pytest.raises(SystemExit, match="no labels"):
        worlds.given(tmp_path / "w")


def test_a_replay_knows_nothing_of_later(small, tmp_path):
    with worlds.changed(small, tmp_path / "copy") as copy:
        worlds.until(small, copy, 5)
        mine, all_rows = rows(copy), rows(small.path)
        accounts = set(pq.read_table(copy / "accounts.parquet")["account_id"].to_pylist())
        events = pq.read_table(copy / "events.parquet")["at"].to_pylist()
    end = min(r["started_at"] for r in all_rows) + timedelta(days=5)
    assert {r["exchange_id"] for r in mine} == {r["exchange_id"] for r in all_rows if r["started_at"] < end}
    assert accounts == {r["account_id"] for r in mine}
    assert all(at < end for at in events)
    assert not (tmp_path / "copy").exists()


def test_what_is_taken_away_is_gone_and_the_rest_is_there(small, tmp_path):
    with worlds.changed(small, tmp_path / "copy") as copy:
        worlds.take_away(
            small, copy, columns=("client_ip",), tables=("events",), account_columns=("payment_fp",)
        )
        before, after = rows(small.path), rows(copy)
        names = pq.read_schema(copy / "accounts.parquet").names
        files = {p.name for p in copy.iterdir()}
    assert after == [{k: v for k, v in r.items() if k != "client_ip"} for r in before]
    assert "payment_fp" not in names
    assert files == {"exchanges", "accounts.parquet", "asn_table.csv"}


# Scans


def test_a_scan_is_made_once_for_the_same_program_settings_and_world(small, cache):
    first = scan(small, cache)
    with mock.patch.object(pipeline, "scan", side_effect=AssertionError("scanned again")):
        assert scan(small, cache) == first
        with pytest.raises(AssertionError, match="scanned again"):
            scan(small, cache, Variant("x", settings=Settings(seed=5)))
        with pytest.raises(AssertionError, match="scanned again"):
            scan(small, cache, Variant("x", without=frozenset({"payment"})))


def test_a_detector_that_is_left_out_says_nothing(small, cache):
    content = frozenset(d.id for d in pipeline.DETECTORS if d.layer == "content")
    run = scan(small, cache, Variant("no content", without=content))
    said = {e["detector"] for c in json.loads((run / "campaigns.json").read_text()) for e in c["evidence"]}
    assert not said & content


def test_a_kept_score_is_the_score(small, cache):
    first = scored(small, cache)
    with mock.patch("measure.runs.score", side_effect=AssertionError("counted again")):
        assert scored(small, cache) == first


# Baselines


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30))
@settings(max_examples=40, deadline=None)
def test_a_percentile_is_the_mean_rank(values):
    expected = [
        (sum(x < v for x in values) + (sum(x == v for x in values) - 1) / 2) / (len(values) - 1)
        for v in values
    ]
    assert baselines._percentile(np.array(values, float)).tolist() == pytest.approx(expected)


def test_every_baseline_writes_a_run_that_can_be_scored(small, cache):
    runs = baselines.run_all(small, cache)
    assert list(runs) == list(baselines.BASELINES)
    scores = {name: score_of(run, small) for name, run in runs.items()}
    assert all(0 <= s.ap <= 1 for s in scores.values())
    assert scores["volume"].distillation[1] >= 1
    assert scores["shared payment"].levels["1"][0] > 0
    assert scores["FRAUDAR"].levels["1"][0] > 0


# Replays


def test_a_campaign_is_known_by_a_sure_group_that_is_mostly_its(tmp_path):
    said = {
        "a0": ("distillation", "1", 1.0),
        "a1": ("distillation", "1", 1.0),
        "c": ("distillation", "1", 1.0),
    }
    write_run(tmp_path / "sure", said)
    write_run(tmp_path / "unsure", said, confidence=0.8)
    accounts = {"a0": "A", "a1": "A", "c": None}
    assert delay.sure_campaigns(tmp_path / "sure", accounts) == {"A"}
    assert delay.sure_campaigns(tmp_path / "unsure", accounts) == set()
    assert delay.sure_campaigns(tmp_path / "sure", {**accounts, "a1": "B"}) == set()


def test_a_replay_counts_what_was_lost_until_the_day(small, cache):
    found = delay.replay(small, cache, every=7)
    assert {d.level for d in found} == {1, 2}
    for d in found:
        assert d.before == d.harvest if d.day is None else d.before <= d.harvest
    careless = next(d for d in found if d.level == 1)
    assert careless.day is not None
    assert 0 < careless.before < careless.harvest


# Where accounts are lost


def test_each_step_leaves_no_more_than_the_one_before(small, cache):
    where = stages.placed(small, cache)
    accused = {a for a, (_, _, yes) in where.clustered.items() if yes}
    said = pq.read_table(scan(small, cache) / "accounts.parquet").to_pylist()
    assert accused == {r["account_id"] for r in said if r["verdict"] in ("distillation", "relay")}
    for counts in stages._left(small, where).values():
        assert list(counts[3:]) == sorted(counts[3:], reverse=True)
        assert counts[0] >= counts[1] >= counts[2]
    assert stages._left(small, where)["1"][6] > 0


def test_a_fellow_is_of_the_same_campaign_and_strangers_as_close_count_against():
    a, b = np.array([0, 0, 1, 3]), np.array([1, 4, 2, 4])
    tied, closest = stages.fellows(a, b, np.array([5.0, 5.0, 2.0, 9.0]), np.array([7, 7, 7, 8, -1]))
    assert tied.tolist() == [0, 1, 2]
    assert closest.tolist() == [1, 2]


# The adversary


def test_a_search_spends_its_budget_and_gets_better():
    def value(choice):
        return choice["account"] + choice["cover"]

    trials = adversary.search(30, value)
    assert len(trials) == 30
    assert len({tuple(sorted(c.items())) for _, c in trials}) == 30
    assert trials[0] == (value(adversary.PLAIN), adversary.PLAIN)
    assert min(v for v, _ in trials) < value(adversary.PLAIN)
    assert trials == adversary.search(30, value)


@pytest.mark.parametrize("per_account", adversary.KNOBS["per_account"])
def test_every_choice_brings_the_same_number_of_examples(per_account):
    k = adversary.knobs({**adversary.PLAIN, "per_account": per_account}, "cot")
    assert adversary.EXAMPLES <= k.size * k.per_account < adversary.EXAMPLES + k.per_account


def test_cost_counts_accounts_and_what_was_found():
    plain = adversary.Outcome(examples=1000, found=0, accounts=10, accused=0, sent=2000)
    caught = adversary.Outcome(examples=1000, found=500, accounts=10, accused=0, sent=2000)
    assert plain.cost(100) == 3000
    assert caught.cost(100) == 6000
    assert adversary.together([plain, caught]).found == 500


# The command


def test_every_step_of_the_ablation_is_a_setting():
    assert all(
        sections.with_setting(Settings(), name, value) not in (None, Settings())
        for name, value in sections.STEPS.values()
    )
    assert sections.with_setting(Settings(), "link.no_such_thing", 1.0) is None
    assert sections.with_setting(Settings(), "detect.shared-wrapper.no_such_thing", 1.0) is None


def test_the_main_table_is_written_and_counts_every_population(small, cache, tmp_path, monkeypatch, capsys):
    words = ["quality.py", "table", str(small.path), "--cache", str(cache), "--pages", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    quality.main()
    text = (tmp_path / "quality.md").read_text()
    assert "| FRAUDAR |" in text
    labels = pq.read_table(small.path.with_name("w-labels") / "account_labels.parquet").to_pylist()
    innocent = Counter(r["population"] for r in labels if r["campaign_id"] is None)
    for population, n in innocent.items():
        assert f"| {population} | {n:,} |" in text
    assert "Printed by `python quality.py table w`" in text
    assert "By kind of campaign" in capsys.readouterr().out


@pytest.mark.parametrize("part", quality.PARTS)
def test_every_part_has_a_command_and_stands_on_its_page(part):
    assert f"bench/quality.py {part}" in page("Makefile")
    text = page(f"docs/benchmarks/{quality.PARTS[part].page}")
    assert f"`make bench-{'quality' if part == 'table' else part}`" in text


def test_simulated_worlds_are_made_once(tmp_path):
    spec = WorldSpec(exchanges=2000, seed=3, levels=(), accounts=150)
    first = worlds.simulated(spec, tmp_path)
    with mock.patch.object(worlds, "write_world", side_effect=AssertionError("made again")):
        assert worlds.simulated(spec, tmp_path) == first
    assert first.made == "`excise simulate --level none --exchanges 2000 --seed 3`"


def test_the_pages_are_the_repository_s():
    assert quality.ROOT == ROOT
