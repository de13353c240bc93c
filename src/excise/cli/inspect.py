"""`excise inspect`: what an automated agent could exploit in a code base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    path: Annotated[
        Path, typer.Argument(help="A folder or a file; nothing in it is run, imported or obeyed.")
    ],
    format_: Annotated[str, typer.Option("--format", help="text, json, sarif or html.")] = "text",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write; stdout otherwise.")
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit with 10 if a finding is this severe: note, low, medium, high or critical."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="The JSON of an earlier run, or a list of accepted findings; only new ones fail then."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="A file that keeps what unchanged files gave; made where there is none."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="A path below PATH to leave out; the report says so. May be repeated."),
    ] = None,
    evidence: Annotated[
        list[Path] | None, typer.Option(help="SARIF of another tool, shown where it agrees. May be repeated.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 1,
) -> None:
    """Say what an automated agent could exploit in a code base, each finding with steps that were replayed."""
    import sys

    from excise.errors import UsageError
    from excise.inspect import agreement, compare, finding, run, sandbox
    from excise.inspect.cache import Cache
    from excise.inspect.outputs.registry import FORMATS
    from excise.report.staging import replace_file

    render = FORMATS.get(format_)
    if render is None:
        raise UsageError(f"no format {format_!r}", subject="--format", hint=f"one of {', '.join(FORMATS)}")
    least = finding.severity(fail_on) if fail_on else None
    if fail_on and least is None:
        raise UsageError(
            f"no severity {fail_on!r}", subject="--fail-on", hint=f"one of {', '.join(finding.SEVERITIES)}"
        )
    earlier = compare.load(baseline) if baseline is not None else None
    others = [agreement.load(p) for p in evidence or ()]
    known = Cache(cache)
    with sandbox.walls(path, [p.absolute().parent for p in (out, cache) if p is not None], jobs=jobs):
        report = run.inspect(path, jobs=jobs, cache=known, exclude=exclude or ())
        for other in others:
            report = agreement.add(report, other)
        if earlier is not None:
            report = compare.compare(report, earlier)
        said = render(report).encode("utf-8", "backslashreplace")
        if cache is not None:
            replace_file(cache, known.encoded())
        if out is not None:
            replace_file(out, said)
    if out is None:
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()
    if least is not None and any(f.severity >= least for f in finding.fresh(report)):
        raise typer.Exit(10)
