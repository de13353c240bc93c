"""A scan as a whole: what it finds in a small world, what it says when something is missing, and that nothing but rows and settings matters."""

import itertools
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import excise
from excise import pipeline
from excise.errors import InputError, SchemaMismatch, TooManyBadRows
from excise.ingest import traffic as reading
from excise.model.findings import ACCUSING
from excise.report import folder
from excise.settings import Settings

SAME = ("campaigns.json", "accounts.parquet", "harvest.parquet")


@pytest.fixture(scope="module")
def run(world):
    return excise.scan(world, threads=2)


@pytest.fixture(scope="module")
def truth(world):
    labels = world.with_name(world.name + "-labels")
    return {r["account_id"]: r for r in pq.read_table(labels / "account_labels.parquet").to_pylist()}


def written(run, out):
    folder.write(run, out)
    return {name: (out / name).read_bytes() for name in SAME}


@pytest.fixture(scope="module")
def reference(run, tmp_path_factory):
    return written(run, tmp_path_factory.mktemp("reference") / "run")


def verdicts(run):
    return {r["account_id"]: r["verdict"] for r in run.accounts.to_pylist() if r["verdict"] in ACCUSING}


def test_the_planted_campaigns_are_found_and_nobody_innocent_is_accused(run, truth):
    said = verdicts(run)
    bad = {a for a, r in truth.items() if r["campaign_id"] is not None}
    relays = {a for a, r in truth.items() if r["population"] in ("relay_pool_honest", "reseller_undeclared")}
    assert len(bad & set(said)) >= 0.9 * len(bad)
    assert {a for a, v in said.items() if v == "distillation"} <= bad
    assert set(said) <= bad | relays


def test_a_campaign_says_why(run):
    campaign = next(c for c in run.campaigns if c.verdict == "distillation")
    assert len({e.layer for e in campaign.evidence if e.log_odds > 1}) >= 2
    assert len(campaign.innocent) >= 8
    assert campaign.timeline
    assert sum(campaign.timeline.exchanges) == campaign.exchanges
    assert campaign.graph.of == campaign.accounts
    assert campaign.wrapper
    assert 0 < campaign.harvest_exchanges <= campaign.exchanges


def test_the_tables_fit_together(run, world):
    exchanges = pq.read_table(world / "exchanges")
    assert run.accounts.num_rows == len(pc.unique(exchanges["account_id"]))
    assert pc.sum(run.accounts["exchanges"]).as_py() == exchanges.num_rows
    harvest = run.harvest.to_pylist()
    known = dict(zip(exchanges["exchange_id"].to_pylist(), exchanges["account_id"].to_pylist(), strict=True))
    assert all(known[h["exchange_id"]] == h["account_id"] for h in harvest)
    assert sum(r["harvest_exchanges"] for r in run.accounts.to_pylist()) == len(harvest)
    assert run.info["counts"]["harvest_exchanges"] == len(harvest)


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_leave_no_trace(world, reference, tmp_path, threads):
    assert written(excise.scan(world, threads=threads), tmp_path / "run") == reference


@pytest.mark.parametrize("how", ["shuffled-and-split", "ndjson", "small-batches"])
def test_files_order_format_and_batches_leave_no_trace(world, reference, tmp_path, how, monkeypatch):
    source = tmp_path / "source"
    (source / "exchanges").mkdir(parents=True)
    for name in ("accounts.parquet", "events.parquet"):
        (source / name).write_bytes((world / name).read_bytes())
    table = pq.read_table(world / "exchanges")
    if how == "small-batches":
        monkeypatch.setattr(reading, "BATCH_ROWS", 700)
        monkeypatch.setattr(reading.Traffic.batches, "__defaults__", (None, 700, None, None))
    order = (
        np.random.default_rng(4).permutation(table.num_rows)
        if how != "small-batches"
        else np.arange(table.num_rows)
    )
    table = table.take(pa.array(order))
    if how == "ndjson":
        with (source / "exchanges" / "all.ndjson").open("w", encoding="utf-8") as out:
            for row in table.to_pylist():
                row["started_at"] = row["started_at"].isoformat()
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        cuts = [0, 100, 5000, table.num_rows]
        for k, (a, b) in enumerate(itertools.pairwise(cuts)):
            pq.write_table(table.slice(a, b - a), source / "exchanges" / f"part-{9 - k}.parquet")
    assert written(excise.scan(source), tmp_path / "run") == reference


def test_without_side_tables_the_scan_works_and_says_what_it_missed(world, truth):
    run = excise.scan(world / "exchanges")
    missing = {u["evidence"] for u in run.info["unavailable"]}
    assert {"accounts", "payment", "releases", "displacement"} <= missing
    assert all(u["why"] for u in run.info["unavailable"])
    assert {"payment", "pivot"} <= set(run.info["skipped_detectors"])
    assert {a for a, v in verdicts(run).items() if v == "distillation"} <= {
        a for a, r in truth.items() if r["campaign_id"]
    }


