"""Scores of a run: against the scorer that comes with the labelled worlds, and on cases that one can count."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import write_run

from measure import labels as truth
from measure.scores import score
from repository import ROOT

SHARED = ROOT.parent / "shared"
WORLD = SHARED / "worlds" / "dev-tiny"


@pytest.fixture
def world(tmp_path):
    """Two campaigns of three accounts (one account of the first never harvests), a class, an honest relay."""
    out = tmp_path / "w"
    (out / "labels").mkdir(parents=True)
    rows = [(f"a{i}", "A", "campaign:cot", 2) for i in range(3)] + [
        (f"b{i}", "B", "campaign:serve_harvest", 8) for i in range(3)
    ]
    rows += [(f"c{i}", None, "class", None) for i in range(4)] + [("r0", None, "relay_pool_honest", None)]
    account, campaign, population, level = zip(*rows, strict=True)
    pq.write_table(pa.table({"account_id": account, "campaign_id": pa.array(campaign, pa.string()), "population": population, "level": pa.array(level, pa.int64())}), out / "labels" / "account_labels.parquet")  # fmt: skip
    exchanges = (
        [(f"x{i}", f"a{i % 2}", "harvest") for i in range(6)]
        + [("y", "a0", "cover")]
        + [(f"z{i}", f"b{i}", "harvest") for i in range(3)]
    )
    pq.write_table(pa.table(dict(zip(("exchange_id", "account_id", "role"), zip(*exchanges, strict=True), strict=True))), out / "labels" / "exchange_labels.parquet")  # fmt: skip
    facts = [("A", "cot", 2, "distillation"), ("B", "serve_harvest", 8, "relay")]
    (out / "labels" / "campaigns.json").write_text(json.dumps([dict(zip(("campaign_id", "kind", "level", "expected_verdict"), f, strict=True)) for f in facts]))  # fmt: skip
    pq.write_table(pa.table({"account_id": ["c3"], "declared": ["evaluator"]}), out / "accounts.parquet")
    return out


def test_a_run_that_is_right_in_part(world, tmp_path):
    said = {
        "a0": ("distillation", "1", 0.9), "a1": ("distillation", "1", 0.9), "c0": ("distillation", "1", 0.8),
        "b0": ("relay", "2", 0.7), "b1": ("distillation", "3", 0.7), "c3": ("relay", "2", 0.6),
        "r0": ("relay", "4", 0.5), "c1": ("shared-client", None, 0.1),
    }  # fmt: skip
    rows = [("x0", "a0"), ("x1", "a1"), ("y", "a0"), ("q", "c0")]
    write_run(tmp_path / "run", said, rows)
    s = score(tmp_path / "run", truth.read(world))
    assert s.levels == {"2": (2, 2), "8": (1, 3)}
    assert s.kinds == {"cot": (2, 2), "serve_harvest": (1, 3)}
    assert s.accused == {"class": (1, 1)}
    assert (s.wrong(), s.innocent(), s.declared, s.relays_named) == (2, 5, (1, 1), (1, 1))
    assert (s.told, s.distillation) == ((3, 4), (3, 4))
    assert s.campaigns == {"2": (1, 1), "8": (0, 1)}
    assert (s.rows, s.mixed) == ((4, 2, 9), (0, 0, 0))
    assert s.row_levels == {"2": (3, 2, 6), "8": (0, 0, 3)}
    assert sorted(s.sure) == [(0.95, True), (0.95, True)]
    items, precision, recall = s.b_cubed["all"]
    assert items == 8
    assert precision == pytest.approx(2 * 2 / 3 + 1 / 3 + 1 + 1 / 2 + 1 + 1 + 1 / 2)
    assert recall == pytest.approx(2 * 2 / 3 + 1 + 1 / 3 + 1 / 3 + 1 / 3 + 1 / 3 + 1)


def test_an_empty_run_finds_nothing_and_accuses_nobody(world, tmp_path):
    write_run(tmp_path / "run", {"a0": (None, None, 0.0)})
    s = score(tmp_path / "run", truth.read(world))
    assert s.levels == {"2": (0, 2), "8": (0, 3)}
    assert (s.wrong(), s.rows, s.sure) == (0, None, [])


@pytest.mark.skipif(not WORLD.is_dir(), reason="no labelled world beside this checkout")
@pytest.mark.skipif(
    importlib.util.find_spec("polars") is None, reason="the scorer of the worlds needs polars"
)
def test_the_scorer_of_the_worlds_says_the_same(tmp_path):
    """On a made-up run of many mistakes, so that every number is tried."""
    known = truth.read(WORLD)
    rng = np.random.default_rng(0)
    said: dict[str, tuple[str | None, str | None, float]] = {}
    for a, r in known.accounts.items():
        luck = rng.random()
        if r.campaign and luck < 0.7:
            verdict = "relay" if luck < 0.2 else "distillation"
            said[a] = verdict, f"{verdict}-{r.campaign}", float(rng.random())
        elif luck > 0.98:
            said[a] = ("distillation" if luck > 0.99 else "relay"), f"m{int(luck * 1000)}", float(luck)
        else:
            said[a] = None, None, float(rng.random() / 2)
    write_run(tmp_path / "run", said, [(x, "?") for x in sorted(known.harvest)[::2]] + [("nothing", "?")])
    done = subprocess.run(
        [sys.executable, SHARED / "bench" / "worlds" / "score.py", tmp_path / "run", truth.folder_of(WORLD), "--json"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    theirs, mine = json.loads(done.stdout), score(tmp_path / "run", known)
    n, precision, recall = mine.b_cubed["all"]
    assert (precision / n, recall / n) == pytest.approx((theirs["bcubed_precision"], theirs["bcubed_recall"]))
    for ours, name in ((mine.levels, "by_level"), (mine.kinds, "by_kind")):
        assert {k: h / t for k, (h, t) in ours.items()} == pytest.approx(
            {k: v["recall_harvesters"] for k, v in theirs[name].items() if v["harvest_accounts"]}
        )
    assert mine.ap == pytest.approx(theirs["account_ap"])
    assert mine.wrong() / mine.innocent() * 1e5 == pytest.approx(theirs["false_accusations_per_100k"])
    assert mine.told[0] / mine.told[1] == pytest.approx(theirs["told_apart"])
    assert mine.declared[0] == theirs["declared_accused"]
    assert sum(h for h, _ in mine.campaigns.values()) / len(known.campaigns) == pytest.approx(
        theirs["campaign_recall"]
    )
    assert mine.rows[1] / mine.rows[0] == pytest.approx(theirs["harvest"]["precision"])
    assert mine.rows[1] / mine.rows[2] == pytest.approx(theirs["harvest"]["recall"])
    p, t = np.array(mine.sure).T
    assert float(((p - t) ** 2).mean()) == pytest.approx(theirs["calibration"]["brier"])
