"""What a scan costs, beside its floor and its peers: `python bench/speed.py WORLD [--peers FOLDER] [--runs 3]`.

WORLD is a folder with `exchanges/*.parquet` (at best of equal parts) and the side tables. In one run, on the same files:
scans of three sizes, each in a process of its own and several times; the floor; the very first scan of an installation; and
with --peers each peer on the sizes that it can take, in an environment made for them in FOLDER. `--large` measures one scan of
the whole WORLD instead, under `--memory`, and with `--check` compares its result with one thread's in memory. Each writes its sections of docs/benchmarks/speed.md. Figures are of the machine that
it ran on, and of what else ran there: quote the ratios.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from costs import Cost, Failed, measured, repeatedly, scan, spread
from page import PAGES, command, table, write_section

HERE = Path(__file__).parent
PAGE = PAGES / "speed.md"
FIRST_ROWS = 10_000
FIRST_SECONDS, NEXT_SECONDS = 15, 3
LEAST_FLOOR, LEAST_RATIO, MOST_GROWTH = 0.4, 10, 1.1
"""What is wanted of a scan: seconds of the first one of an installation and of the next ones; the floor's share; events a CPU second beside the best peer that finds groups; the exponent."""
PEERS = (
    # name in bench/peers.py, what to install, whether it finds groups, exchanges of each run
    ("kollude", "kollude==0.4.0", True, (20_000, 100_000)),
    ("coordination-network-toolkit", "coordination-network-toolkit==1.5.2", True, (20_000, 100_000)),
    ("UGFraud", "UGFraud==0.1.1.3", True, (2_000, 5_000)),
    ("rensa", "rensa==0.5.0", False, (20_000,)),
    ("datasketch", "datasketch==2.0.0", False, (5_000,)),
)


@dataclass(frozen=True)
class Size:
    """Scans of one size, cheapest first, and CPU seconds of their floor by part."""

    rows: int
    costs: list[Cost]
    floor: dict[str, float]

    @property
    def cpu(self) -> float:
        """Median CPU seconds."""
        return statistics.median(cost.cpu for cost in self.costs)


def rows_of(files: list[Path]) -> int:
    return sum(pq.ParquetFile(f).metadata.num_rows for f in files)


