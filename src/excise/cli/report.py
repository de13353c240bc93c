"""`excise report`: the page for people, made again from a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; report.html in the run folder otherwise.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Make the report of a run again, and print where it is."""
    from excise.cli.terminal import result
    from excise.report import folder, html
    from excise.report.staging import replace_file

    page = html.render(folder.read(run)).encode()
    target = out or run / folder.REPORT_HTML
    replace_file(target, page)
    result(str(target))
    if open_it:
        typer.launch(target.resolve().as_uri())
