"""Small hand-made traffic: forty groups of five ordinary accounts, and one group of twelve that a test plants something in."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from excise import pipeline
from excise.detect import shared_wrapper
from excise.detect.matching import match
from excise.detect.run import find_marks, measure
from excise.engine.budget import Budget
from excise.engine.progress import Clock, Silence
from excise.ingest.source import open_traffic
from excise.link.linker import LinkSettings, gather, join_ties, select
from excise.model import schema
from excise.model.clusters import Ties
from excise.settings import Settings

HOUR = 3_600_000_000
DAY = 24 * HOUR
START = 1_767_225_600_000_000
GROUPS, SIZE, PLANTED = 40, 5, 12
RELEASE = START + 10 * DAY
WORDS = [
    f"{a}{b}"
    for a in ("ba", "do", "fi", "gu", "ke", "lo", "mi", "nu", "pa", "re", "so", "tu")
    for b in ("la", "mer", "nik", "ros", "tan", "vel", "wim", "zor")
]


def names_of_planted():
    return [f"p{i:02d}" for i in range(PLANTED)]


def everyone():
    return [f"g{g:02d}a{i}" for g in range(GROUPS) for i in range(SIZE)] + names_of_planted()


def text(rng, words=18):
    return " ".join(rng.choice(WORDS, words))


def base(seed=0, each=8):
    """Exchanges as dicts: every account sends `each` texts of its own at random times over twenty days."""
    rng = np.random.default_rng(seed)
    rows = []
    for account in everyone():
        for at in np.sort(rng.integers(0, 20 * DAY, each)):
            rows.append(
                {"exchange_id": f"x{len(rows)}", "started_at": START + int(at), "account_id": account, "model": "old", "user_text": text(rng), "output_text": text(rng, 60), "n_messages": 1, "session_id": f"s{len(rows)}"}
            )  # fmt: skip
    return rows


def of(rows, accounts):
    accounts = set(accounts)
    return [r for r in rows if r["account_id"] in accounts]


def traffic_of(rows, accounts=(), events=()):
    """Sketch rows of the contract's tables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema.EXCHANGES), path / "exchanges.parquet")
        if accounts:
            pq.write_table(
                pa.Table.from_pylist(list(accounts), schema=schema.ACCOUNTS), path / "accounts.parquet"
            )
        if events:
            pq.write_table(pa.Table.from_pylist(list(events), schema=schema.EVENTS), path / "events.parquet")
        staging = path / "staging"
        staging.mkdir()
        opened = open_traffic(folder, staging=staging)
        gathered = pipeline.read(opened, Settings(), 1, Clock(Silence()), Budget(1 << 30, path))
        return pipeline.sort(gathered, opened, Settings(), 1)[0]


def within(label):
    """Ties of all accounts of each group."""
    a, b = np.nonzero(np.triu(label[:, None] == label[None, :], 1))
    return Ties("group", "content", a.astype(np.int32), b.astype(np.int32), np.full(len(a), 9.0), alone=True)


def clusters_of(detector, traffic):
    """The groups as they were made, with the ties of this detector (and none of one owner) inside them; all are tied where it makes none."""
    code = {name: i for i, name in enumerate(traffic.accounts.name)}
    label = np.empty(len(code), np.int64)
    for name, i in code.items():
        label[i] = GROUPS if name.startswith("p") else int(name[1:3])
    ties = [detector.ties(traffic, detector.settings({})) if detector.ties else within(label)]
    edges = join_ties(ties, most=LinkSettings().tie_nats)
    edges = select(edges, ~traffic.accounts.one_owner(edges.a, edges.b))
    clusters = match(traffic, gather(label, edges), share_inside=0.3)
    p, most = shared_wrapper.DETECTOR.settings({}), LinkSettings().tie_nats
    return shared_wrapper.fill(
        clusters, traffic.habits, traffic.accounts, [shared_wrapper.tie(traffic, p)], p, most=most
    )


def evidence(detector, traffic):
    """Return the detector's evidence on the planted group (None for nothing), and how many other groups have more than 1 nat."""
    clusters = clusters_of(detector, traffic)
    found = measure([detector], traffic, clusters, find_marks([detector], traffic, clusters, {}), {})
    planted = int(clusters.label[list(traffic.accounts.name).index("p00")])
    others = sum(any(e.log_odds > 1 for e in f) for k, f in enumerate(found) if k != planted)
    return (found[planted][0] if found[planted] else None), others
