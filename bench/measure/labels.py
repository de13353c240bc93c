"""The labels of a world: who harvested what, and who is innocent."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

IS_RELAY = frozenset({"reseller_undeclared", "relay_pool_honest"})
"""Innocent populations for which `relay` is the right answer, not an accusation."""
EITHER = "relay_mixed"
"""The kind of campaign for which both verdicts are right: a harvest among a relay's customers."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. campaign, level: None for an innocent one. population: the kind of customer, or `campaign:KIND`."""

    campaign: str | None
    population: str
    level: int | None


@dataclass(frozen=True, slots=True)
class Labels:
    """`harvested`: exchanges that each account harvested. `harvest`: their ids. `campaigns`: the facts of each, by id."""

    accounts: dict[str, Account]
    campaigns: dict[str, dict[str, Any]]
    harvested: Counter[str]
    harvest: frozenset[str]
    declared: frozenset[str]


def folder_of(world: Path) -> Path:
    """Where a world's labels are: inside it, or beside it."""
    inside = world / "labels"
    return inside if inside.is_dir() else world.with_name(world.name + "-labels")


def read(world: Path) -> Labels:
    labels = folder_of(world)
    rows = pq.read_table(labels / "account_labels.parquet").to_pylist()
    accounts = {
        r["account_id"]: Account(r["campaign_id"], r["population"], r["level"] if r["campaign_id"] else None)
        for r in rows
    }
    harvested: Counter[str] = Counter()
    harvest: set[str] = set()
    whole = [labels / "exchange_labels.parquet", *sorted((labels / "exchange_labels").glob("*.parquet"))]
    for path in whole:
        if path.exists():
            kept = pq.read_table(
                path, columns=["exchange_id", "account_id"], filters=pc.field("role") == "harvest"
            )
            harvest.update(kept["exchange_id"].to_pylist())
            harvested.update(kept["account_id"].to_pylist())
    campaigns = {c["campaign_id"]: c for c in json.loads((labels / "campaigns.json").read_text("utf-8"))}
    return Labels(accounts, campaigns, harvested, frozenset(harvest), _declared(world))


def _declared(world: Path) -> frozenset[str]:
    path = world / "accounts.parquet"
    if not path.exists():
        return frozenset()
    table = pq.read_table(path, columns=["account_id", "declared"])
    return frozenset(a for a, d in zip(*(table[c].to_pylist() for c in table.column_names), strict=True) if d)
