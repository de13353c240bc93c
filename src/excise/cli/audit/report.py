"""`excise audit report`: what a case found, for people and for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="The folder of the case.")],
    keys: Annotated[Path, typer.Option(metavar="KEYFILE", help="The key file.")],
    open_seal: Annotated[
        bool,
        typer.Option(
            "--open-seal", help="Put the keys into the case, so that anyone can replay it, and burn them."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
) -> None:
    """Score the case and write report.html and report.json into its folder."""
    from excise.audit import case as cases
    from excise.audit import publish
    from excise.cli import terminal

    read = cases.read(case)
    with terminal.progress(quiet=as_json) as progress:
        progress.stage("scoring", total=len(read.plan.hypotheses))
        told = publish.written(read, keys, open_seal, progress.advance)
    if as_json:
        terminal.result_json(told)
        return
    for line in publish.lines(told):
        terminal.result(line)
    terminal.say(str(case / cases.REPORT_HTML))
