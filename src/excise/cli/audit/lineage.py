"""`excise audit lineage`: which family of teachers a model's answers resemble, or none of these."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lineage(
    suspect: Annotated[Path, typer.Argument(metavar="ANSWERS", help="The suspect's recorded answers.")],
    panel: Annotated[Path, typer.Option(metavar="TOML", help="Teachers and controls with their answers.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for report.html and lineage.json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Rank families of teachers by likeness of text, with "none of these" as an answer: a lead, never evidence."""
    from excise.audit import page
    from excise.audit.lineage import panel as panels
    from excise.audit.lineage import report
    from excise.audit.said import answers
    from excise.cli import terminal
    from excise.report import canonical

    told = report.document(panels.read(panel), answers(suspect))
    if out is not None:
        page.write(out, "lineage", "lineage.html.j2", told)
    if as_json:
        terminal.result_json(canonical.plain(told))
        return
    for line in report.lines(told):
        terminal.result(line)
    if out is not None:
        terminal.say(str(out / "report.html"))
