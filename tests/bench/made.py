"""Run folders made by hand."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_run(out: Path, said: dict[str, tuple[str | None, str | None, float]], rows=None, confidence=0.95):
    out.mkdir()
    names = list(said)
    verdict, campaign, value = zip(*said.values(), strict=True)
    pq.write_table(pa.table({"account_id": names, "verdict": pa.array(verdict, pa.string()), "campaign_id": pa.array(campaign, pa.string()), "score": list(value)}), out / "accounts.parquet")  # fmt: skip
    groups = {c: v for v, c, _ in said.values() if c}
    (out / "campaigns.json").write_text(json.dumps([{"campaign_id": c, "verdict": v, "confidence": confidence} for c, v in groups.items()]))  # fmt: skip
    if rows is not None:
        pq.write_table(pa.table({"exchange_id": [r[0] for r in rows], "account_id": [r[1] for r in rows]}), out / "harvest.parquet")  # fmt: skip
