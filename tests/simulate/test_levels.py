"""What single knobs of a campaign do, seen before any text is written."""

from __future__ import annotations

import numpy as np
import pytest

from excise.errors import UsageError
from excise.simulate import KINDS, WorldSpec
from excise.simulate.benign import Commons
from excise.simulate.campaigns import move_in
from excise.simulate.cast import Cast, arrivals
from excise.simulate.knobs import DAILY, draw_knobs
from excise.simulate.schedule import lifetimes, schedule
from excise.simulate.spec import DAY

DAYS = 21


def cast(seed: int = 1) -> Cast:
    return Cast(np.random.default_rng(seed), DAYS, DAYS * 0.55 * DAY)


def spec(level: int, **more) -> WorldSpec:
    return WorldSpec(levels=(level,), accounts=4_000, campaigns=6, **more)


def knobs(level: int, kind: str = "cot", *, correlation: float = 0.3, count: int = 400):
    rng, wanted = np.random.default_rng(level), spec(level, correlation=correlation)
    return [draw_knobs(rng, wanted, kind, level) for _ in range(count)]


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [(1, 0, 0), (3, 0, 0.1), (4, 0.1, 0.3), (5, 0.3, 0.5), (6, 0.5, 0.9), (8, 0.5, 0.9)],
)
def test_cover_is_in_the_levels_range(level, low, high):
    cover = [k.cover for k in knobs(level)]
    assert low <= min(cover) <= max(cover) <= high


@pytest.mark.parametrize("level", range(1, 9))
def test_a_layer_wanders_a_step_at_most_and_never_out_of_its_half_of_the_ladder(level):
    for k in knobs(level):
        for layer in (k.account, k.time, k.content):
            assert abs(layer - level) <= 1
            assert level < 4 or layer >= 4


def test_correlation_couples_the_layers():
    def together(correlation: float) -> float:
        drawn = np.array([(k.account, k.time, k.content) for k in knobs(2, correlation=correlation)])
        return float(np.corrcoef(drawn.T)[np.triu_indices(3, 1)].mean())

    assert abs(together(0.0)) < 0.1
    assert 0.2 < together(0.7) < 0.9
    assert together(1.0) > 0.99


def test_campaigns_are_of_8_to_200_accounts():
    sizes = [k.size for k in knobs(3)]
    assert min(sizes) >= 8
    assert max(sizes) <= 200
    assert len(set(sizes)) > 5
    assert {k.size for k in knobs(0)} == {1, 2}


def test_each_account_has_a_harvest_worth_the_name():
    for level in range(7):
        assert min(k.per_account for k in knobs(level)) >= 20


def test_from_level_7_on_nobody_harvests_more_than_five_a_day():
    for seed, k in enumerate(knobs(7, count=5)):
        world = cast(seed)
        accounts = np.arange(k.size)
        who, at = schedule(world.rng, accounts, lifetimes(world, accounts, k, 0.0, DAYS * DAY), k)
        _, counts = np.unique(np.stack([who, (at // DAY).astype(int)]), axis=1, return_counts=True)
        assert counts.max() <= DAILY
        assert len(at) / k.size > 15


def test_a_baton_is_on_few_accounts_at_a_time_and_a_quota_on_all():
    def active_in_a_day(level: int) -> float:
        k = next(k for k in knobs(level, correlation=1.0) if k.time == level and k.size >= 15)
        world, accounts = cast(3), np.arange(k.size)
        who, at = schedule(world.rng, accounts, np.tile([0.0, 2 * DAY], (k.size, 1)), k)
        hours = (at // 3600).astype(int)
        return float(np.mean([len(np.unique(who[hours == h])) for h in np.unique(hours)])) / k.size

    assert active_in_a_day(3) < 0.25
    assert active_in_a_day(1) > 1.5 * active_in_a_day(3)


def test_what_is_shared_falls_up_the_ladder():
    def distinct(level: int, column: str) -> float:
        world = cast(level)
        move_in(world, Commons(world), spec(level, correlation=1.0, kinds=("cot",), seed=2))
        groups = np.array(world.accounts["group"])
        values = [str(v) for v in world.accounts[column]]
        sets = [{v for v, g in zip(values, groups, strict=True) if g == group} for group in np.unique(groups)]
        return sum(map(len, sets)) / len(values)

    for column in ("card", "mail"):
        assert distinct(1, column) < distinct(2, column) < distinct(4, column)
    assert distinct(2, "ip") < 0.8  # a quarter as many as accounts, two at least
    assert distinct(4, "card") == distinct(4, "ip") == 1.0


def test_most_low_campaigns_take_a_new_model_up_within_a_day_and_high_ones_stagger():
    def prompt(level: int) -> float:
        world = cast(level)
        move_in(world, Commons(world), spec(level, kinds=("cot",)))
        return float(np.mean(np.array(world.accounts["adopts"]) < world.release + DAY))

    assert min(prompt(level) for level in (1, 3, 6)) > 0.6
    assert prompt(7) == 0


@pytest.mark.parametrize("kind", ["human", "machine", "batch"])
def test_no_time_piles_up_and_none_leaves_the_span(kind):
    at = arrivals(np.random.default_rng(5), kind, 5_000, 1.3 * DAY, 2.1 * DAY)
    assert at.min() >= 1.3 * DAY
    assert at.max() < 2.1 * DAY
    assert len(np.unique(at)) == 5_000
    assert (np.diff(at) >= 0).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"exchanges": 10}, {"seed": -1}, {"accounts": 5}, {"days": 1}, {"levels": (9,)}, {"kinds": ("x",)}, {"kinds": ()},
        {"correlation": 2.0}, {"bad_share": 0.9}, {"campaigns": 1_000, "accounts": 500}, {"campaigns": -1},
    ],
)  # fmt: skip
def test_a_spec_that_makes_no_world_is_refused(wrong):
    with pytest.raises(UsageError) as caught:
        WorldSpec(**wrong)
    assert caught.value.hint


def test_kinds_are_those_that_labels_know():
    assert {"relay_mixed", "serve_harvest"} < set(KINDS)
