"""`excise inspect`: what an automated agent could exploit in a code base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    path: Annotated[
        Path, typer.Argument(help="A folder or a file; nothing in it is run, imported or obeyed.")
    ],
    format_: Annotated[str, typer.Option("--format", help="text, json, sarif or html.")] = "text",
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit with 10 if a finding has this severity: low, medium, high, critical."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 1,
) -> None:
    """Say what an automated agent could exploit in a code base, each finding with steps that were replayed."""
    from excise.errors import UsageError
    from excise.inspect import finding, run
    from excise.inspect.outputs.registry import FORMATS

    render = FORMATS.get(format_)
    if render is None:
        raise UsageError(f"no format {format_!r}", subject="--format", hint=f"one of {', '.join(FORMATS)}")
    report = run.inspect(path, jobs=jobs)
    typer.echo(render(report), nl=False)
    least = finding.severity(fail_on) if fail_on else None
    if least is not None and any(f.severity >= least for f in report.findings):
        raise typer.Exit(10)
