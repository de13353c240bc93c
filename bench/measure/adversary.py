"""An adversary who has read the source: a search over what a campaign can hide, with a stated budget, and what it costs.

He knows the code and every default, and tries his campaign on worlds of his own; the deployment's secret seed and its customers he
does not have. A campaign is to bring a fixed number of examples; what he can turn is in `KNOBS`. The search draws half of its
budget at random and spends the rest on the best so far, one knob at a time.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq

from excise.settings import Settings
from excise.simulate import campaigns
from excise.simulate.knobs import Knobs
from excise.simulate.spec import WorldSpec
from excise.simulate.world import write_world
from measure.runs import Variant, scan, score_of, truth_of
from measure.worlds import World, code_of
from page import table

Choice = Mapping[str, float]
KNOBS: dict[str, tuple[float, ...]] = {
    "account": (1, 2, 3, 4, 6),
    "time": (1, 2, 3, 4, 6, 7),
    "content": (1, 4, 5, 6),
    "per_account": (8, 15, 30, 60, 120),
    "cover": (0.0, 0.3, 0.6, 0.9),
    "copies": (1, 2, 4),
    "personas": (1, 3, 6),
    "as_system": (0, 1),
}
"""What each knob may be; `excise.simulate.knobs` says what it means. The level of what is hidden is per layer."""
PLAIN: Choice = {
    "account": 4,
    "time": 4,
    "content": 5,
    "per_account": 30,
    "cover": 0.4,
    "copies": 2,
    "personas": 1,
    "as_system": 0,
}
"""Where the adversary begins: about level 5."""
EXAMPLES = 1200
"""That a campaign is to bring."""
KINDS = ("cot", "coding", "selfinstruct")
SEARCHED, REPORTED = 701, (711, 712, 713)
"""Seeds: of the world that he searches on, and of those on which his choice is reported, under another secret seed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all his campaigns: examples, of them found; accounts, of them accused; exchanges sent in all."""

    examples: int
    found: int
    accounts: int
    accused: int
    sent: int

    def kept(self) -> int:
        return self.examples - self.found

    def cost(self, price: float) -> float:
        """Exchanges that 1,000 examples cost which nobody marked, an account counted as `price` exchanges."""
        return (self.sent + price * self.accounts) / max(1, self.kept()) * 1000


def knobs(choice: Choice, kind: str) -> Knobs:
    """The simulator's knobs of one of his campaigns."""
    layers = [int(choice[k]) for k in ("account", "time", "content")]
    return Knobs(
        kind=kind, account=layers[0], time=layers[1], content=layers[2], level=max(layers),
        size=max(2, math.ceil(EXAMPLES / choice["per_account"])), per_account=choice["per_account"],
        cover=choice["cover"], copies=int(choice["copies"]), personas=int(choice["personas"]),
        as_system=bool(choice["as_system"]),
    )  # fmt: skip


def play(choice: Choice, seed: int, secret: int, exchanges: int, cache: Path) -> Outcome:
    """Make a world with his campaigns in it, scan it under a secret seed, and count."""
    name = "-".join(f"{k}{v:g}" for k, v in sorted(choice.items()))
    made_by = code_of(Path(campaigns.__file__).parent)[:12]
    path = cache / "adversary" / f"{seed}-{exchanges}-{made_by}-{name}"
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        spec = WorldSpec(exchanges=exchanges, seed=seed, levels=(5,), campaigns=len(KINDS), kinds=KINDS)
        with mock.patch.object(
            campaigns, "draw_knobs", lambda _rng, _spec, kind, _level: knobs(choice, kind)
        ):
            write_world(spec, path)
    world = World(f"{seed} {name}", path, "", path)
    run = scan(world, cache, Variant(f"secret seed {secret}", settings=Settings(seed=secret)))
    s, known = score_of(run, world), truth_of(world)
    bad = {a for a, r in known.accounts.items() if r.campaign}
    counts = pq.read_table(run / "accounts.parquet", columns=["account_id", "exchanges"])
    volume = Counter(dict(zip(*(counts[c].to_pylist() for c in counts.column_names), strict=True)))
    assert s.rows is not None
    return Outcome(
        s.rows[2], s.rows[1], len(bad), sum(h for h, _ in s.levels.values()), sum(volume[a] for a in bad)
    )


