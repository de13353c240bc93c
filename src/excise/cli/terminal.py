"""Everything the commands print: results to stdout, talk and progress to stderr, nothing foreign that steers a screen."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from excise.report.wording import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.progress import TaskID
    from rich.table import Table
    from rich.text import Text


def say(text: str) -> None:
    """Talk to the person, on stderr, on one line."""
    typer.echo(one_line(text), err=True)


def result(text: str) -> None:
    """A result on stdout; control characters are made visible, line feeds stay."""
    typer.echo(visible(text, limit=len(text)))


def result_json(value: Any) -> None:
    """A result for programs on stdout: JSON, keys in the given order, one trailing newline."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show(parts: Iterable[str | Text | Table]) -> None:
    """Print tables and texts that `excise.report` made, on stdout, without reading markup into them."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    for part in parts:
        console.print(part, soft_wrap=not hasattr(part, "columns"))


class Progress:
    """Which stage is running and how far it is, on stderr. Without a terminal there it says nothing."""

    def __init__(self, bar: Any = None) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def stage(self, name: str, total: float | None = None) -> None:
        """Begin stage `name`; `total` is its amount of work, None where it is not known."""
        if self._bar is None:
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(one_line(name, 40), total=total)

    def advance(self, amount: float = 1.0) -> None:
        """`amount` of the stage's work is done."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, amount)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """A `Progress` for the length of the body; it leaves no trace on the screen."""
    if quiet or not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Progress(bar)
