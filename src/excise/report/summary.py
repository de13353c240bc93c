"""A run as one JSON value for `--json`: what a program wants to know at once. The whole is in the run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from excise.model.findings import ACCUSING
from excise.report.canonical import plain

if TYPE_CHECKING:
    from excise.model.findings import Campaign
    from excise.model.run import Run

SUMMARY_SCHEMA = "excise.summary/1"
FIELDS = (
    "campaign_id",
    "verdict",
    "confidence",
    "q_value",
    "accounts",
    "exchanges",
    "harvest_exchanges",
    "first_seen",
    "last_seen",
    "capabilities",
)


def to_json(run: Run) -> dict[str, Any]:
    """`schema`, the run's `counts`, `period`, `unavailable`, `rejected` (rows and reasons) and its `campaigns` in short."""
    rejected = run.info.get("rejected") or {}
    value = {
        "schema": SUMMARY_SCHEMA,
        "product": run.info.get("product"),
        "version": run.info.get("version"),
        "settings_hash": run.info.get("settings_hash"),
        "period": run.info.get("period"),
        "counts": run.info.get("counts"),
        "rejected": {"rows": rejected.get("rows", 0), "reasons": rejected.get("reasons", {})},
        "unavailable": run.info.get("unavailable", []),
        "campaigns": [campaign(c) for c in run.campaigns],
    }
    found: dict[str, Any] = plain(value)
    return found


def campaign(c: Campaign) -> dict[str, Any]:
    """One campaign in short, and whether it accuses."""
    return {name: getattr(c, name) for name in FIELDS} | {"accuses": c.verdict in ACCUSING}
