"""What a scan costs, beside its floor and its peers: `python bench/speed.py WORLD [--peers FOLDER] [--out docs/benchmarks/speed.md]`.

WORLD is a folder with `exchanges/*.parquet` (at best of equal parts) and the side tables. Each size is scanned in a process
of its own; the floor is measured in the same run. With --peers an environment of their own is made in FOLDER, and each peer
runs on the sizes that it can take, cut from the same files. Figures are of the machine that it ran on, and of what else ran
there: quote the ratios.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HERE = Path(__file__).parent
SIDE = ("accounts.parquet", "events.parquet", "asn_table.csv")
PEERS = (
    # name in bench/peers.py, what to install, whether it finds groups, exchanges of each run
    ("kollude", "kollude==0.4.0", True, (20_000, 100_000)),
    ("coordination-network-toolkit", "coordination-network-toolkit==1.5.2", True, (20_000, 100_000)),
    ("UGFraud", "UGFraud==0.1.1.3", True, (2_000, 5_000)),
    ("rensa", "rensa==0.5.0", False, (20_000,)),
    ("datasketch", "datasketch==2.0.0", False, (5_000,)),
)
MEASURE = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([done.returncode, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, done.stdout[-4000:], done.stderr[-4000:]], open(sys.argv[1], "w"))
"""
EXCISE = (sys.executable, "-c", "from excise.cli.app import main; main()")


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds (of all threads and children) and peak bytes of a command, and what it printed."""

    wall: float
    cpu: float
    peak: int
    said: str


class Failed(Exception):
    """The command ended with an error; the text is its last line."""


def measured(command: list[str]) -> Cost:
    with tempfile.NamedTemporaryFile("r") as report:
        subprocess.run([sys.executable, "-c", MEASURE, report.name, *command], check=True)
        status, wall, cpu, peak, said, errors = json.load(report)
    if status:
        raise Failed((errors.strip().splitlines() or [f"exit status {status}"])[-1][:160])
    return Cost(wall, cpu, peak, said)


def scan(world: Path, files: list[Path]) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "source"
        (part / "exchanges").mkdir(parents=True)
        for path in files:
            (part / "exchanges" / path.name).symlink_to(path.resolve())
        for name in SIDE:
            if (world / name).exists():
                (part / name).symlink_to((world / name).resolve())
        return measured([*EXCISE, "scan", str(part), "--out", str(Path(folder) / "run")])


def sizes(world: Path) -> tuple[list[str], float]:
    """The table of sizes, and exchanges a CPU second of the largest."""
    files = sorted((world / "exchanges").glob("*.parquet"))
    scan(world, files[:1])  # compiles the kernels, warms the cache of pages
    lines = [
        "| exchanges | wall s | CPU s | CPU µs an exchange | peak MiB | peak bytes an exchange | floor, CPU s (decode + kernel + sort) | floor / scan | growth exponent |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    before: tuple[int, float] | None = None
    rate = 0.0
    for count in sorted({1, max(1, len(files) // 2), len(files)}):
        rows = sum(pq.ParquetFile(f).metadata.num_rows for f in files[:count])
        cost = scan(world, files[:count])
        parts = json.loads(measured([sys.executable, str(HERE / "floor.py"), *map(str, files[:count])]).said)
        floor = sum(parts.values())
        growth = (
            "" if before is None else f"{math.log(cost.cpu / before[1]) / math.log(rows / before[0]):.2f}"
        )
        before, rate = (rows, cost.cpu), rows / cost.cpu
        split = " + ".join(f"{value:.1f}" for value in parts.values())
        lines.append(
            f"| {rows:,} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.cpu / rows * 1e6:.1f} | {cost.peak / 2**20:,.0f} | {cost.peak / rows:,.0f} | {floor:.1f} ({split}) | {floor / cost.cpu:.0%} | {growth} |"
        )
        print(lines[-1], flush=True)
    return lines, rate


def sample(world: Path, rows: int, out: Path) -> None:
    """The first exchanges of the world, as peers read them."""
    taken, have = [], 0
    for path in sorted((world / "exchanges").glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(
            32_768, columns=["exchange_id", "account_id", "started_at", "user_text"]
        ):
            taken.append(batch)
            have += len(batch)
            if have >= rows:
                break
        if have >= rows:
            break
    table = pa.Table.from_batches(taken).slice(0, rows)
    text = pc.fill_null(table["user_text"].cast(pa.string()), "")
    columns = {
        "id": table["exchange_id"],
        "account": table["account_id"],
        "at": table["started_at"].cast(pa.int64()),
        "text": text,
    }
    pq.write_table(pa.table(columns), out)


def peers(world: Path, folder: Path, excise: float) -> list[str]:
    """The table of peers; `excise` is exchanges a CPU second of the whole scan."""
    python = str(folder / "bin" / "python")
    if not (folder / "bin").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "pyarrow", "scipy"], check=True)
    lines = [
        "| peer | events | CPU s | events a CPU second | peak bytes an event | scan / peer |",
        "|---|---|---|---|---|---|",
    ]
    for name, wanted, groups, counts in PEERS:
        got = subprocess.run(
            [python, "-m", "pip", "install", "-q", wanted], capture_output=True, text=True, check=False
        )
        if got.returncode:
            lines.append(f"| {wanted} | cannot be installed here | | | | |")
            print(lines[-1], flush=True)
            continue
        for count in counts:
            with tempfile.TemporaryDirectory() as place:
                rows = Path(place) / "rows.parquet"
                sample(world, count, rows)
                try:
                    cost = measured([python, str(HERE / "peers.py"), name, str(rows)])
                    events = int(cost.said.split()[-1])
                    what = "edges" if name == "UGFraud" else "events"
                    ratio = f"{excise / (events / cost.cpu):.1f}" if groups and what == "events" else ""
                    lines.append(
                        f"| {wanted} | {events:,} {what} of {count:,} exchanges | {cost.cpu:.1f} | {events / cost.cpu:,.0f} | {cost.peak / events:,.0f} | {ratio} |"
                    )
                except Failed as error:
                    lines.append(
                        f"| {wanted} | {count:,}: ended with an error: {str(error).replace('|', '/')} | | | | |"
                    )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=Path)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    lines, rate = sizes(chosen.world)
    text = [
        "# What a scan costs",
        "",
        f"Printed by `python bench/speed.py WORLD --peers FOLDER` on {os.cpu_count()} cores of {platform.machine()},",
        f"load average {os.getloadavg()[1]:.1f} during the run. Wall and absolute CPU seconds are this machine's and that load's:",
        "quote the ratios. One run a size. The floor is decoding, the text kernel and the sort alone, in the same run.",
        "",
        *lines,
        "",
    ]
    if chosen.peers:
        text += [
            "## Peers",
            "",
            "On exchanges cut from the same files; the whole run of each, start and reading included.",
            "",
        ]
        text += [*peers(chosen.world, chosen.peers, rate), ""]
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text("\n".join(text))


if __name__ == "__main__":
    main()
