"""`excise inspect`: what an automated agent could exploit in a code base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from excise.inspect.finding import Report
    from excise.inspect.scope import Scope


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
    agent: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send code to this endpoint for a second look; it can only add."),
    ] = None,
    model: Annotated[str, typer.Option(help="The name of the model there.")] = "",
    agent_api: Annotated[str, typer.Option(help="How it is spoken to: openai or anthropic.")] = "openai",
    agent_key_env: Annotated[
        str | None, typer.Option(help="The environment variable that holds its API key.")
    ] = None,
    agent_budget: Annotated[
        str, typer.Option(help="What it may cost: requests=20,tokens=200000,bytes=4000000,seconds=600.")
    ] = "",
    agent_transcript: Annotated[
        Path | None, typer.Option(help="A new file for all questions and answers, chained by hashes.")
    ] = None,
    agent_patches: Annotated[
        Path | None, typer.Option(help="A file for the changes it proposes, for a person to read and apply.")
    ] = None,
) -> None:
    """Say what an automated agent could exploit in a code base, each finding with steps that were replayed."""
    import sys

    from excise.errors import UsageError
    from excise.inspect import agreement, compare, finding
    from excise.inspect.agent import patches
    from excise.inspect.outputs.registry import FORMATS
    from excise.inspect.scope import Scope, folders, inspected
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
    scope = Scope(path, jobs, cache, tuple(exclude or ()))
    writable = folders([out, agent_transcript, agent_patches])
    looked: AbstractContextManager[Report]
    if agent is None:
        looked = inspected(scope, writable)
    else:
        asked = (agent, model, agent_api, agent_key_env, agent_budget)
        looked = _looked_twice(scope, writable, *asked, agent_transcript)
    with looked as found:
        report = found
        for other in others:
            report = agreement.add(report, other)
        if earlier is not None:
            report = compare.compare(report, earlier)
        said = render(report).encode("utf-8", "backslashreplace")
        if agent_patches is not None:
            replace_file(agent_patches, patches.page(report.patches).encode("utf-8", "backslashreplace"))
        if out is not None:
            replace_file(out, said)
    if out is None:
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()
    if least is not None and any(f.severity >= least for f in finding.fresh(report)):
        raise typer.Exit(10)


def _looked_twice(
    scope: Scope,
    writable: list[Path],
    url: str,
    model: str,
    api: str,
    key_env: str | None,
    budget: str,
    path: Path | None,
) -> AbstractContextManager[Report]:
    from excise.errors import UsageError
    from excise.inspect.agent import stage
    from excise.inspect.agent.endpoint import Endpoint

    if not model:
        raise UsageError("names no model", subject="--agent", hint="--agent URL --model NAME")
    return stage.looked_twice(scope, writable, Endpoint(url, model, api, key_env), stage.budget(budget), path)
