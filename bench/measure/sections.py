"""The slower measurements, one function a section: what each returns stands on `docs/benchmarks/robustness.md`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from excise import pipeline
from excise.model.findings import LAYERS
from excise.settings import Settings
from excise.simulate.spec import WorldSpec
from intervals import share, upper_bound
from measure.main_table import f1
from measure.runs import Variant, scan, scored, truth_of
from measure.scores import Score, read_run
from measure.worlds import LEVELS, World, simulated, take_away
from page import table

GROUPS = {"level 0-3": "0123", "4": "4", "5": "5", "6": "6", "7-8": "78"}
HEAD = [*GROUPS, "harvest exchanges: recall", "precision", "innocents accused", "B-cubed F1"]


def cells(scores: Sequence[Score]) -> list[str]:
    """One line of the tables of this page: what is found, and at what price."""
    found = []
    for levels in GROUPS.values():
        parts = [tuple(sum(s.levels.get(k, (0, 0))[i] for k in levels) for i in (0, 1)) for s in scores]
        found.append(share([h / n for h, n in parts if n]))
    rows = [s.rows for s in scores if s.rows]
    return [
        *found,
        share([t / n for _, t, n in rows if n]), share([t / r for r, t, _ in rows if r]),
        f"{sum(s.wrong() for s in scores)} of {sum(s.innocent() for s in scores):,}",
        share([f1(s.b_cubed["all"]) for s in scores if "all" in s.b_cubed]),
    ]  # fmt: skip


def with_setting(settings: Settings, name: str, value: float) -> Settings | None:
    """The settings with one of them changed, or None where this version has no such setting."""
    keys = name.split(".")
    if keys[0] == "detect":
        known = {d.id: d.parameters for d in pipeline.DETECTORS}
        if keys[2] not in known.get(keys[1], {}):
            return None
        return replace(settings, detect={**settings.detect, keys[1]: {keys[2]: value}})

    def put(node: Any, rest: list[str]) -> Any:
        inner = value if len(rest) == 1 else put(getattr(node, rest[0]), rest[1:])
        return replace(node, **{rest[0]: inner})

    try:
        return put(settings, keys)
    except (AttributeError, TypeError):
        return None


STEPS = {
    "linking: an account need not repeat a wrapper": ("habits.repeats", 1),
    "linking: what nobody repeats says nothing": ("habits.most_speakers", 1),
    "linking: pairs need not be rare": ("link.edge_nats", 3.0),
    "linking: one detector's tie counts without limit": ("link.tie_nats", 1e9),
    "linking: strong ties count no more than weak ones": ("link.exponent", 1.0),
    "linking: no community is split again": ("link.split_modularity", 1.0),
    "linking: groups are not peeled to dense cores": ("link.core_density", 0.0),
    "linking: no group is cut by what its texts say in whole": ("link.whole_modularity", 1.0),
    "linking: who has none of a group's own wrappers stays in it": ("detect.shared-wrapper.insider", 0.0),
    "linking: no clusters are merged by bound members": ("link.bound_share", 2.0),
    "judging: one layer is enough": ("judge.fuse.layer_least", 0.0),
    "judging: no discount for a layer's further pieces": ("judge.fuse.second", 1.0),
}
"""Linking and judging steps, and the value at which each does nothing."""


def ablation(worlds: Sequence[World], cache: Path) -> str:
    """Leave out a layer, a detector of each layer's, or a step of linking at a time."""
    variants = [Variant()]
    for layer in LAYERS:
        mine = frozenset(d.id for d in pipeline.DETECTORS if d.layer == layer)
        variants.append(Variant(f"without layer `{layer}`", without=mine))
    for layer in LAYERS:
        others = frozenset(d.id for d in pipeline.DETECTORS if d.layer != layer)
        variants.append(Variant(f"layer `{layer}` alone", without=others))
    for name, (setting, value) in STEPS.items():
        settings = with_setting(Settings(), setting, value)
        if settings is not None:
            variants.append(Variant(f"{name} (`{setting}` {value:g})", settings=settings))
    return _variants(worlds, cache, variants)


def detectors(worlds: Sequence[World], cache: Path) -> str:
    """Leave out one detector at a time."""
    variants = [Variant()] + [
        Variant(f"without `{d.id}`", without=frozenset({d.id})) for d in pipeline.DETECTORS
    ]
    return _variants(worlds, cache, variants)


