"""One peer on one file, as `bench/speed.py` runs it in the environment made for them: `python bench/peers.py NAME ROWS.parquet`.

Prints one line of JSON: events, or edges, that it dealt with. ROWS has `id`, `account`, `at` (microseconds), `text`.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def rows(path: Path) -> dict[str, list]:
    return pq.read_table(path).to_pydict()


def kollude(path: Path) -> int:
    """The whole run: read records, find coordinated clusters."""
    import kollude as peer

    r = rows(path)
    records = [
        {"event_id": i, "actor": a, "t": t / 1e6, "text": x}
        for i, a, t, x in zip(r["id"], r["account"], r["at"], r["text"], strict=True)
    ]
    for record in records:
        record["t"] = np.datetime64(int(record["t"]), "s").astype(str) + "Z"
    peer.scan(peer.from_records(records))
    return len(records)


def toolkit(path: Path) -> int:
    """Accounts that send the same text within a minute: the network that is nearest to what a scan looks for."""
    from coordination_network_toolkit.compute_networks import compute_co_tweet_network
    from coordination_network_toolkit.preprocess import preprocess_csv_files

    r = rows(path)
    with tempfile.TemporaryDirectory() as folder:
        table, database = Path(folder) / "rows.csv", str(Path(folder) / "rows.db")
        with table.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(
                ["message_id", "user_id", "username", "repost_id", "reply_id", "message", "timestamp", "urls"]
            )
            for i, a, t, x in zip(r["id"], r["account"], r["at"], r["text"], strict=True):
                out.writerow([i, a, a, "", "", x, t / 1e6, ""])
        preprocess_csv_files(database, [str(table)])
        compute_co_tweet_network(database, 60, n_threads=1)
    return len(r["id"])


def fraudar(path: Path) -> int:
    """The densest block of the graph of accounts and words; edges, not events."""
    from scipy import sparse
    from UGFraud.Detector.Fraudar import logWeightedAveDegree

    r = rows(path)
    accounts: dict[str, int] = {}
    words: dict[str, int] = {}
    edges = {
        (accounts.setdefault(a, len(accounts)), words.setdefault(w, len(words)))
        for a, x in zip(r["account"], r["text"], strict=True)
        for w in x.split()
    }
    source, target = np.array(sorted(edges)).T
    graph = sparse.coo_matrix((np.ones(len(edges)), (source, target)), shape=(len(accounts), len(words)))
    logWeightedAveDegree(graph.tocsc())
    return len(edges)


def rensa(path: Path) -> int:
    """Sketches alone: 128 permutations of word 4-shingles."""
    from rensa import RMinHash

    texts = rows(path)["text"]
    for text in texts:
        words = text.split()
        sketch = RMinHash(128, 1)
        sketch.update([" ".join(words[k : k + 4]) for k in range(len(words) - 3)])
        sketch.digest()
    return len(texts)


def datasketch(path: Path) -> int:
    """Sketches alone: 128 permutations of word 4-shingles."""
    from datasketch import MinHash

    texts = rows(path)["text"]
    for text in texts:
        words = text.split()
        sketch = MinHash(128)
        sketch.update_batch([" ".join(words[k : k + 4]).encode() for k in range(len(words) - 3)])
    return len(texts)


PEERS = {
    "kollude": kollude,
    "coordination-network-toolkit": toolkit,
    "UGFraud": fraudar,
    "rensa": rensa,
    "datasketch": datasketch,
}

if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](Path(sys.argv[2]))))
