"""`excise audit score`: replay a case and hold it against its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def score(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="The folder of the case.")],
    keys: Annotated[
        Path | None, typer.Option(metavar="KEYFILE", help="The key file, where the seal is not open.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Score a case again from its own files, offline, and say whether its report holds."""
    from excise.audit import case as cases
    from excise.audit import publish
    from excise.cli import terminal

    read = cases.read(case)
    with terminal.progress(quiet=as_json) as progress:
        progress.stage("scoring", total=len(read.plan.hypotheses))
        told = publish.replayed(read, keys, progress.advance)
    if as_json:
        terminal.result_json(told)
        return
    for line in publish.lines(told):
        terminal.result(line)
    terminal.say("the report holds: every number is the same")
