"""What `excise audit run` and `excise audit ask` share: who is asked and how, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from excise.audit.plan import Sampling
    from excise.audit.run import Errand

Endpoint = Annotated[str | None, typer.Option(metavar="URL", help="An OpenAI-compatible address, up to /v1.")]
ModelName = Annotated[str, typer.Option(help="The model's name at the endpoint.")]
KeyEnv = Annotated[
    str | None, typer.Option(metavar="VARIABLE", help="The environment variable that holds the API key.")
]
LocalFolder = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="A local transformers model instead (extra audit-torch)."),
]
Budget = Annotated[int | None, typer.Option(min=1, help="Prompts to ask in this run at most.")]
Rate = Annotated[float, typer.Option(min=0.1, help="Requests a minute at most.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds that one request may take in all.")]
Attempts = Annotated[int, typer.Option(min=1, max=20, help="Attempts a prompt.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def asked(
    errand: Errand,
    name: str,
    sampling: Sampling,
    *,
    endpoint: str | None,
    model: str,
    key_env: str | None,
    local: Path | None,
    recorded: Path | None = None,
    budget: int | None,
    rate: float,
    timeout: float,
    attempts: int,
    as_json: bool,
) -> None:
    """Ask the one suspect that the options name, say what came of it, and end with status 3 where it seems to be down."""
    from dataclasses import asdict

    from excise.audit import suspects
    from excise.audit.run import ask
    from excise.cli import terminal
    from excise.errors import Interrupted

    suspect = suspects.chosen(
        errand.prompts, sampling, endpoint=endpoint, model=model, key_env=key_env,
        recorded=recorded, local=local, rate=rate, timeout=timeout, attempts=attempts,
    )  # fmt: skip
    with terminal.progress(quiet=as_json) as progress:
        progress.stage("asking", total=min(budget or len(errand.prompts), len(errand.prompts)))
        try:
            done = ask(errand, name, suspect, now, budget=budget, advance=progress.advance)
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


def now() -> str:
    """The time, ISO 8601 in UTC."""
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")
