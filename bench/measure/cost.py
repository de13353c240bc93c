"""What a level of care costs an attacker: accounts, exchanges, and examples that are found and lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from measure.runs import scan, scored, truth_of
from measure.worlds import World
from page import table


def measure(worlds: Sequence[World], cache: Path, price: float) -> str:
    """Cost multiplication by level: what 1,000 examples cost that nobody found, against a careless campaign that nobody looks for."""
    accounts: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for world in worlds:
        s, known = scored(world, cache), truth_of(world)
        counts = pq.read_table(scan(world, cache) / "accounts.parquet", columns=["account_id", "exchanges"])
        for account, n in zip(*(counts[c].to_pylist() for c in counts.column_names), strict=True):
            mine = known.accounts.get(account)
            if mine is not None and mine.campaign:
                accounts[str(mine.level)] += 1
                sent[str(mine.level)] += n
        for level, (_, true, harvest) in s.row_levels.items():
            rows[level][0] += true
            rows[level][1] += harvest
    lines, reference = [], None
    for level, (found, harvest) in sorted(rows.items()):
        spent = sent[level] + price * accounts[level]
        free = spent / max(1, harvest)
        reference = reference or free
        kept = harvest - found
        lines.append([
            level, f"{accounts[level] / max(1, harvest) * 1000:,.0f}", f"{sent[level] / max(1, harvest):.1f}", f"{found / max(1, harvest):.2f}",
            f"{free / reference:,.1f}", f"{spent / kept / reference:,.1f}" if kept > 0.001 * harvest else "nothing is left",
        ])  # fmt: skip
    head = ["level", "accounts per 1,000 examples", "exchanges sent per example", "harvest found", "cost, if nobody looked", "cost of what is not found"]  # fmt: skip
    return f"""Worlds: {", ".join(w.made for w in worlds)}. Cost is in exchanges, an account counted as {price:g} of them (an assumption), relative to level 0 if nobody looked; the last column divides by the examples that no run marked. What is found is found at the end of the world: see the time until then.

{table(head, lines)}"""
