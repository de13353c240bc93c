"""`excise ingest`: other logs into the contract's tables, or a word on what a file holds."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from excise.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from excise.ingest.source import Progress
    from excise.ingest.traffic import Traffic

Source = Annotated[str, typer.Argument(help="A file, a folder, a glob in quotes, or postgresql://…")]
Table = Annotated[
    str | None, typer.Option(help="A table of its own, in place of the one found beside the exchanges.")
]


def ingest(
    source: Source,
    out: Annotated[Path | None, typer.Option(help="The folder to write; new or empty.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Only say what the source holds.")] = False,
    accounts: Table = None,
    events: Table = None,
    asn: Table = None,
    edge: Annotated[str | None, typer.Option(help="Facts of the edge, joined by exchange_id.")] = None,
    format: Annotated[str | None, typer.Option(help="The log format, where it is not to be guessed.")] = None,  # noqa: A002  the option's name
    pseudonymise: Annotated[
        Path | None,
        typer.Option(help="A key file; names are replaced by pseudonyms. Made where there is none."),
    ] = None,
    max_bad_rows: Annotated[str, typer.Option(help="The share of bad rows to leave out: 1% or 0.01.")] = "1%",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Turn logs into the tables that a scan reads, or explain what a file holds and which evidence it allows."""
    from excise.ingest.ledger import parse_share

    if explain == (out is not None):
        raise UsageError("needs either --out or --explain", hint="excise ingest LOGS --out DIR")
    tables = {"accounts": accounts, "events": events, "asn": asn, "edge": edge}
    share = parse_share(max_bad_rows)
    if out is None:
        _explain(source, tables, format, pseudonymise, as_json=as_json)
    else:
        _write(source, tables, format, pseudonymise, share, out, as_json=as_json)


def _explain(
    source: str, tables: dict[str, str | None], format_: str | None, key: Path | None, *, as_json: bool
) -> None:
    from excise.ingest.explain import as_text, explain

    with tempfile.TemporaryDirectory(prefix="excise-") as staging:
        said = explain(_open(source, tables, format_, key, 1.0, staging))
    typer.echo(json.dumps(said, indent=2) if as_json else "\n".join(as_text(said)))


def _write(
    source: str,
    tables: dict[str, str | None],
    format_: str | None,
    key: Path | None,
    share: float,
    out: Path,
    *,
    as_json: bool,
) -> None:
    from excise.ingest.ledger import plain
    from excise.ingest.write import new_folder, write_tables

    with new_folder(out) as folder, tempfile.TemporaryDirectory(prefix="staging-", dir=folder) as staging:
        traffic = _open(source, tables, format_, key, share, staging)
        write_tables(traffic, folder)
    if as_json:
        said = {"schema": 1, "out": str(out), "rows": traffic.rows, "rejected": traffic.rejected.as_json()}
        typer.echo(json.dumps(said, indent=2))
    else:
        left_out = f", {traffic.rejected.rows:,} bad rows left out" if traffic.rejected.rows else ""
        typer.echo(f"{traffic.rows:,} exchanges in {plain(str(out), 200)}{left_out}")


def _open(
    source: str,
    tables: dict[str, str | None],
    format_: str | None,
    key: Path | None,
    share: float,
    staging: str,
) -> Traffic:
    from excise.ingest.pseudonym import Pseudonymiser, load_key
    from excise.ingest.source import open_traffic

    with _shown() as progress:
        return open_traffic(
            source,
            staging=Path(staging),
            accounts=tables["accounts"],
            events=tables["events"],
            asn=tables["asn"],
            edge=tables["edge"],
            format=format_,
            max_bad_rows=share,
            pseudonymise=Pseudonymiser(load_key(key)) if key else None,
            progress=progress,
        )


@contextmanager
def _shown() -> Iterator[Progress]:
    """Progress on stderr, only where a person looks at it."""
    if not sys.stderr.isatty():
        yield lambda _name, _done, _total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress as Bar

    from excise.ingest.ledger import plain

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def progress(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"reading {escape(plain(name, 40))}", completed=done, total=total)

        yield progress
