"""What a scan finds and whom it accuses wrongly, by level: `python bench/quality.py [--seeds 101,102] [WORLD ...] [--out PAGE]`.

Each seed is a world of `excise simulate`; a WORLD is a folder of labelled traffic in the same form (labels in `WORLD/labels`
or `WORLD-labels`). Settings are the defaults. Report seeds on which no setting was chosen: `bench/sweep.py` uses 1 to 3, the
demo and the tests smaller ones than 101.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

import excise
from excise.model.findings import ACCUSING
from excise.simulate.spec import WorldSpec
from excise.simulate.world import write_world

LEVELS = range(9)
HONEST_RELAYS = {"relay_pool_honest", "reseller_undeclared"}

HEAD = """# What is found, and who is accused wrongly

Printed by `{command}`. Default settings, version {version}; a world a row. Cells are accounts of
campaigns that were accused, of how many. A harvest behind a relay may rightly be called `relay`.

| world | accounts | level {levels} | `distillation`: precision | innocents accused | honest relays named `relay` | harvest rows: precision | recall |
|---|---|{dashes}|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of one world. `planted` and `found` are by level, of accounts."""

    accounts: int
    planted: Counter[int]
    found: Counter[int]
    distillation: int
    rightly: int
    wrong: int
    relays: int
    reported: int
    harvest: int
    both: int


def score(world: Path) -> Score:
    """Scan a world and compare with its labels."""
    inside = world / "labels"
    labels = inside if inside.is_dir() else world.with_name(world.name + "-labels")
    truth = {r["account_id"]: r for r in pq.read_table(labels / "account_labels.parquet").to_pylist()}
    kept = [labels / "exchange_labels.parquet", *sorted((labels / "exchange_labels").glob("*.parquet"))]
    harvest = {
        row
        for path in kept
        if path.exists()
        for row in pq.read_table(path, columns=["exchange_id"], filters=[("role", "=", "harvest")])[0].to_pylist()
    }  # fmt: skip
    run = excise.scan(world)
    said = dict(zip(*(run.accounts[c].to_pylist() for c in ("account_id", "verdict")), strict=True))
    accused = {a for a, verdict in said.items() if verdict in ACCUSING}
    bad = {a for a, r in truth.items() if r["campaign_id"] is not None}
    honest = {a for a in accused - bad if said[a] == "relay" and truth[a]["population"] in HONEST_RELAYS}
    called = {a for a in accused if said[a] == "distillation"}
    reported = set(run.harvest["exchange_id"].to_pylist())
    return Score(
        accounts=len(said),
        planted=Counter(truth[a]["level"] for a in bad),
        found=Counter(truth[a]["level"] for a in bad & accused),
        distillation=len(called), rightly=len(called & bad), wrong=len(accused - bad - honest), relays=len(honest),
        reported=len(reported), harvest=len(harvest), both=len(reported & harvest),
    )  # fmt: skip


def row(name: str, s: Score) -> str:
    """Return a world as a line of the table."""
    levels = " | ".join(f"{s.found[k]} of {s.planted[k]}" if s.planted[k] else "" for k in LEVELS)
    return (
        f"| {name} | {s.accounts:,} | {levels} | {_share(s.rightly, s.distillation)} | {s.wrong} | {s.relays} "
        f"| {_share(s.both, s.reported)} | {_share(s.both, s.harvest)} |"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f} ({part:,} of {whole:,})" if whole else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("worlds", nargs="*", type=Path)
    parser.add_argument("--seeds", default="101,102,103,104")
    parser.add_argument("--exchanges", type=int, default=200_000)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    seeds = [int(s) for s in chosen.seeds.split(",") if s]
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            world = Path(folder) / f"w{seed}"
            write_world(WorldSpec(exchanges=chosen.exchanges, seed=seed, levels=tuple(LEVELS)), world)
            lines.append(
                row(
                    f"`excise simulate --level 0-8 --exchanges {chosen.exchanges} --seed {seed}`",
                    score(world),
                )
            )
        lines += [row(f"`{world.name}`", score(world)) for world in chosen.worlds]
    command = "python bench/quality.py " + " ".join([f"--seeds {chosen.seeds}", f"--exchanges {chosen.exchanges}", *(w.name for w in chosen.worlds)])  # fmt: skip
    page = HEAD.format(
        command=command, version=excise.__version__,
        levels=" | ".join(map(str, LEVELS)), dashes="|".join(["---"] * len(LEVELS)),
    ) + "\n".join(lines) + "\n"  # fmt: skip
    print(page)
    if chosen.out:
        chosen.out.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
