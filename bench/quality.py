"""What a scan finds and whom it accuses wrongly: `python bench/quality.py PART [WORLD ...] [options]`.

PART is a line of `PARTS`. A WORLD is a folder of labelled traffic (labels in `WORLD/labels` or `WORLD-labels`); without one,
worlds of `excise simulate` are made. Settings are the defaults. Scans are kept under `--cache` by a hash of the program, the
settings and the world, so that a part that was stopped goes on where it was; each part writes its own sections of its page.
Report on worlds on which no setting was chosen: `bench/sweep.py` uses seeds 1 to 3, the demo and the tests ones below 101.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from excise.simulate.spec import WorldSpec
from measure import adversary, cost, delay, main_table, sections, stages
from measure.worlds import LEVELS, World, given, simulated
from page import PAGES, command, write_section

ROOT = PAGES.parents[1]
Options = argparse.Namespace
Sections = dict[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """One measurement: its page, seeds and size of simulated worlds where none is given, and what it returns by section."""

    page: str
    seeds: str
    exchanges: int
    run: Callable[[Options, list[World]], Sections]
    campaigns: bool = True


PARTS: dict[str, Part] = {
    "table": Part("quality.md", "101,102,103,104,105", 200_000, lambda o, w: main_table.measure(w, o.cache)),
    "null": Part(
        "quality.md", ",".join(map(str, range(401, 421))), 100_000,
        lambda o, w: {"No campaign at all": sections.null(w, o.cache)}, campaigns=False,
    ),
    "stages": Part("robustness.md", "101,102,103,104,105", 200_000, lambda o, w: {"Where accounts are lost": stages.measure(w, o.cache)}),
    "ablation": Part("robustness.md", "111,112", 200_000, lambda o, w: {"What each layer and step is worth": sections.ablation(w, o.cache)}),
    "detectors": Part("robustness.md", "111,112", 200_000, lambda o, w: {"What each detector is worth": sections.detectors(w, o.cache)}),
    "missing": Part("robustness.md", "111,112", 200_000, lambda o, w: {"What an operator may lack": sections.missing(w, o.cache)}),
    "correlation": Part("robustness.md", "121,122,123", 200_000, lambda o, _: {"How strongly the layers hide together": sections.correlation(_seeds(o), o.exchanges, o.cache)}),
    "delay": Part("robustness.md", "131,132,133", 100_000, lambda o, w: {"How much is harvested before it is known": delay.measure(w, o.cache, o.every)}),
    "cost": Part("robustness.md", "101,102,103,104,105", 200_000, lambda o, w: {"What it costs an attacker": cost.measure(w, o.cache, o.price)}),
    "adversary": Part("robustness.md", "", 60_000, lambda o, _: {"An adversary who has read the source": adversary.measure(o.budget, o.exchanges, o.price, o.cache)}),
}  # fmt: skip


def _seeds(o: Options) -> list[int]:
    return [int(s) for s in o.seeds.split(",") if s]


def worlds(part: Part, o: Options) -> list[World]:
    """The worlds that were named, or simulated ones; the correlation's and the adversary's are made by themselves."""
    if o.worlds:
        return [given(w) for w in o.worlds]
    if o.part in {"correlation", "adversary"}:
        return []
    levels = LEVELS if part.campaigns else ()
    return [simulated(WorldSpec(exchanges=o.exchanges, seed=s, levels=levels), o.cache) for s in _seeds(o)]


def parse() -> Options:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("worlds", nargs="*", type=Path)
    parser.add_argument("--seeds", help="of simulated worlds, with commas")
    parser.add_argument("--exchanges", type=int, help="of a simulated world")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / "build" / "bench", help="where worlds and runs are kept"
    )
    parser.add_argument("--pages", type=Path, default=PAGES, help="folder of the pages")
    parser.add_argument("--every", type=float, default=1.0, help="days between two scans of a replay")
    parser.add_argument("--budget", type=int, default=40, help="trials of the adversary")
    parser.add_argument(
        "--price", type=float, default=500.0, help="exchanges that an account costs an attacker"
    )
    chosen = parser.parse_args()
    part = PARTS[chosen.part]
    chosen.seeds = part.seeds if chosen.seeds is None else chosen.seeds
    chosen.exchanges = chosen.exchanges or part.exchanges
    chosen.cache = chosen.cache.resolve()
    return chosen


def main() -> None:
    chosen = parse()
    part = PARTS[chosen.part]
    for i, (title, text) in enumerate(part.run(chosen, worlds(part, chosen)).items()):
        said = f"Printed by `{command()}`.\n\n{text}" if i == 0 else text
        print(f"## {title}\n\n{said}\n", flush=True)
        write_section(chosen.pages / part.page, title, said)


if __name__ == "__main__":
    main()
