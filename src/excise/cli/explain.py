"""`excise explain`: why an account or a campaign is accused, or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    subject: Annotated[
        str, typer.Argument(help="The id of an account or of a campaign.", metavar="ACCOUNT|CAMPAIGN")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say in plain sentences why an account or a campaign is accused, or why not; fit to be shown to the customer."""
    from excise.cli.terminal import result, result_json
    from excise.report import explain as explaining
    from excise.report import folder

    found = explaining.explain(folder.read(run), subject)
    if as_json:
        result_json(explaining.to_json(found))
    else:
        result(explaining.text(found))
