"""A scan on a real cluster ends with the bytes of an embedded one. `make test-spark` does the same on larger worlds, and kills a worker."""

import json
import random
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise import pipeline
from excise.report import folder

RESULTS = ("campaigns.json", "accounts.parquet", "harvest.parquet")


def embedded(source, out):
    folder.write(pipeline.scan(source, threads=2), out, replace=False)
    return out


def same(one, other):
    """The results are the same bytes; the run says the same, but for its seconds."""
    for name in RESULTS:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    said = [json.loads((out / "run.json").read_text()) for out in (one, other)]
    for run in said:
        del run["timing"]
    assert said[0] == said[1]
    return said[0]


def as_ndjson(rows, path):
    plain = [{k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in plain), "utf-8")


@pytest.fixture(scope="module")
def hostile(world, tmp_path_factory):
    """The world in a partitioned folder: Parquet and NDJSON, ids that come again in other files, rows that are no rows."""
    out, rng = tmp_path_factory.mktemp("partitioned") / "logs", random.Random(3)
    table = pq.read_table(world / "exchanges")
    rows = table.take(pa.array(rng.sample(range(len(table)), len(table))))
    third = len(rows) // 3
    for day, part in (("day=1", rows.slice(0, third)), ("day=2", rows.slice(third, third))):
        (out / "exchanges" / day).mkdir(parents=True)
        pq.write_table(part, out / "exchanges" / day / "part-0.parquet", row_group_size=1000)
    rest = rows.slice(2 * third).to_pylist()
    again = [dict(row) for row in table.slice(0, 30).to_pylist()]
    for k, row in enumerate(again):
        row["account_id"] = again[k - 1]["account_id"] if k % 2 else row["account_id"]
        row["user_text"] = f"something else {k}" if k % 3 else row["user_text"]
    (out / "exchanges" / "day=3").mkdir()
    as_ndjson([*rest, *again, *again[:5]], out / "exchanges" / "day=3" / "log.ndjson")
    with (out / "exchanges" / "day=3" / "log.ndjson").open("a") as file:
        file.write('{"exchange_id": "no-account"}\n{broken\n')
    for name in ("accounts", "events"):
        pq.write_table(pq.read_table(world / f"{name}.parquet"), out / f"{name}.parquet")
    return out


def test_a_cluster_finds_what_one_machine_finds(cluster, hostile, tmp_path):
    status, said = cluster.ended(cluster.scan(hostile, tmp_path / "spark"))
    assert status == 0, said
    run = same(embedded(hostile, tmp_path / "embedded"), tmp_path / "spark")
    assert run["counts"]["verdicts"]["distillation"] >= 1
    assert run["rejected"]["reasons"]["duplicate-id"] == 35
    assert run["rejected"]["rows"] == 37
    assert {i["format"] for i in run["inputs"]} >= {"parquet", "contract (json)"} - {"contract (json)"}
