"""A run in the terminal: a short table, what could not be looked at, and how to read on."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from excise.model.findings import ACCUSING
from excise.report import wording
from excise.report.info import typed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from excise.model.findings import Campaign
    from excise.model.run import Run

ROWS = 15
"""Campaigns in the table; the report has them all."""
STYLES = {"distillation": "bold red", "relay": "bold yellow", "shared-client": "cyan", "undetermined": "dim"}


def lines(run: Run, folder: Path | None = None) -> Iterator[Text | Table]:
    """What to print for a finished scan, in order. Foreign words carry no control characters and no markup."""
    info = typed(run.info)
    accused = [c for c in run.campaigns if c.verdict in ACCUSING]
    ranked = accused + [c for c in run.campaigns if c.verdict not in ACCUSING]
    read = f"{wording.count(info.counts.exchanges, 'exchange')} of {wording.count(info.counts.accounts, 'account')}"
    found = wording.count(len(accused), "campaign")
    yield Text(f"{read}: {found} accused, {wording.count(len(ranked) - len(accused), 'group')} not accused.")
    if ranked:
        yield table(ranked[:ROWS])
    if len(ranked) > ROWS:
        yield Text(f"and {len(ranked) - ROWS:,} more in the report", style="dim")
    for missing in info.unavailable:
        yield Text(
            f"not looked at: {wording.one_line(missing.evidence, 80)} ({wording.one_line(missing.why, 160)})",
            "dim",
        )
    if folder is not None:
        yield from _read_on(folder, ranked)


def table(campaigns: list[Campaign]) -> Table:
    """The campaigns, one a row."""
    found = Table(box=None, pad_edge=False, header_style="dim")
    found.add_column("campaign", no_wrap=True, overflow="ellipsis", max_width=24)
    for name in ("verdict", "confidence", "q", "accounts", "harvest", "of what"):
        words = name in ("verdict", "of what")
        found.add_column(
            name, justify="left" if words else "right", no_wrap=name != "of what", overflow="ellipsis"
        )
    for c in campaigns:
        found.add_row(
            Text(wording.one_line(c.campaign_id, 60)),
            Text(wording.VERDICT_WORDS[c.verdict], STYLES[c.verdict]),
            wording.percent(c.confidence),
            wording.q_value(c.q_value),
            f"{c.accounts:,}",
            f"{c.harvest_exchanges:,}",
            Text(wording.one_line(", ".join(c.capabilities), 60)),
        )
    return found


def _read_on(folder: Path, ranked: list[Campaign]) -> Iterator[Text]:
    where = shlex.quote(wording.one_line(str(folder), 400))
    yield Text(f"report   {wording.one_line(str(folder / 'report.html'), 420)}")
    if ranked:
        yield Text(
            f"why      excise explain {where} {shlex.quote(wording.one_line(ranked[0].campaign_id, 80))}"
        )
        yield Text(f"act      excise export {where} --format csv --out accounts-to-limit.csv")
