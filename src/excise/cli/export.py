"""`excise export`: the accused accounts as a list for a gateway."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from excise.errors import UsageError


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    format: Annotated[str, typer.Option(help="csv or parquet.")] = "csv",  # noqa: A002  the option's name
    out: Annotated[
        Path | None, typer.Option(help="The file to write; a CSV goes to stdout otherwise.")
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Campaigns below are left out.")
    ] = 0.9,
    expires_after: Annotated[str, typer.Option(help="When an entry lapses: 12h, 30d, 2w or never.")] = "30d",
    verdict: Annotated[
        list[str] | None, typer.Option(help="distillation or relay; both otherwise. May be repeated.")
    ] = None,
) -> None:
    """List the accused accounts for a gateway: account_id, campaign_id, verdict, confidence, since, expires_at."""
    from excise.cli.terminal import say
    from excise.model.findings import ACCUSING
    from excise.report import export as exporting
    from excise.report import folder, staging, wording

    encode = exporting.FORMATS.get(format)
    if encode is None:
        raise UsageError(
            f"no format {format!r}", subject="--format", hint=f"one of {', '.join(exporting.FORMATS)}"
        )
    if out is None and format != "csv":
        raise UsageError(f"{format} needs a file", subject="--out", hint=f"--out accounts.{format}")
    span = exporting.duration(expires_after)
    table = exporting.listed(
        folder.read(run),
        min_confidence=min_confidence,
        verdicts=verdict or ACCUSING,
        expires_at=datetime.now(UTC) + span if span else None,
    )
    if out is None:
        sys.stdout.buffer.write(encode(table))
        sys.stdout.buffer.flush()
    else:
        staging.replace_file(out, encode(table))
        say(f"{wording.count(table.num_rows, 'account')} written to {out}")
    changed = exporting.altered(table) if format == "csv" else 0
    if changed:
        say(
            f"{wording.count(changed, 'id')} would run in a spreadsheet and got an apostrophe; --format parquet keeps ids exact"
        )
