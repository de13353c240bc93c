"""What a scan on a Spark cluster moves and costs: a master and two workers of one core each on this machine, beside the embedded scan.

python bench/spark.py WORLD
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "spark"))

import standalone

from excise import pipeline
from excise.report import folder

RESULTS = ("campaigns.json", "accounts.parquet", "harvest.parquet")
LOGGED = "spark.eventLog.enabled true\nspark.eventLog.compress false\nspark.eventLog.dir file://{}\n"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Step:
    """What the tasks of a step did: seconds of Java's CPU, bytes and rows shuffled, bytes sent to the driver, and of these what tasks with a result sent.

    Each task sends a report of some kilobytes; those that only shuffle send nothing else.
    """

    tasks: int = 0
    java: float = 0.0
    shuffled: int = 0
    rows: int = 0
    sent: int = 0
    result: int = 0


@dataclass
class Watch:
    """CPU seconds and peaks of memory (MiB) of the processes of some sessions."""

    sessions: set[int]
    peaks: dict[str, int] = field(default_factory=dict)
    disk: int = 0

    def look(self, place: Path) -> None:
        for _, command, status in self._processes():
            kind = "Python" if "python" in command.split(" ")[0] else "Java"
            resident = int(status.partition("VmRSS:")[2].split()[0]) >> 10 if "VmRSS:" in status else 0
            self.peaks[kind] = max(self.peaks.get(kind, 0), resident)
        files = [p for p in place.glob("worker-*/local/**/*") if p.is_file()]
        self.disk = max(self.disk, sum(size(p) for p in files))

    def cpu(self) -> float:
        """Of all, their ended children included."""
        return sum(sum(map(int, stat[11:15])) for stat, _, _ in self._processes()) / TICKS

    def _processes(self):
        for path in Path("/proc").glob("[0-9]*"):
            try:
                stat = (path / "stat").read_text().rsplit(")", 1)[1].split()
                if int(stat[3]) in self.sessions:
                    yield (
                        stat,
                        (path / "cmdline").read_text().replace("\0", " "),
                        (path / "status").read_text(),
                    )
            except OSError:
                continue


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def steps_of(log: Path) -> dict[str, Step]:
    """Read Spark's event log: what each step of the scan (a job's description) did."""
    names: dict[int, str] = {}
    steps: dict[str, Step] = defaultdict(Step)
    for path in sorted(log.rglob("events_*")):
        for event in map(json.loads, path.read_text("utf-8").splitlines()):
            if event["Event"] == "SparkListenerJobStart":
                said = event["Properties"].get("spark.job.description", "?").removeprefix("excise: ")
                for stage in event["Stage IDs"]:
                    names.setdefault(stage, said)
            elif event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
                found, step = event["Task Metrics"], steps[names[event["Stage ID"]]]
                step.tasks += 1
                step.java += found["Executor CPU Time"] / 1e9
                step.shuffled += found["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                step.rows += found["Shuffle Write Metrics"]["Shuffle Records Written"]
                step.sent += found["Result Size"]
                step.result += found["Result Size"] * (event["Task Type"] == "ResultTask")
    return steps


def on_cluster(world: Path, place: Path, memory: str) -> tuple[float, float, Watch]:
    """Scan on a cluster; wall seconds, CPU seconds of the workers, and what was watched."""
    log = place / "events"
    log.mkdir()
    standalone.CONF = standalone.CONF.replace("memory 1g", f"memory {memory}") + LOGGED.format(log)
    with standalone.standalone(place / "cluster", memory=memory) as cluster:
        watch, done = Watch({w.process.pid for w in cluster.workers}), threading.Event()

        def keep() -> None:
            while not done.wait(2):
                watch.look(place / "cluster")

        thread = threading.Thread(target=keep)
        thread.start()
        began = time.monotonic()
        status, said = cluster.ended(cluster.scan(world, place / "spark"), limit=7200)
        wall = time.monotonic() - began
        done.set()
        thread.join()
        time.sleep(3)  # executors end, and their seconds become their worker's
        if status:
            sys.exit(said)
        return wall, watch.cpu(), watch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("--memory", default="2g", help="of each executor, and of the driver's Java")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="excise-bench-") as name:
        place = Path(name)
        wall, cpu, watch = on_cluster(options.world.resolve(), place, options.memory)
        began = time.process_time()
        folder.write(pipeline.scan(options.world.resolve()), place / "embedded", replace=False)
        alone = time.process_time() - began
        same = all(
            (place / "spark" / n).read_bytes() == (place / "embedded" / n).read_bytes() for n in RESULTS
        )
        run = json.loads((place / "spark" / "run.json").read_text())
        rows = run["counts"]["exchanges"]
        print(f"{rows:,} exchanges of {run['counts']['accounts']:,} accounts; the same bytes: {same}")
        print(
            f"load average {os.getloadavg()[0]:.1f}; wall {wall:.0f} s; CPU of the workers {cpu:.0f} s, {1e6 * cpu / rows:.0f} µs an exchange;"
        )
        driver = sum(stage["cpu_seconds"] for stage in run["timing"]["stages"])
        print(
            f"embedded {alone:.0f} CPU s, {1e6 * alone / rows:.0f} µs an exchange; the driver's Python {driver:.1f} CPU s, {1e6 * driver / rows:.2f} µs"
        )
        print(
            f"peaks, MiB: {watch.peaks}; driver's Python {run['timing']['peak_bytes'] >> 20}; executors' disk at most {watch.disk / rows:.0f} bytes an exchange\n"
        )
        print(
            "| step | tasks | CPU s in Java | shuffled: bytes an exchange | rows an exchange | to the driver: bytes an exchange | of it with results |"
        )
        print("|---|---|---|---|---|---|---|")
        for said, s in steps_of(place / "events").items():
            print(
                f"| {said} | {s.tasks} | {s.java:.0f} | {s.shuffled / rows:.0f} | {s.rows / rows:.2f} | {s.sent / rows:.1f} | {s.result / rows:.1f} |"
            )
        sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
