"""`excise audit run`: ask a suspect what the plan says, or read its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from excise.cli.audit import asking

if TYPE_CHECKING:
    from excise.audit.case import Case


def run(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="The folder that `excise audit plan` made.")],
    suspect: Annotated[str, typer.Option(metavar="NAME", help="Which suspect of the plan is asked.")],
    endpoint: asking.Endpoint = None,
    model: asking.ModelName = "",
    key_env: asking.KeyEnv = None,
    recorded: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded answers instead: NDJSON, prompt and answer.")
    ] = None,
    local: asking.LocalFolder = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The weights of an open suspect, to be read (extra audit-torch)."
        ),
    ] = None,
    base: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The weights of its base, as the plan sealed them.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER", help="The weights of an open control of the plan. May be repeated."
        ),
    ] = None,
    budget: asking.Budget = None,
    rate: asking.Rate = 60.0,
    timeout: asking.Timeout = 60.0,
    attempts: asking.Attempts = 4,
    as_json: asking.AsJson = False,
) -> None:
    """Ask a suspect the plan's prompts; every answer is on disk before the next question, and a stopped run goes on."""
    from excise.audit import case as cases

    opened = cases.read(case)
    if weights is not None:
        if endpoint is not None or recorded is not None or local is not None:
            from excise.errors import UsageError

            raise UsageError(
                "is one of several suspects",
                subject="--weights",
                hint="name one suspect: --weights FOLDER alone",
            )
        _read(opened, suspect, weights, base, control or [], as_json)
        return
    if opened.by_weights(suspect) is not None:
        from excise.errors import UsageError

        raise UsageError("has its weights read, says the plan", subject=suspect, hint="--weights FOLDER")
    asking.asked(
        opened, suspect, opened.plan.sampling, endpoint=endpoint, model=model, key_env=key_env,
        recorded=recorded, local=local, budget=budget, rate=rate, timeout=timeout, attempts=attempts, as_json=as_json,
    )  # fmt: skip


def _read(
    case: Case, suspect: str, weights: Path, base: Path | None, control: list[str], as_json: bool
) -> None:
    from dataclasses import asdict

    from excise.audit.run import Model, check_weights, read_weights
    from excise.audit.suspects.opened import fingerprint
    from excise.audit.suspects.opened import opened as loaded
    from excise.cli import terminal

    before = fingerprint(base) if base else ""
    folders = dict(_named(said) for said in control)
    beside = {name: fingerprint(folder) for name, folder in folders.items()}
    check_weights(case, suspect, before, beside)
    first = Model(loaded(weights), fingerprint(weights))
    second = Model(loaded(base), before) if base else None
    others = {name: Model(loaded(folders[name]), sha256) for name, sha256 in beside.items()}
    with terminal.progress(quiet=as_json) as progress:
        progress.stage("reading", total=len(case.prompts) * (1 + len(others)))
        done = read_weights(case, suspect, first, second, others, asking.now, progress.advance)
    if as_json:
        terminal.result_json(asdict(done))
        return
    terminal.result(f"{done.texts:,} texts read at {done.places:,} places, {done.pairs:,} pairs kept")
    if done.before:
        terminal.say("they had been read before; nothing was done")


def _named(said: str) -> tuple[str, Path]:
    from excise.errors import UsageError

    name, _, folder = said.partition("=")
    if not folder:
        raise UsageError("is not NAME=FOLDER", subject=said[:80], hint="--control organic=models/organic")
    return name, Path(folder)
