"""The `excise` command. One file a subcommand; heavy imports stay inside them, so that `--help` is quick."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Final

import typer

from excise import __version__
from excise.cli.audit import audit
from excise.cli.diff import diff
from excise.cli.explain import explain
from excise.cli.export import export
from excise.cli.ingest import ingest
from excise.cli.inspect import inspect
from excise.cli.report import report
from excise.cli.scan import scan
from excise.cli.simulate import simulate
from excise.errors import ExciseError

if TYPE_CHECKING:
    from types import FrameType

app = typer.Typer(
    name="excise",
    help="Find distillation campaigns in the API logs of a language model, and say why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"excise {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Find distillation campaigns in the API logs of a language model, and say why."""


app.command("scan")(scan)
app.command("ingest")(ingest)
app.command("simulate")(simulate)
app.command("report")(report)
app.command("explain")(explain)
app.command("diff")(diff)
app.command("export")(export)
app.command("inspect")(inspect)
app.add_typer(audit)


class _Stop:
    """Ctrl-C and SIGTERM end a command alike: what was begun is removed, and the exit status is 130.

    It is remembered that one came, since compiled code may turn the exception into another one on its way up.
    """

    def __init__(self) -> None:
        self.came = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


_INTERRUPTED: Final = 130


def main() -> None:
    """Run the command; a user's mistake ends with a message, a hint and the contract's exit status."""
    stop = _Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        app()
    except ExciseError as error:
        typer.echo(f"excise: {error}", err=True)
        if error.hint:
            typer.echo(f"  hint: {error.hint}", err=True)
        sys.exit(error.exit_status)
    except (Exception, KeyboardInterrupt):
        if stop.came:
            sys.exit(_interrupted())
        raise
    except SystemExit as end:  # typer turns Ctrl-C into a silent exit of this status
        if end.code == _INTERRUPTED:
            _interrupted()
        raise


def _interrupted() -> int:
    typer.echo("excise: interrupted, nothing was written", err=True)
    return _INTERRUPTED
