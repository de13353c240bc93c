"""What a command costs: wall and CPU seconds and peak memory, in a process of its own; and a scan of some files of a world."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIDE = ("accounts.parquet", "events.parquet", "asn_table.csv")
RESULT = ("campaigns.json", "accounts.parquet", "harvest.parquet")
EXCISE = (sys.executable, "-c", "from excise.cli.app import main; main()")
MEASURE = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([done.returncode, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, done.stdout[-4000:], done.stderr[-4000:]], open(sys.argv[1], "w"))
"""


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds (of all threads and children) and peak bytes of a command, and what it printed.

    `stages` are those of a scan: name, seconds, CPU seconds and peak bytes by then; `result` is a hash of what it found.
    """

    wall: float
    cpu: float
    peak: int
    said: str = ""
    stages: tuple[dict[str, Any], ...] = ()
    result: str = ""


class Failed(Exception):
    """The command ended with an error; the text is its last line."""


def measured(command: Sequence[str], **environment: str) -> Cost:
    with tempfile.NamedTemporaryFile("r") as report:
        subprocess.run(
            [sys.executable, "-c", MEASURE, report.name, *command],
            check=True,
            env={**os.environ, **environment},
        )
        status, wall, cpu, peak, said, errors = json.load(report)
    if status:
        raise Failed((errors.strip().splitlines() or [f"exit status {status}"])[-1][:160])
    return Cost(wall, cpu, peak, said)


def scan(world: Path, files: Sequence[Path], *options: str, **environment: str) -> Cost:
    """A whole scan by the command line of some files of exchanges, the world's side tables beside them."""
    with tempfile.TemporaryDirectory() as folder:
        part, out = Path(folder) / "source", Path(folder) / "run"
        (part / "exchanges").mkdir(parents=True)
        for path in files:
            (part / "exchanges" / path.name).symlink_to(path.resolve())
        for name in SIDE:
            if (world / name).exists():
                (part / name).symlink_to((world / name).resolve())
        cost = measured([*EXCISE, "scan", str(part), "--out", str(out), *options], **environment)
        stages = json.loads((out / "run.json").read_text("utf-8"))["timing"]["stages"]
        found = b"".join((out / name).read_bytes() for name in RESULT)
        return Cost(
            cost.wall, cost.cpu, cost.peak, cost.said, tuple(stages), hashlib.sha256(found).hexdigest()
        )


def repeatedly(run: Callable[[], Cost], times: int) -> list[Cost]:
    """Several runs of one thing, cheapest first."""
    return sorted((run() for _ in range(times)), key=lambda cost: cost.cpu)


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """The median, and between what all lie: `12.4 (12.1 to 13.0)`."""
    middle = f"{statistics.median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}} to {max(values):{form}})"
