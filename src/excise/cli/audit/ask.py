"""`excise audit ask`: record a model's answers to prompts, without a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ask(
    prompts: Annotated[str, typer.Argument(metavar="FILE|SET", help="What to ask; or a set of a package.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The transcript; it goes on where it was stopped.")
    ],
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible address, up to /v1.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name at the endpoint.")] = "",
    key_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="The environment variable that holds the API key.")
    ] = None,
    local: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A local transformers model instead (extra audit-torch)."),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="How the model is sampled.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens an answer may have.")] = 512,
    budget: Annotated[int | None, typer.Option(min=1, help="Prompts to ask in this run at most.")] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a minute at most.")] = 60.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one request may take in all.")] = 60.0,
    attempts: Annotated[int, typer.Option(min=1, max=20, help="Attempts a prompt.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Record answers for `lineage` and `safeguards`: any model, one answer a prompt, on disk before the next question."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from excise.audit import suspects
    from excise.audit.plan import Sampling
    from excise.audit.run import ask as ask_all
    from excise.audit.safeguards.questions import questions
    from excise.audit.said import Unplanned
    from excise.cli import terminal
    from excise.errors import Interrupted

    errand = Unplanned(tuple(q.prompt for q in questions(prompts)), out)
    asked_one = suspects.chosen(
        errand.prompts, Sampling(temperature, max_tokens), endpoint=endpoint, model=model, key_env=key_env,
        recorded=None, local=local, rate=rate, timeout=timeout, attempts=attempts,
    )  # fmt: skip
    with terminal.progress(quiet=as_json) as progress:
        progress.stage("asking", total=min(budget or len(errand.prompts), len(errand.prompts)))
        try:
            done = ask_all(
                errand, model or str(local), asked_one, lambda: datetime.now(UTC).isoformat(timespec="seconds"),
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
        terminal.say("the model seems to be down; nothing is lost, the same command goes on later")
        raise typer.Exit(3)
