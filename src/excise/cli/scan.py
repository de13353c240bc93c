"""`excise scan`: find the campaigns in API logs."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from excise.model.run import Run


class Engine(StrEnum):
    """What does the work of a scan."""

    embedded = "embedded"
    spark = "spark"


def scan(
    source: Annotated[str, typer.Argument(help="A file, a folder, a glob, or postgresql://… of LiteLLM.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the run; it appears when complete.")],
    accounts: Annotated[
        str | None, typer.Option(help="The accounts table, if it is not in the folder.")
    ] = None,
    events: Annotated[
        str | None, typer.Option(help="The events table (releases, suspensions, outages).")
    ] = None,
    asn: Annotated[str | None, typer.Option(help="The table of networks.")] = None,
    edge: Annotated[str | None, typer.Option(help="Edge facts (IP, ASN, JA4) by exchange_id.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Format of the source; detected if not given.")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="A TOML file of settings.")] = None,
    max_bad_rows: Annotated[str, typer.Option(help="Share of bad rows from which the scan stops.")] = "1%",
    pseudonymise: Annotated[
        Path | None, typer.Option(metavar="KEYFILE", help="Replace identifiers by HMACs under this key file.")
    ] = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="No example of any prompt in the output.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; default: all cores.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Memory to use, as 3GiB; default: half of what is there.")
    ] = None,
    spill: Annotated[
        Path | None,
        typer.Option(help="Folder for tables that do not fit; default: that for temporary files."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder to go on from: files that were read are not read again.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Leave out, and forget, what is older, as 90d.")] = None,
    engine: Annotated[
        Engine, typer.Option(help="What does the work: this process, or an Apache Spark cluster.")
    ] = Engine.embedded,
    master: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The cluster, as spark://host:7077; default: Spark's own."),
    ] = None,
    fail_on: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Exit with 10 if a campaign has this confidence.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier run of that name.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find distillation campaigns in API logs and write the run folder."""
    import signal
    from contextlib import nullcontext
    from dataclasses import replace

    from excise.cli import terminal
    from excise.engine.budget import parse_bytes
    from excise.engine.memory import collect_seldom
    from excise.ingest.ledger import parse_share
    from excise.ingest.pseudonym import Pseudonymiser, load_key
    from excise.model.findings import ACCUSING
    from excise.report import folder, summary
    from excise.report.terminal import lines
    from excise.settings import load_settings
    from excise.state.folder import parse_window
    from excise.warm import compiling

    collect_seldom()
    chosen = load_settings(settings)
    if no_text:
        chosen = replace(chosen, keep_text=False)
    share = parse_share(max_bad_rows)
    chosen_engine = _engine(engine, master, threads=threads, state=state, edge=edge, spill=spill)
    folder.check_writable(out, replace=force)
    helped = compiling() if engine == Engine.embedded else nullcontext()
    with helped, terminal.progress(quiet=as_json) as progress:
        run = chosen_engine(
            source, accounts=accounts, events=events, asn=asn, format=format_, max_bad_rows=share,
            pseudonymise=Pseudonymiser(load_key(pseudonymise)) if pseudonymise else None, settings=chosen, progress=progress,
            memory=parse_bytes(memory) if memory else None, window=parse_window(window) if window else None,
        )  # fmt: skip
    folder.write(run, out, replace=force)
    for name in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # the run is there: to stop now would only lose its exit status
        signal.signal(name, signal.SIG_IGN)
    if as_json:
        terminal.result_json(summary.to_json(run))
    else:
        terminal.show(lines(run, out))
    if fail_on is not None and any(c.verdict in ACCUSING and c.confidence >= fail_on for c in run.campaigns):
        raise typer.Exit(10)


def _engine(engine: Engine, master: str | None, **own: Any) -> Callable[..., Run]:
    """Return what scans; `own` are options of the embedded engine alone."""
    from excise.errors import UsageError

    if engine == Engine.embedded:
        if master is not None:
            raise UsageError(
                "is an option of the Spark engine",
                subject="--master",
                hint="add --engine spark, or leave it out",
            )
        from excise import pipeline

        return partial(pipeline.scan, **own)
    given = next((name for name, value in own.items() if value is not None), None)
    if given:
        raise UsageError(
            "is an option of the embedded engine",
            subject=f"--{given}",
            hint="leave it out with --engine spark",
        )
    from excise.spark.scan import scan as on_spark

    return partial(on_spark, master=master)
