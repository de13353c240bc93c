"""How well `excise inspect` tells vulnerable code from its fix, beside bandit: `python bench/inspection.py [SHARED] [--out PAGE]`.

SHARED (default ../shared) holds `code-pairs/`: real vulnerable and fixed releases, and the program that fetches and
scores them without running anything. `heldout_pairs.jsonl` beside this file is a list in the same form, of other packages
and later years. Bandit runs side by side, in an environment made for it; semgrep's rules cannot be fetched here, so its
recorded scores stand in the list of pairs. The newest releases of popular packages are inspected for how many high alarms
they get, how fast, in how much memory, and once more after one file was changed. `--into DIR` keeps what was fetched.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from excise.inspect.cache import engine

HERE = Path(__file__).resolve().parent
HELDOUT = HERE / "heldout_pairs.jsonl"
POPULAR = "django fastapi aiohttp jinja2 boto3 langchain-core litellm transformers notebook pip".split()
BANDIT = ("bandit==1.9.4", "sarif-om==1.0.4", "jschema-to-python==1.2.3")
HIGH = {"high", "critical"}
MILLION = 1_000_000
CHANGES = {
    "a comment": "\n# changed\n",
    "a function that runs what it is given": "\n\ndef changed(text):\n    return eval(text)\n",
}


class Page:
    """What is printed, and written at the end."""

    def __init__(self, shared: Path) -> None:
        cores, load = os.cpu_count(), os.getloadavg()[0]
        self.lines = [
            "# What an inspection finds",
            "",
            f"Printed by `make bench-inspect SHARED={shared}` (`python bench/inspection.py`) on {cores} cores of {platform.machine()},",
            f"load average {load:.1f} when it began. CPU-seconds are this machine's and that load's.",
        ]
        print("\n".join(self.lines))

    def add(self, *lines: str) -> None:
        self.lines += lines
        print("\n".join(lines), flush=True)

    def table(self, head: list[str], rows: list[list[str]]) -> None:
        self.add(
            "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(r)} |" for r in rows)
        )


def measured(command: list) -> tuple[bytes, float, int]:
    """What a command printed, its CPU-seconds and its peak of memory in KiB, its own children included."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} ended with {process.returncode}")
        out.seek(0)
        return out.read(), used.ru_utime + used.ru_stime, used.ru_maxrss


# Pairs