def sizes(world: Path, runs: int) -> list[Size]:
    """One file, half of them, all."""
    files = sorted((world / "exchanges").glob("*.parquet"))
    scan(world, files[:1])  # compiles the kernels, warms the cache of pages
    found = []
    for count in sorted({1, max(1, len(files) // 2), len(files)}):
        part = files[:count]
        costs = repeatedly(lambda part=part: scan(world, part), runs)
        said = measured([sys.executable, str(HERE / "floor.py"), *map(str, part)]).said
        found.append(Size(rows_of(part), costs, json.loads(said)))
        print(f"{found[-1].rows:,} exchanges: {found[-1].cpu:.1f} CPU s", flush=True)
    return found


def growth(sizes: list[Size]) -> float:
    """The exponent of CPU seconds from the smallest to the largest size, not a number where there is one size."""
    if sizes[0].rows == sizes[-1].rows:
        return math.nan
    return math.log(sizes[-1].cpu / sizes[0].cpu) / math.log(sizes[-1].rows / sizes[0].rows)


def of_sizes(sizes: list[Size]) -> str:
    head = ("exchanges", "wall s", "CPU s", "CPU µs an exchange", "peak MiB", "floor, CPU s (decode + kernel + sort)", "floor / scan")  # fmt: skip
    lines = []
    for s in sizes:
        floor, parts = sum(s.floor.values()), " + ".join(f"{v:.1f}" for v in s.floor.values())
        lines.append((
            f"{s.rows:,}", spread([c.wall for c in s.costs]), spread([c.cpu for c in s.costs]), f"{s.cpu / s.rows * 1e6:.1f}",
            f"{max(c.peak for c in s.costs) / 2**20:,.0f}", f"{floor:.1f} ({parts})", f"{floor / s.cpu:.0%}",
        ))  # fmt: skip
    return table(head, lines)


def of_stages(size: Size) -> str:
    """Where the time of the largest size goes, of its cheapest run."""
    stages = size.costs[0].stages
    total = sum(s["cpu_seconds"] for s in stages)
    lines = [
        (s["name"], f"{s['seconds']:.1f}", f"{s['cpu_seconds']:.1f}", f"{s['cpu_seconds'] / total:.0%}", f"{s['peak_bytes'] / 2**20:,.0f}")
        for s in stages
    ]  # fmt: skip
    return table(("stage", "wall s", "CPU s", "share", "peak MiB by then"), lines)


def first_runs(world: Path) -> tuple[Cost, list[Cost]]:
    """The very first scan of an installation (no compiled kernel is there), and three more."""
    source = min((world / "exchanges").glob("*.parquet"))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as compiled:
        small = Path(folder) / "part.parquet"
        pq.write_table(pq.ParquetFile(source).read_row_group(0).slice(0, FIRST_ROWS), small)
        first = scan(world, [small], NUMBA_CACHE_DIR=compiled)
        return first, [scan(world, [small], NUMBA_CACHE_DIR=compiled) for _ in range(3)]


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
    part = pa.Table.from_batches(taken).slice(0, rows)
    columns = {
        "id": part["exchange_id"],
        "account": part["account_id"],
        "at": part["started_at"].cast(pa.int64()),
        "text": pc.fill_null(part["user_text"].cast(pa.string()), ""),
    }
    pq.write_table(pa.table(columns), out)


def peers(world: Path, folder: Path, size: Size, runs: int) -> tuple[str, float]:
    """The table of peers, and events a CPU second of the best that finds groups."""
    python = str(folder / "bin" / "python")
    if not (folder / "bin").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "pyarrow", "scipy"], check=True)
    lines: list[tuple[str, ...]] = []
    best, ours = 0.0, [size.rows / cost.cpu for cost in size.costs]
    for name, wanted, groups, counts in PEERS:
        got = subprocess.run(
            [python, "-m", "pip", "install", "-q", wanted], capture_output=True, text=True, check=False
        )
        if got.returncode:
            lines.append((wanted, "cannot be installed here", "", "", "", ""))
            continue
        for count in counts:
            try:
                events, costs = run_peer(world, python, name, count, runs)
            except Failed as error:
                lines.append((wanted, f"{count:,}: ended with an error: {str(error).replace('|', '/')}", "", "", "", ""))  # fmt: skip
                continue
            rates = [events / cost.cpu for cost in costs]
            edges = name == "UGFraud"
            best = max(best, statistics.median(rates)) if groups and not edges else best
            ratio = spread([min(ours) / max(rates), statistics.median(ours) / statistics.median(rates), max(ours) / min(rates)])  # fmt: skip
            lines.append((
                wanted, f"{events:,} {'edges' if edges else 'events'} of {count:,} exchanges", spread([c.cpu for c in costs]),
                spread(rates, ",.0f"), f"{costs[0].peak / events:,.0f}", ratio if groups and not edges else "",
            ))  # fmt: skip
            print(*lines[-1], sep=" | ", flush=True)
    head = ("peer", "events", "CPU s", "events a CPU second", "peak bytes an event", "scan / peer")
    return table(head, lines), best


def run_peer(world: Path, python: str, name: str, count: int, runs: int) -> tuple[int, list[Cost]]:
    with tempfile.TemporaryDirectory() as place:
        rows = Path(place) / "rows.parquet"
        sample(world, count, rows)
        costs = repeatedly(lambda: measured([python, str(HERE / "peers.py"), name, str(rows)]), runs)
    return int(costs[0].said.split()[-1]), costs


def bars(sizes: list[Size], first: Cost, later: list[Cost], best: float) -> str:
    """What is wanted, what was measured, and whether that is enough."""
    last = sizes[-1]
    floor = sum(last.floor.values())
    next_wall = statistics.median(cost.wall for cost in later)
    lines = [
        judged("share of the floor in a scan", floor / last.cpu, LEAST_FLOOR, ".0%", least=True),
        judged("exponent of CPU seconds, smallest to largest", growth(sizes), MOST_GROWTH, ".2f"),
        judged(
            f"first scan of an installation, {FIRST_ROWS:,} exchanges, wall s",
            first.wall,
            FIRST_SECONDS,
            ".1f",
        ),
        judged(f"the next ones, {FIRST_ROWS:,} exchanges, wall s", next_wall, NEXT_SECONDS, ".1f"),
    ]
    if not best:
        return table(("wanted", "measured", "bar", ""), lines)
    ratio, limit = last.rows / last.cpu / best, last.rows / floor / best
    lines.append(
        judged("events a CPU second beside the best peer that finds groups", ratio, LEAST_RATIO, ".1f", least=True)
    )  # fmt: skip
    above = (
        f"The floor alone, reading the columns, hashing the texts and one sort, is {limit:.1f} times that peer: "
        + (
            f"no scan that reads every text with this kernel reaches {LEAST_RATIO}."
            if limit < LEAST_RATIO
            else f"a bar of {LEAST_RATIO} is within what the kernel allows."
        )
    )
    return table(("wanted", "measured", "bar", ""), lines) + "\n\n" + above


def judged(what: str, value: float, bar: float, form: str, *, least: bool = False) -> tuple[str, ...]:
    met = value >= bar if least else value <= bar
    return (
        what,
        f"{value:{form}}",
        f"{'at least' if least else 'at most'} {bar:{form}}",
        "met" if met else "missed",
    )


def conditions() -> str:
    return (
        f"Printed by `{command()}` on {os.cpu_count()} cores of {platform.machine()}, load average {os.getloadavg()[1]:.1f}. "
        "Wall and absolute CPU seconds are this machine's and that load's: quote the ratios."
    )


def large(world: Path, memory: str | None, *, check: bool) -> str:
    """One scan of everything, and of the first two files for the exponent."""
    files = sorted((world / "exchanges").glob("*.parquet"))
    scan(world, files[:1])
    costs = []
    for part, options in ((files[:2], ()), (files, ("--memory", memory) if memory else ())):
        costs.append(Size(rows_of(part), [scan(world, part, *options)], {}))
    lines = [
        (f"{s.rows:,}", f"{s.costs[0].wall:.0f}", f"{s.cpu:.0f}", f"{s.cpu / s.rows * 1e6:.1f}", f"{s.costs[0].peak / 2**20:,.0f}")
        for s in costs
    ]  # fmt: skip
    said = table(("exchanges", "wall s", "CPU s", "CPU µs an exchange", "peak MiB"), lines)
    alone = ""
    if check:
        again = scan(world, files, "--threads", "1", "--memory", "1TiB")
        same = "the same bytes" if again.result == costs[-1].costs[0].result else "other bytes"
        alone = f"One thread, all in memory: {again.wall:.0f} s, {again.peak / 2**20:,.0f} MiB, and {same} of campaigns, accounts and harvest.\n\n"
    return f"{conditions()} One run each.\n\n{said}\n\nExponent of CPU seconds: {growth(costs):.2f}.\n\n{alone}{of_stages(costs[-1])}"


def begin_again(page: Path) -> str:
    """Take everything off the page; return what `--large` wrote."""
    before = page.read_text("utf-8") if page.exists() else ""
    page.write_text("# What a scan costs\n", "utf-8")
    return "".join(re.findall(r"^## Large.*?(?=^## |\Z)", before, re.MULTILINE | re.DOTALL))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=Path)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--memory")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--page", type=Path, default=PAGE)
    chosen = parser.parse_args()
    if chosen.large:
        rows = rows_of(list((chosen.world / "exchanges").glob("*.parquet")))
        limit = f", --memory {chosen.memory}" if chosen.memory else ""
        text = large(chosen.world, chosen.memory, check=chosen.check)
        write_section(chosen.page, f"Large: {rows:,} exchanges{limit}", text)
        return
    found = sizes(chosen.world, chosen.runs)
    first, later = first_runs(chosen.world)
    told, best = (
        peers(chosen.world, chosen.peers, found[-1], chosen.runs) if chosen.peers else ("Not run.", 0.0)
    )
    kept = begin_again(chosen.page)
    for title, text in (
        ("What was wanted", f"{conditions()}\n\n{bars(found, first, later, best)}"),
        ("Sizes", f"Median of {chosen.runs} runs, and between what they lie. The floor is decoding, the text kernel and the sort alone, in the same run.\n\n{of_sizes(found)}"),
        ("Where the time goes", of_stages(found[-1])),
        ("The first scan of an installation", f"{FIRST_ROWS:,} exchanges, an empty folder of compiled kernels: {first.wall:.1f} s ({first.cpu:.1f} CPU s). Then {spread([c.wall for c in later])} s."),
        ("Peers", f"On exchanges cut from the same files; the whole run of each, start and reading included.\n\n{told}"),
    ):  # fmt: skip
        write_section(chosen.page, title, text)
    if kept:
        with chosen.page.open("a", encoding="utf-8") as page:
            page.write("\n" + kept.strip() + "\n")


if __name__ == "__main__":
    main()
