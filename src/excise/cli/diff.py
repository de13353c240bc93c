"""`excise diff`: what changed from one run to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def diff(
    old: Annotated[Path, typer.Argument(help="The earlier run folder.")],
    new: Annotated[Path, typer.Argument(help="The later run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two runs: campaigns that are new, gone, grown, shrunk, split, merged or judged otherwise."""
    from excise.cli.terminal import result, result_json
    from excise.report import diff as comparing
    from excise.report import folder

    found = comparing.diff(folder.read(old), folder.read(new))
    if as_json:
        result_json(comparing.to_json(found))
    else:
        result(comparing.text(found))
