"""How well `excise inspect` tells vulnerable code from its fix, beside bandit: `python bench/inspection.py [SHARED]`.

SHARED (default ../shared) holds `code-pairs/`: real vulnerable and fixed releases, and the program that fetches and
scores them without running anything. `--into DIR` keeps what was fetched. Bandit is run side by side where its command
is there; semgrep's rules cannot be fetched here, so its recorded scores stand in the list of pairs. The popular
packages are scanned for how many high alarms they get, and how quickly.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

POPULAR = "django fastapi aiohttp jinja2 boto3 langchain-core litellm transformers notebook pip".split()
HIGH = {"high", "critical"}


def score(shared: Path, into: Path, command: str) -> list[dict]:
    """One row a pair of what a scanner's command says, by the program of the pairs."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        program = shared / "code-pairs" / "pairs.py"
        subprocess.run(
            [sys.executable, program, "score", "--into", into, "--command", command, "--json", out.name],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return [row for row in json.loads(Path(out.name).read_text()) if "skipped" not in row]


def table(columns: dict[str, list[dict]]) -> None:
    """Relevant and pair-correct by class, a column a scanner."""
    print(f"{'class':22}" + "".join(f"{name:>22}" for name in columns))
    classes = sorted({row["cls"] for rows in columns.values() for row in rows})
    for cls in [*classes, "all"]:
        cells = []
        for rows in columns.values():
            mine = [r for r in rows if cls in (r["cls"], "all")]
            relevant, correct = (sum(bool(r[k]) for r in mine) for k in ("relevant", "pair_correct"))
            share = (
                f" ({relevant / len(mine):.0%}/{correct / len(mine):.0%})" if cls == "all" and mine else ""
            )
            cells.append(f"{relevant}/{correct} of {len(mine)}{share}")
        print(f"{cls:22}" + "".join(f"{cell:>22}" for cell in cells))


def recorded(shared: Path, ran: set[str], tool: str) -> list[dict]:
    """The scores of a scanner that were measured when the pairs were made, for the pairs that could be fetched."""
    lines = (shared / "code-pairs" / "pairs.jsonl").read_text().splitlines()
    pairs = [json.loads(line) for line in lines if line.strip()]
    return [{"id": p["id"], "cls": p["cls"], **p["baseline"][tool]} for p in pairs if p["id"] in ran]


def fetch(shared: Path, into: Path) -> None:
    """The pairs, and the newest release of each popular package, as text files."""
    subprocess.run(
        [sys.executable, shared / "code-pairs" / "pairs.py", "get", "--into", into / "pairs"], check=True
    )
    sys.path.insert(0, str(shared / "code-pairs"))
    import pairs

    for package in POPULAR:
        if (into / "popular" / package).is_dir():
            continue
        with tempfile.TemporaryDirectory() as tmp:
            pip = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "-q",
                "-d",
                tmp,
                package,
            ]
            if subprocess.run(pip, capture_output=True, check=False).returncode == 0:
                pairs.unpack(next(Path(tmp).iterdir()), into / "popular" / package)


def popular(into: Path, excise: str) -> None:
    """High alarms per thousand lines, lines per CPU-second and the largest process, in one process."""
    lines = high = 0
    for package in POPULAR:
        path = into / "popular" / package
        if not path.is_dir():
            print(f"{package}: not there")
            continue
        done = subprocess.run([excise, "inspect", path, "--format", "json"], capture_output=True, check=True)
        said = json.loads(done.stdout)
        found = Counter(f["severity"] for f in said["findings"])
        lines += said["coverage"]["lines"]
        high += sum(found[word] for word in HIGH)
        print(f"{package:16}{said['coverage']['lines']:>10,} lines  {dict(found)}", flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    print(f"high alarms per 1,000 lines: {1000 * high / max(lines, 1):.3f} ({high} in {lines:,} lines)")
    print(f"lines per CPU-second: {lines / seconds:,.0f}; largest process {used.ru_maxrss / 1024:.0f} MiB")


def again(into: Path, excise: str) -> None:
    """A second run after one file changed, against the first, with a cache: CPU-seconds."""
    with tempfile.TemporaryDirectory() as tmp:
        tree, cache = Path(tmp) / "tree", Path(tmp) / "cache"
        shutil.copytree(into / "popular" / "django", tree)
        took = []
        for _ in range(2):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [excise, "inspect", tree, "--cache", cache, "--format", "json"],
                capture_output=True,
                check=True,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            changed = next(p for p in sorted(tree.rglob("*.py")) if p.stat().st_size > 2_000)
            changed.write_text(changed.read_text() + "\n# changed\n")
        print(
            f"after a one-file change: {took[1]:.2f} of {took[0]:.2f} CPU-seconds ({took[1] / took[0]:.0%})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "shared", type=Path, nargs="?", default=Path(__file__).resolve().parents[2] / "shared"
    )
    parser.add_argument("--into", type=Path, default=Path("demo/inspect"))
    parser.add_argument("--only", choices=["pairs", "popular", "again"])
    args = parser.parse_args()
    if not (args.shared / "code-pairs").is_dir():
        print(f"skipped: there is no code-pairs folder in {args.shared.name}")
        return
    began = time.perf_counter()
    excise = str(Path(sys.executable).with_name("excise"))
    args.into.mkdir(parents=True, exist_ok=True)
    fetch(args.shared, args.into)
    if args.only in (None, "pairs"):
        columns = {
            "excise inspect": score(
                args.shared, args.into / "pairs", f"{excise} inspect {{path}} --format sarif"
            )
        }
        bandit = shutil.which("bandit", path=str(Path(sys.executable).parent)) or shutil.which("bandit")
        if bandit:
            columns["bandit"] = score(args.shared, args.into / "pairs", f"{bandit} -q -r {{path}} -f sarif")
        ran = {row["id"] for row in columns["excise inspect"]}
        columns["bandit, recorded"] = recorded(args.shared, ran, "bandit")
        columns["semgrep, recorded"] = recorded(args.shared, ran, "semgrep")
        print("relevant alarm / pair-correct, on the development pairs")
        table(columns)
    if args.only in (None, "popular"):
        popular(args.into, excise)
    if args.only in (None, "again"):
        again(args.into, excise)
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
