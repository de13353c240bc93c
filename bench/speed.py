"""What a scan costs: `python bench/speed.py WORLD [--out docs/benchmarks/speed.md]`.

WORLD is a folder with `exchanges/part-*.parquet` (at best of equal parts) and the side tables. Each size is scanned in a
process of its own; beside it, in the same run, the floor: decoding the columns that a scan reads. Figures are of the
machine that it ran on; quote the ratios.
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
from pathlib import Path

import pyarrow.parquet as pq

DECODE = """
import sys, pyarrow.parquet as pq
from excise.sketch.exchanges import COLUMNS
for path in sys.argv[1:]:
    file = pq.ParquetFile(path)
    for batch in file.iter_batches(32768, columns=[c for c in COLUMNS if c in file.schema_arrow.names]):
        batch.nbytes
"""


def measured(command: list[str]) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak MiB of a command."""
    with tempfile.NamedTemporaryFile("r") as report:
        child = subprocess.run(
            [sys.executable, "-c", MEASURE, report.name, *command], check=True, capture_output=True, text=True
        )
        del child
        return tuple(json.load(report))  # type: ignore[return-value]


MEASURE = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[2:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], open(sys.argv[1], "w"))
"""


def scanned(world: Path, files: list[Path], out: Path) -> list[str]:
    part = out / "source"
    part.mkdir()
    (part / "exchanges").mkdir()
    for path in files:
        (part / "exchanges" / path.name).symlink_to(path.resolve())
    for name in ("accounts.parquet", "events.parquet", "asn_table.csv"):
        if (world / name).exists():
            (part / name).symlink_to((world / name).resolve())
    return [
        sys.executable,
        "-c",
        "from excise.cli.app import main; main()",
        "scan",
        str(part),
        "--out",
        str(out / "run"),
    ]


def table(world: Path) -> list[str]:
    files = sorted((world / "exchanges").glob("*.parquet"))
    measured([sys.executable, "-c", DECODE, str(files[0])])  # warm the cache of pages and of kernels
    lines = [
        "| exchanges | wall s | CPU s | CPU µs an exchange | peak MiB | decoding alone, CPU s | scan / decoding | growth exponent |",
        "|---|---|---|---|---|---|---|---|",
    ]
    before: tuple[int, float] | None = None
    for count in sorted({1, max(1, len(files) // 2), len(files)}):
        chosen = files[:count]
        rows = sum(pq.ParquetFile(f).metadata.num_rows for f in chosen)
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu, peak = measured(scanned(world, chosen, Path(folder)))
        _, floor, _ = measured([sys.executable, "-c", DECODE, *map(str, chosen)])
        growth = "" if before is None else f"{math.log(cpu / before[1]) / math.log(rows / before[0]):.2f}"
        before = (rows, cpu)
        lines.append(
            f"| {rows:,} | {wall:.1f} | {cpu:.1f} | {cpu / rows * 1e6:.1f} | {peak:,.0f} | {floor:.1f} | {cpu / floor:.1f} | {growth} |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    lines = table(chosen.world)
    text = "\n".join(
        [
            "# What a scan costs",
            "",
            "Printed by `python bench/speed.py WORLD`, a world of about 2 kB of text an exchange, on",
            f"{os.cpu_count()} cores of {platform.machine()}. One run; absolute figures are this machine's.",
            "",
            *lines,
            "",
        ]
    )
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(text)


if __name__ == "__main__":
    main()