def bare(world, tmp_path, drop):
    table = pq.read_table(world / "exchanges")
    path = tmp_path / "exchanges.parquet"
    pq.write_table(table.drop_columns([c for c in drop if c in table.column_names]), path)
    return path


@pytest.mark.parametrize(
    "drop",
    [
        ["user_text", "system_text", "output_text"],
        ["client_ip", "asn", "user_agent", "ja4", "device_id", "session_id"],
        ["n_messages", "replayed_blocks", "emitted_blocks"],
    ],
)
def test_missing_optional_columns_are_no_error(world, tmp_path, drop):
    run = excise.scan(bare(world, tmp_path, drop))
    assert run.info["counts"]["exchanges"] > 10_000
    assert run.info["unavailable"]


def test_a_missing_required_column_is_told(world, tmp_path):
    with pytest.raises(SchemaMismatch) as error:
        excise.scan(bare(world, tmp_path, ["model"]))
    assert "model" in str(error.value)
    assert error.value.hint


def test_repeated_ids_are_counted_and_too_many_stop_the_scan(world, tmp_path):
    table = pq.read_table(world / "exchanges")
    pq.write_table(pa.concat_tables([table, table.slice(0, 40)]), tmp_path / "few.parquet")
    run = excise.scan(tmp_path / "few.parquet")
    assert run.info["rejected"]["reasons"]["duplicate-id"] == 40
    assert run.info["counts"]["exchanges"] == table.num_rows
    pq.write_table(pa.concat_tables([table, table.slice(0, 2000)]), tmp_path / "many.parquet")
    with pytest.raises(TooManyBadRows):
        excise.scan(tmp_path / "many.parquet")


def test_nothing_to_scan_is_an_error(world, tmp_path):
    pq.write_table(pq.read_table(world / "exchanges").slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(InputError):
        excise.scan(tmp_path / "none.parquet")


def test_no_text_leaves_no_words_of_any_prompt(world, tmp_path):
    run = excise.scan(world, settings=Settings(keep_text=False))
    assert all(c.wrapper is None and not c.examples for c in run.campaigns)
    folder.write(run, tmp_path / "run")
    said = b"".join(
        (tmp_path / "run" / name).read_bytes() for name in ("campaigns.json", "run.json", "report.html")
    )
    texts = [
        t
        for t in pq.read_table(world / "exchanges", columns=["user_text"])["user_text"].to_pylist()
        if len(t) > 60
    ]
    for text in random.Random(1).sample(texts, 200):
        assert text[:40].encode() not in said


def test_being_suspended_is_no_evidence(world, tmp_path):
    """Suspend some innocents as well: their scores stay the same, since only the time of an event is used."""
    source = tmp_path / "source"
    (source / "exchanges").mkdir(parents=True)
    pq.write_table(pq.read_table(world / "exchanges"), source / "exchanges" / "part.parquet")
    pq.write_table(pq.read_table(world / "accounts.parquet"), source / "accounts.parquet")
    before = {r["account_id"]: r["score"] for r in excise.scan(source).accounts.to_pylist()}
    innocent = sorted(a for a, s in before.items() if s < 0.01)[:50]
    events = pq.read_table(world / "events.parquet").slice(0, 0).to_pylist() + [
        {
            "at": pq.read_table(world / "events.parquet")["at"][0].as_py(),
            "kind": "suspension",
            "subject": a,
            "note": "payment",
        }
        for a in innocent
    ]
    pq.write_table(
        pa.Table.from_pylist(events, schema=pq.read_schema(world / "events.parquet")),
        source / "events.parquet",
    )
    after = {r["account_id"]: r["score"] for r in excise.scan(source).accounts.to_pylist()}
    assert all(after[a] == before[a] for a in innocent)


def test_country_says_nothing(world, reference, tmp_path):
    source = tmp_path / "source"
    (source / "exchanges").mkdir(parents=True)
    for name in ("accounts.parquet", "events.parquet"):
        (source / name).write_bytes((world / name).read_bytes())
    table = pq.read_table(world / "exchanges")
    countries = pa.array(np.random.default_rng(2).choice(["AA", "BB", "CC"], table.num_rows).tolist())
    pq.write_table(
        table.set_column(table.column_names.index("country"), "country", countries),
        source / "exchanges" / "part.parquet",
    )
    assert written(excise.scan(source), tmp_path / "run") == reference


def test_the_pipeline_is_the_table_of_contents():
    assert pipeline.scan is excise.scan