def _variants(worlds: Sequence[World], cache: Path, variants: Sequence[Variant]) -> str:
    by_variant: dict[str, list[Score]] = {v.name: [] for v in variants}
    for world in worlds:
        for v in variants:
            by_variant[v.name].append(scored(world, cache, v))
    rows = [[name, *cells(scores)] for name, scores in by_variant.items()]
    return f"Worlds: {', '.join(w.made for w in worlds)}.\n\n{table(['scan', *HEAD], rows)}"


NETWORK = ("client_ip", "asn", "country")
CLIENT = ("user_agent", "sdk_name", "sdk_version", "os", "runtime", "ja4", "header_order", "device_id")
MISSING: dict[str, dict[str, tuple[str, ...]]] = {
    "no events": {"tables": ("events",)},
    "no payment": {"account_columns": ("payment_fp",)},
    "no accounts table": {"tables": ("accounts",)},
    "no addresses": {"columns": NETWORK, "account_columns": ("signup_ip",)},
    "nothing of the client": {"columns": CLIENT},
    "no sessions": {"columns": ("session_id", "end_user_id", "device_id")},
    "no answers": {"columns": ("output_text", "reasoning_text")},
    "no reasoning blocks": {"columns": ("emitted_blocks", "replayed_blocks")},
    "no system prompts": {"columns": ("system_text",)},
    "exchanges alone: no side table": {"tables": ("accounts", "events", "asn_table")},
    "what a gateway's log has: no side table, address, client or session": {
        "tables": ("accounts", "events", "asn_table"),
        "columns": (*NETWORK, *CLIENT, "session_id", "end_user_id"),
    },
    "no text at all": {
        "columns": ("system_text", "user_text", "output_text", "reasoning_text", "tools_json")
    },
}
"""What an operator may lack, from little to nearly all."""


def missing(worlds: Sequence[World], cache: Path) -> str:
    """Take columns and tables away."""

    def taking(what: dict[str, tuple[str, ...]]) -> Callable[[World, Path], None]:
        return lambda world, out: take_away(world, out, **what)

    variants = [
        Variant(),
        Variant("sketches only: no text is kept (`keep_text = false`)", settings=Settings(keep_text=False)),
    ]
    variants += [Variant(name, change=taking(what)) for name, what in MISSING.items()]
    return (
        "A scan reads each text once and goes on with sketches (hashes); `keep_text = false` leaves out the redacted examples and nothing else.\n\n"
        + _variants(worlds, cache, variants)
    )


def correlation(seeds: Sequence[int], exchanges: int, cache: Path) -> str:
    """How strongly a campaign's layers hide together, in the product's own simulator."""
    rows = []
    for value in (0.0, 0.3, 0.7):
        worlds = [
            simulated(WorldSpec(exchanges=exchanges, seed=s, levels=LEVELS, correlation=value), cache)
            for s in seeds
        ]
        rows.append([f"{value:g}", *cells([scored(w, cache) for w in worlds])])
    return f"""`excise simulate --level 0-8 --exchanges {exchanges} --correlation R`, seeds {", ".join(map(str, seeds))}. At 0 each layer of a campaign is hidden better or worse by itself, so that one of them often speaks; at 0.7 they mostly hide together.

{table(["correlation", *HEAD], rows)}"""


def null(worlds: Sequence[World], cache: Path) -> str:
    """Worlds without a campaign: whatever is accused is innocent, and every campaign is false."""
    rows, false, wrong, innocent = [], 0, 0, 0
    for world in worlds:
        s = scored(world, cache)
        _, campaigns, _ = read_run(scan(world, cache))
        known = truth_of(world)
        accused = [c for c in campaigns if c["verdict"] == "distillation"]
        strays = sum(b for _, b in s.accused.values())
        q = min((float(c["q_value"]) for c in accused), default=None)
        rows.append(
            [
                world.made,
                f"{len(known.accounts):,}",
                len(accused),
                "" if q is None else f"{q:.3f}",
                strays,
                s.wrong(),
            ]
        )
        false, wrong, innocent = false + len(accused), wrong + s.wrong(), innocent + s.innocent()
    head = [
        "world",
        "accounts",
        "`distillation` campaigns, all false",
        "their least q-value",
        "accounts called `relay` that are none",
        "accounts accused",
    ]
    return f"""{len(worlds)} worlds without a campaign: {false} false campaigns, {wrong} of {innocent:,} innocent accounts accused (at most {upper_bound(wrong, innocent) * 1e5:.2f} per 100,000, 95 %). Worlds with a false campaign: {sum(r[2] > 0 for r in rows)} (at most {upper_bound(sum(r[2] > 0 for r in rows), len(worlds)):.2f} of all such worlds, 95 %).

{table(head, rows)}"""
