"""Larger worlds on a real cluster, a worker that is killed, and files that cannot be read: `make test-spark`."""

import os
import random
import signal
import sys
import time
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from standalone import needs_java, standalone
from test_spark_scan import embedded, same

from excise import pipeline
from excise.model import schema
from excise.simulate.spec import WorldSpec
from excise.simulate.world import write_world
from excise.spark.scan import scan
from repository import ROOT
from test_scan_invariance import ACCOUNT, CHOICES, EVENT, some

pytestmark = pytest.mark.cluster
SMALL = ROOT.parent / "shared" / "worlds" / "dev-small"


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """A world of 120,000 exchanges in eight files."""
    out = tmp_path_factory.mktemp("larger") / "world"
    write_world(WorldSpec(exchanges=120_000, seed=5, levels=(0, 1, 2, 3, 4), campaigns=5), out)
    table = pq.read_table(out / "exchanges")
    for path in (out / "exchanges").iterdir():
        path.unlink()
    step = -(-len(table) // 8)
    for k in range(8):
        pq.write_table(table.slice(k * step, step), out / "exchanges" / f"part-{k}.parquet")
    return out


@pytest.fixture(scope="module")
def expected(larger, tmp_path_factory):
    return embedded(larger, tmp_path_factory.mktemp("embedded") / "run")


def test_a_simulated_world_gives_the_same_bytes(cluster, larger, expected, tmp_path):
    status, said = cluster.ended(cluster.scan(larger, tmp_path / "run"))
    assert status == 0, said
    run = same(expected, tmp_path / "run")
    assert run["counts"]["verdicts"]["distillation"] >= 2


def test_an_independent_world_gives_the_same_bytes(cluster, tmp_path):
    if not SMALL.is_dir():
        pytest.skip("no labelled world beside this checkout")
    status, said = cluster.ended(cluster.scan(SMALL, tmp_path / "spark"))
    assert status == 0, said
    run = same(embedded(SMALL, tmp_path / "embedded"), tmp_path / "spark")
    assert run["counts"]["campaigns"] > 0


def test_addresses_are_read_as_paths_are(cluster, larger, expected, tmp_path):
    status, said = cluster.ended(cluster.scan(larger.as_uri(), tmp_path / "run"))
    assert status == 0, said
    for name in ("campaigns.json", "accounts.parquet", "harvest.parquet"):
        assert (expected / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


@pytest.mark.parametrize("tables", [1, 5])
def test_a_worker_that_is_killed_in_the_middle_changes_nothing(larger, expected, tables, tmp_path):
    """It is killed with what it had sketched, or when it answers what is asked of clusters; the other one makes that again."""
    needs_java()
    with standalone(tmp_path / "cluster") as mine:
        process = mine.scan(larger, tmp_path / "run")
        victim, held = mine.workers[0], set()
        while len(held) < tables and process.poll() is None:
            time.sleep(0.05)
            held |= {path.name.split("_")[1] for path in victim.kept()}
        assert process.poll() is None, mine.ended(process)
        victim.kill()
        status, said = mine.ended(process)
        assert status == 0, said
        assert "Lost executor" in said or "lost" in (tmp_path / "cluster" / "driver.log").read_text(
            "utf-8", "replace"
        )
    same(expected, tmp_path / "run")


def test_an_interrupted_scan_writes_nothing(cluster, larger, tmp_path):
    before = [len(worker.kept()) for worker in cluster.workers]
    process = cluster.scan(larger, tmp_path / "run")
    while [len(worker.kept()) for worker in cluster.workers] == before and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    status, said = cluster.ended(process)
    assert status == 130, said
    assert "interrupted, nothing was written" in said
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_ends_the_scan_with_its_name(cluster, larger, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    for path in (larger / "exchanges").iterdir():
        (logs / path.name).symlink_to(path)
    (logs / "part-9.parquet").write_bytes(b"PAR1 and then nothing")
    status, said = cluster.ended(cluster.scan(logs, tmp_path / "run"))
    assert status == 3, said
    assert "part-9.parquet" in said
    assert "hint:" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_where_no_cluster_answers_it_says_so(cluster, larger, tmp_path):
    url, cluster.url = cluster.url, "spark://127.0.0.1:9"
    try:
        status, said = cluster.ended(cluster.scan(larger, tmp_path / "run"))
    finally:
        cluster.url = url
    assert status == 2, said
    assert "no cluster answers there" in said


@pytest.fixture(scope="module")
def local():
    """A cluster of two threads of this process, for many small scans."""
    needs_java()
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    plain = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in plain.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4))
def test_hostile_rows_give_the_same_bytes(local, seed, tmp_path):
    """Repeated ids that differ, equal times, empty texts, repeated side lines, blocks and answers that come back."""
    rng = random.Random(seed)
    rows = [
        some(rng, CHOICES, exchange_id=f"x{rng.randrange(90)}", account_id=rng.choice("abcdefgh"))
        for _ in range(120)
    ]
    logs = tmp_path / "logs"
    (logs / "exchanges").mkdir(parents=True)
    for k in range(3):
        part = pa.Table.from_pylist(rows[40 * k : 40 * k + 40], schema.EXCHANGES)
        pq.write_table(part, logs / "exchanges" / f"{k}.parquet")
    accounts = [some(rng, ACCOUNT) for _ in range(4)]
    events = [some(rng, EVENT) for _ in range(4)] + [
        {"at": datetime(2026, 1, 1, 1, tzinfo=UTC), "kind": "model_release", "subject": "m"}
    ]
    pq.write_table(pa.Table.from_pylist(accounts, schema.ACCOUNTS), logs / "accounts.parquet")
    pq.write_table(pa.Table.from_pylist(events, schema.EVENTS), logs / "events.parquet")
    window = rng.choice((None, 3_600_000_000))
    one = pipeline.scan(logs, max_bad_rows=1.0, window=window)
    other = scan(logs, max_bad_rows=1.0, window=window)
    assert one.campaigns == other.campaigns
    assert one.accounts.equals(other.accounts)
    assert one.harvest.equals(other.harvest)
    assert {k: v for k, v in one.info.items() if k != "timing"} == {
        k: v for k, v in other.info.items() if k != "timing"
    }
