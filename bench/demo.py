"""Compare a run with the labels of its simulated world, in plain words: `python bench/demo.py RUN LABELS`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

ACCUSING = {"distillation", "relay"}
HONEST_RELAYS = {"relay_pool_honest", "reseller_undeclared"}


def main(run: Path, labels: Path) -> None:
    truth = json.loads((labels / "campaigns.json").read_text())
    said = {
        r["account_id"]: r["verdict"]
        for r in pq.read_table(run / "accounts.parquet").to_pylist()
        if r["verdict"] in ACCUSING
    }
    label = {r["account_id"]: r for r in pq.read_table(labels / "account_labels.parquet").to_pylist()}
    print("planted campaigns:")
    for campaign in truth:
        mine = [a for a, r in label.items() if r["campaign_id"] == campaign["campaign_id"]]
        found = [said[a] for a in mine if a in said]
        verdict = max(set(found), key=found.count) if found else "missed"
        print(
            f"  level {campaign['level']}  {campaign['kind']:<14} {len(found):>4} of {len(mine):>4} accounts   {verdict if len(found) * 2 >= len(mine) else 'missed, or found in part'}"
        )
    innocent = [a for a, r in label.items() if r["campaign_id"] is None and a in said]
    wrong = [a for a in innocent if said[a] == "distillation" or label[a]["population"] not in HONEST_RELAYS]
    print(
        f"innocent accounts accused: {len(wrong)} of {sum(r['campaign_id'] is None for r in label.values()):,}"
    )
    print(f"undeclared relays named as such: {len(innocent) - len(wrong)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
