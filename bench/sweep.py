"""What a constant is worth: `python bench/sweep.py [--exchanges N] [--seeds 1,2,3]`.

Simulated worlds are scanned with one setting changed at a time; a line says how many harvesting accounts were found and how
many innocent ones accused. Settings are chosen on such worlds; quality is reported on others.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from excise import pipeline
from excise.engine.budget import Budget, memory_there
from excise.engine.progress import Clock, Silence
from excise.ingest.source import open_traffic
from excise.model.findings import ACCUSING
from excise.settings import Settings
from excise.simulate.spec import WorldSpec
from excise.simulate.world import write_world

SWEEPS: dict[str, tuple[Any, ...]] = {
    "habits.repeats": (2, 3, 4),
    "habits.most_accounts": (100, 200, 300),
    "link.edge_nats": (6.0, 8.0, 10.0),
    "link.exponent": (1.0, 2.0, 3.0, 4.0),
    "link.split_modularity": (0.2, 0.3, 0.4),
    "link.whole_modularity": (0.1, 0.2, 0.3),
    "link.bound_share": (0.3, 0.5, 0.7),
    "judge.fuse.prior": (-7.0, -6.0, -5.0),
    "judge.fuse.second": (0.0, 0.3, 0.6),
    "judge.fuse.layer_least": (1.0, 1.5, 2.0),
    "judge.member.least": (0.5, 0.8, 0.9, 0.95),
    "judge.member.several_wrappers": (1.5, 2.5, 3.5),
    "detect.pivot.within_hours": (24, 48, 96),
    "detect.multiplicity.within_hours": (3, 12, 24),
    "detect.shared-wrapper.share_inside": (0.2, 0.3, 0.5),
}


def changed(settings: Settings, name: str, value: Any) -> Settings:
    """Return the settings with one of them changed."""
    parts = name.split(".")
    if parts[0] == "detect":
        return dataclasses.replace(settings, detect={parts[1]: {parts[2]: float(value)}})

    def put(node: Any, keys: list[str]) -> Any:
        rest = value if len(keys) == 1 else put(getattr(node, keys[0]), keys[1:])
        return dataclasses.replace(node, **{keys[0]: rest})

    return put(settings, parts)


def outcome(world: Path, settings: Settings) -> tuple[int, int, int]:
    """Return harvesting accounts, those found, and innocents accused."""
    labels = world.with_name(world.name + "-labels")
    truth = {r["account_id"]: r for r in pq.read_table(labels / "account_labels.parquet").to_pylist()}
    with tempfile.TemporaryDirectory() as staging:
        opened = open_traffic(str(world), staging=Path(staging))
        budget = Budget(memory_there() // 2, Path(staging))
        gathered = pipeline.read(opened, settings, 2, Clock(Silence()), budget)
        traffic, _ = pipeline.sort(gathered, opened, settings, 2)
    detectors = pipeline.usable(pipeline.DETECTORS, traffic)
    findings, _ = pipeline.weigh(detectors, traffic, pipeline.cluster(detectors, traffic, settings), settings)
    accused = {
        traffic.accounts.name[a]
        for f in findings
        if f.judgement.verdict in ACCUSING
        for a in f.members[f.accused]
    }
    bad = {a for a, r in truth.items() if r["campaign_id"] is not None}
    relays = {a for a, r in truth.items() if r["population"] in ("relay_pool_honest", "reseller_undeclared")}
    return len(bad), len(bad & accused), len(accused - bad - relays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=60_000)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--level", default="1-6")
    chosen = parser.parse_args()
    low, _, high = chosen.level.partition("-")
    levels = tuple(range(int(low), int(high or low) + 1))
    with tempfile.TemporaryDirectory() as folder:
        worlds = []
        for seed in map(int, chosen.seeds.split(",")):
            worlds.append(Path(folder) / f"w{seed}")
            write_world(WorldSpec(exchanges=chosen.exchanges, seed=seed, levels=levels), worlds[-1])
        print("| setting | value | accounts of campaigns | found | innocent accused |\n|---|---|---|---|---|")
        for name, values in {"(defaults)": (None,), **SWEEPS}.items():
            for value in values:
                settings = Settings() if value is None else changed(Settings(), name, value)
                bad, found, wrong = (
                    sum(x) for x in zip(*(outcome(w, settings) for w in worlds), strict=True)
                )
                print(
                    f"| `{name}` | {'' if value is None else value} | {bad} | {found} ({found / max(1, bad):.0%}) | {wrong} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