def fetch(shared: Path, into: Path) -> None:
    """Both lists of pairs, and the newest release of each popular package, as text files."""
    program = shared / "code-pairs" / "pairs.py"
    for name, words in (("pairs", []), ("heldout", ["--pairs", HELDOUT])):
        subprocess.run(
            [sys.executable, program, "get", *words, "--into", into / name],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    sys.path.insert(0, str(program.parent))
    import pairs

    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-q", "-d"]
    for package in POPULAR:
        if (into / "popular" / package).is_dir():
            continue
        with tempfile.TemporaryDirectory() as tmp:
            if subprocess.run([*pip, tmp, package], capture_output=True, check=False).returncode == 0:
                pairs.unpack(next(Path(tmp).iterdir()), into / "popular" / package)


def bandit(into: Path) -> Path | None:
    """Bandit's command, in an environment made for it; None where it cannot be installed."""
    folder = into / "bandit"
    if not (folder / "bin" / "bandit").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin" / "pip", "--disable-pip-version-check", "install", "--quiet", *BANDIT]
        if subprocess.run(pip, check=False).returncode:
            return None
    return folder / "bin" / "bandit"


def score(shared: Path, into: Path, words: list, command: str, version: str) -> list[dict]:
    """One row a pair of what a scanner's command says, by the program of the pairs; kept for the same list and version."""
    pairs = HELDOUT if words else shared / "code-pairs" / "pairs.jsonl"
    mark = hashlib.sha256(pairs.read_bytes() + version.encode()).hexdigest()[:16]
    kept = into.with_name(f"{into.name}-{mark}.json")
    if not kept.exists():
        kept.write_text(json.dumps(scored(shared, into, words, command)))
    return json.loads(kept.read_text())


def scored(shared: Path, into: Path, words: list, command: str) -> list[dict]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        program = shared / "code-pairs" / "pairs.py"
        subprocess.run(
            [sys.executable, program, "score", *words, "--into", into, "--command", command, "--json", out.name],
            check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return [row for row in json.loads(Path(out.name).read_text()) if "skipped" not in row]


def recorded(shared: Path, ran: set[str], tool: str) -> list[dict]:
    """The scores of a scanner that were measured when the pairs were made, for the pairs that could be fetched."""
    lines = (shared / "code-pairs" / "pairs.jsonl").read_text().splitlines()
    pairs = [json.loads(line) for line in lines if line.strip()]
    return [{"id": p["id"], "cls": p["cls"], **p["baseline"][tool]} for p in pairs if p["id"] in ran]


def columns(shared: Path, into: Path, words: list, excise: str) -> dict[str, list[dict]]:
    """The scores of each scanner, both at work at the same time."""
    commands = {"excise inspect": (f"{excise} inspect {{path}} --format sarif", engine())}
    other = bandit(into.parent)
    if other is not None:
        commands[BANDIT[0]] = (f"{other} -q -r {{path}} -f sarif", BANDIT[0])
    with ThreadPoolExecutor(len(commands)) as pool:
        jobs = {name: pool.submit(score, shared, into, words, *c) for name, c in commands.items()}
        return {name: job.result() for name, job in jobs.items()}


def share(rows: list[dict], key: str) -> float:
    return sum(bool(r[key]) for r in rows) / max(len(rows), 1)


def compared(page: Page, scores: dict[str, list[dict]]) -> None:
    """Relevant and pair-correct by class, a column a scanner."""
    classes = sorted({row["cls"] for rows in scores.values() for row in rows})
    lines = []
    for cls in [*classes, "all"]:
        cells = [cls]
        for rows in scores.values():
            mine = [r for r in rows if cls in (r["cls"], "all")]
            relevant, correct = (sum(bool(r[k]) for r in mine) for k in ("relevant", "pair_correct"))
            parts = (
                f" ({relevant / len(mine):.0%}, {correct / len(mine):.0%})" if cls == "all" and mine else ""
            )
            cells.append(f"{relevant}, {correct} of {len(mine)}{parts}")
        lines.append(cells)
    page.table(["class", *scores], lines)


def development(page: Page, shared: Path, into: Path, excise: str) -> list[dict]:
    page.add("", "## The development pairs", "")
    page.add(
        "The diffs of these pairs were read while the rules were made. So this says how well the rules fit them, not how they do on",
        "code that nobody looked at. In each cell: pairs with a relevant alarm in the vulnerable function, pairs with fewer after the fix.",
    )
    scores = columns(shared, into / "pairs", [], excise)
    ran = {row["id"] for row in scores["excise inspect"]}
    scores |= {f"{tool}, recorded": recorded(shared, ran, tool) for tool in ("bandit", "semgrep")}
    compared(page, scores)
    return scores["excise inspect"]


def heldout(page: Page, shared: Path, into: Path, excise: str) -> list[dict]:
    page.add("", "## Held-out pairs", "")
    page.add(
        "`bench/heldout_pairs.jsonl`: two lists of advisories, 24 of 2025 and 2026 and then 14 of 2022 to 2025, in packages of which the",
        "development pairs have none. Each list was made of advisories and of the names of the functions that changed, and scored once",
        "before any of its code was read: that is the column of the first score, recorded in the list. Then its misses were read, and",
        "these classes mended, by general rules. After the first: words that go through one more function to an argument list;",
        "repositories made at a path; YAML's full loader; imports of what data names; switches whose test says nothing after its branch;",
        "text of queries told where it is put together; what obeys its data told where the data could not be followed, as notes. After",
        "the second: a key called `name` is no last part of a path; handlers by the bases of their bases; objects that a framework keeps;",
        "checks of a value inside the branch that made it; what follows a function that is handed over. So only the first score says how",
        "the rules do on code that nobody looked at. The second list had found 43 % and 29 %, the first 38 % and 33 %.",
    )
    scores = columns(shared, into / "heldout", ["--pairs", str(HELDOUT)], excise)
    pairs = [json.loads(line) for line in HELDOUT.read_text().splitlines()]
    scores["excise inspect, first score"] = [{"id": p["id"], "cls": p["cls"], **p["first"]} for p in pairs]
    compared(page, scores)
    mine = {r["id"]: r for r in scores["excise inspect"]}
    page.add(
        "",
        f"Without a relevant alarm now: {', '.join(i for i, r in sorted(mine.items()) if not r['relevant'])}.",
    )
    return scores["excise inspect, first score"]


# Popular packages


def popular(page: Page, into: Path, excise: str) -> list[dict]:
    """Alarms, lines, CPU-seconds and memory of each package, in one process each."""
    rows = []
    for package in POPULAR:
        path = into / "popular" / package
        if not path.is_dir():
            page.add("", f"{package} could not be fetched.")
            continue
        out, seconds, kib = measured([excise, "inspect", path, "--format", "json"])
        said = json.loads(out)
        found = Counter(f["severity"] for f in said["findings"])
        rows.append(
            {"package": package, "lines": said["coverage"]["lines"], "found": found, "s": seconds, "kib": kib}
        )
    page.add("", "## Popular packages, newest releases")
    page.table(
        ["package", "lines", "high", "medium", "low", "CPU s", "lines a CPU-second", "peak MiB"],
        [
            [
                r["package"], f"{r['lines']:,}", str(sum(r["found"][w] for w in HIGH)), str(r["found"]["medium"]), str(r["found"]["low"]),
                f"{r['s']:.1f}", f"{r['lines'] / r['s']:,.0f}", f"{r['kib'] / 1024:.0f}",
            ]
            for r in rows
        ],
    )  # fmt: skip
    return rows


def exponent(rows: list[dict]) -> float:
    """The slope of CPU-seconds over lines, both as logarithms, over the packages where starting is not most of it."""
    points = [(math.log(r["lines"]), math.log(r["s"])) for r in rows if r["lines"] > 20_000]
    x, y = (sum(p[i] for p in points) / len(points) for i in (0, 1))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def again(page: Page, into: Path, excise: str, package: str) -> dict[str, float]:
    """A second run after one file changed, against the first, with a cache: CPU-seconds as shares."""
    shares = {}
    with tempfile.TemporaryDirectory() as tmp:
        tree, cache = Path(tmp) / "tree", Path(tmp) / "cache"
        shutil.copytree(into / "popular" / package, tree)
        command = [excise, "inspect", tree, "--cache", cache, "--format", "json"]
        _, first, _ = measured(command)
        changed = next(p for p in sorted(tree.rglob("*.py")) if p.stat().st_size > 2_000)
        for name, words in CHANGES.items():
            changed.write_text(changed.read_text() + words)
            _, second, _ = measured(command)
            shares[name] = second / first
            page.add(
                "",
                f"{package} again, after {name} was added to a file: {second:.2f} of {first:.2f} CPU-seconds.",
            )
    return shares


# The bars


def bars(page: Page, dev: list[dict], held: list[dict], rows: list[dict], shares: dict[str, float]) -> None:
    lines = sum(r["lines"] for r in rows)
    high = sum(r["found"][w] for r in rows for w in HIGH)
    large = [r for r in rows if r["lines"] >= MILLION]
    peak = max((r["kib"] / 1024 for r in large), default=math.nan)
    speed = min((r["lines"] / r["s"] for r in large), default=math.nan)
    told = [
        ("relevant alarms, development pairs", ">= 65 %", f"{share(dev, 'relevant'):.0%}", share(dev, "relevant") >= 0.65),
        ("pair-correct, development pairs", ">= 60 %", f"{share(dev, 'pair_correct'):.0%}", share(dev, "pair_correct") >= 0.6),
        ("relevant alarms, held-out pairs, first score", "none set", f"{share(held, 'relevant'):.0%}", None),
        ("pair-correct, held-out pairs, first score", "none set", f"{share(held, 'pair_correct'):.0%}", None),
        ("high alarms per 1,000 lines", "<= 0.3", f"{1000 * high / lines:.3f} ({high} in {lines:,})", 1000 * high / lines <= 0.3),
        ("lines a CPU-second, the slower tree of over a million", ">= 20,000", f"{speed:,.0f}", speed >= 20_000),
        ("peak MiB, over a million lines", "< 300", f"{peak:.0f}", peak < 300),
        ("growth exponent of CPU-seconds", "1", f"{exponent(rows):.2f}", exponent(rows) <= 1.1),
        *((f"second run, {name}", "< 10 %", f"{s:.1%}", s < 0.1) for name, s in shares.items()),
    ]  # fmt: skip
    page.add("", "## The bars")
    words = {True: "met", False: "missed", None: ""}
    page.table(["", "bar", "measured", ""], [[a, b, c, words[d]] for a, b, c, d in told])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, nargs="?", default=HERE.parents[1] / "shared")
    parser.add_argument("--into", type=Path, default=Path("demo/inspect"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if not (args.shared / "code-pairs").is_dir():
        print(f"skipped: there is no code-pairs folder in {args.shared.name}")
        return
    excise = str(Path(sys.executable).with_name("excise"))
    into = args.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    fetch(args.shared, into)
    page = Page(Path("../shared"))
    dev = development(page, args.shared, into, excise)
    held = heldout(page, args.shared, into, excise)
    rows = popular(page, into, excise)
    large = next((r["package"] for r in rows if r["lines"] >= MILLION), rows[0]["package"])
    bars(page, dev, held, rows, again(page, into, excise, large))
    if args.out is not None:
        args.out.write_text("\n".join(page.lines) + "\n")


if __name__ == "__main__":
    main()
