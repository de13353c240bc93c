"""`excise simulate`: labelled traffic to practise on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder for the traffic; its labels go beside it, to OUT-labels."),
    ],
    level: Annotated[
        str, typer.Option(help="Ladder levels of the campaigns: 3, 0-4, 0,3,6, or none.")
    ] = "0-4",
    exchanges: Annotated[int, typer.Option(min=1000, help="Exchanges, about.")] = 60_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and options give the same bytes.")] = 1,
    accounts: Annotated[int, typer.Option(min=0, help="Accounts; 0: one for 11 exchanges.")] = 0,
    campaigns: Annotated[int, typer.Option(min=0, help="Campaigns; 0: by the share of bad accounts.")] = 0,
    days: Annotated[int, typer.Option(min=5, max=365, help="Length of the period.")] = 21,
    correlation: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How strongly a campaign's layers hide together.")
    ] = 0.3,
    kinds: Annotated[str | None, typer.Option(help="Kinds of campaigns, with commas; default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Make labelled traffic in the contract's form, with campaigns hidden in it, for demos, tests and drills."""
    import dataclasses

    from excise.cli import terminal
    from excise.simulate import KINDS, WorldSpec, parse_levels, write_world

    chosen = KINDS if kinds is None else tuple(kinds.split(","))
    spec = WorldSpec(
        exchanges, seed, parse_levels(level), accounts, campaigns, days, correlation=correlation, kinds=chosen
    )
    with terminal.progress(quiet=as_json) as progress:
        summary = write_world(spec, out, progress.stage)
    if as_json:
        terminal.result_json({"schema": "excise.simulate/1", "out": str(out), **dataclasses.asdict(summary)})
    else:
        terminal.result(
            f"{summary.exchanges:,} exchanges of {summary.accounts:,} accounts in {out}; {summary.campaigns} campaigns with "
            f"{summary.bad_accounts:,} accounts and {summary.harvest_exchanges:,} harvest exchanges; labels in {out}-labels"
        )