def together(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(*(sum(getattr(o, f) for o in outcomes) for f in Outcome.__slots__))


def search(budget: int, value: Callable[[Choice], float]) -> list[tuple[float, Choice]]:
    """Return every trial in its order, the starting point first; lower is better. Half at random, then one knob at a time."""
    luck = random.Random(0)
    trials: list[tuple[float, Choice]] = [(value(PLAIN), PLAIN)]
    tried = {tuple(sorted(PLAIN.items()))}

    def attempt(choice: Choice) -> None:
        key = tuple(sorted(choice.items()))
        if key not in tried:
            tried.add(key)
            trials.append((value(choice), choice))

    for _ in range(100 * budget):
        if len(trials) >= (budget + 1) // 2:
            break
        attempt({k: luck.choice(v) for k, v in KNOBS.items()})
    for _ in range(100 * budget):
        if len(trials) >= budget:
            break
        best = min(trials, key=lambda t: t[0])[1]
        knob = luck.choice(list(KNOBS))
        attempt({**best, knob: luck.choice(KNOBS[knob])})
    return trials


def measure(budget: int, exchanges: int, price: float, cache: Path) -> str:
    """Search, and report the best choice on other worlds under another secret seed."""
    spent: dict[tuple[tuple[str, float], ...], Outcome] = {}

    def value(choice: Choice) -> float:
        outcome = play(choice, SEARCHED, 1, exchanges, cache)
        spent[tuple(sorted(choice.items()))] = outcome
        return outcome.found / max(1, outcome.examples) + 1e-3 * outcome.accused / max(1, outcome.accounts)

    def cheapest(choice: Choice) -> float:
        return spent[tuple(sorted(choice.items()))].cost(price)

    trials = search(budget, value)
    best = min(trials, key=lambda t: t[0])[1]
    thrifty = min((t[1] for t in trials), key=cheapest)
    careless = {**PLAIN, "account": 1, "time": 1, "content": 1, "cover": 0.0, "copies": 1, "per_account": 120}
    rows = []
    reference = None
    for name, choice in (
        ("careless: level 1", careless),
        ("where he begins: about level 5", PLAIN),
        ("found least", best),
        ("cheapest", thrifty),
    ):
        o = together([play(choice, seed, 2, exchanges, cache) for seed in REPORTED])
        undefended = replace(o, found=0)
        reference = reference or undefended.cost(price)
        rows.append([
            name, ", ".join(f"{k} {v:g}" for k, v in choice.items()), f"{o.found / o.examples:.2f}", f"{o.accused / o.accounts:.2f}",
            f"{o.accounts / o.examples * 1000:,.0f}", f"{o.sent / o.examples:.1f}",
            f"{undefended.cost(price) / reference:,.1f}", f"{o.cost(price) / reference:,.1f}" if o.kept() > 0.001 * o.examples else "nothing is left",
        ])  # fmt: skip
    tested = {n: len({t[1][n] for t in trials}) for n in KNOBS}
    head = ["campaign", "knobs", "harvest found", "accounts accused", "accounts per 1,000 examples", "exchanges sent per example", "cost, if nobody looked", "cost of what is not found"]  # fmt: skip
    return f"""{len(trials)} trials of {EXAMPLES} examples each by three campaigns in simulated worlds of {exchanges:,} exchanges (seed {SEARCHED}); reported on seeds {", ".join(map(str, REPORTED))} under another secret seed of the deployment. Values tried of each knob: {", ".join(f"{k} {n} of {len(KNOBS[k])}" for k, n in tested.items())}. Where he began {trials[0][0]:.2f} of his harvest was found in the world of the search, at the end {min(t[0] for t in trials):.2f}.

Cost is in exchanges, an account counted as {price:g} of them (an assumption: what an aged account with a card and an address of its own costs beside a request), relative to the careless campaign if nobody looked. `copies` 1 gives up choosing among several answers; a high `cover` pays for exchanges that teach nothing.

{table(head, rows)}"""
