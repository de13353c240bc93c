"""`excise audit run`: ask a suspect what the plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="The folder that `excise audit plan` made.")],
    suspect: Annotated[str, typer.Option(metavar="NAME", help="Which suspect of the plan is asked.")],
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible address, up to /v1.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name at the endpoint.")] = "",
    key_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="The environment variable that holds the API key.")
    ] = None,
    recorded: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded answers instead: NDJSON, prompt and answer.")
    ] = None,
    local: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A local transformers model instead (extra audit-torch)."),
    ] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Prompts to ask in this run at most.")] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a minute at most.")] = 60.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one request may take in all.")] = 60.0,
    attempts: Annotated[int, typer.Option(min=1, max=20, help="Attempts a prompt.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Ask a suspect the plan's prompts; every answer is on disk before the next question, and a stopped run goes on."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from excise.audit import case as cases
    from excise.audit import suspects
    from excise.audit.run import ask
    from excise.cli import terminal
    from excise.errors import Interrupted

    opened = cases.read(case)
    asked_one = suspects.chosen(
        opened.prompts, opened.plan.sampling, endpoint=endpoint, model=model, key_env=key_env,
        recorded=recorded, local=local, rate=rate, timeout=timeout, attempts=attempts,
    )  # fmt: skip
    with terminal.progress(quiet=as_json) as progress:
        progress.stage("asking", total=min(budget or len(opened.prompts), len(opened.prompts)))
        try:
            done = ask(
                opened, suspect, asked_one, lambda: datetime.now(UTC).isoformat(timespec="seconds"),
                budget=budget, advance=progress.advance,
            )  # fmt: skip
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted; every answer so far is kept", hint="the same command goes on there"
            ) from None
    if as_json:
        terminal.result_json(asdict(done))
    else:
        terminal.result(
            f"{done.answered} answered, {done.failed} without an answer, {done.before} done before, {done.left} left"
        )
    if done.gave_up:
        terminal.say("the suspect seems to be down; nothing is lost, the same command goes on later")
        raise typer.Exit(3)
