"""`excise audit plan`: what will be tested, sealed before the first query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plan(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the case; it appears when complete.")],
    keys: Annotated[Path, typer.Option(metavar="KEYFILE", help="The key file.")],
    key: Annotated[
        list[str], typer.Option(metavar="PURPOSE:CLUSTER@EPOCH", help="A key to look for. May be repeated.")
    ],
    suspect: Annotated[list[str], typer.Option(metavar="NAME", help="A suspect to ask. May be repeated.")],
    prompts: Annotated[Path, typer.Option(help="What to ask: a prompt a line, or NDJSON with `prompt`.")],
    reference: Annotated[
        Path | None, typer.Option(help="Answers of a model that never saw a key: NDJSON, prompt and answer.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Answers (or weights) of a model that cannot have learnt from us. May be repeated.",
        ),
    ] = None,
    looks: Annotated[
        str | None, typer.Option(help="After how many prompts to look; 100,400,1600,6400 and all by default.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Error rate over all hypotheses and looks.")] = 1e-4,
    context: Annotated[
        int, typer.Option(help="Tokens before a token that its coin depends on, as served.")
    ] = 1,
    tokenizer: Annotated[str, typer.Option(help="`words`, or a tokenizer.json of ours.")] = "words",
    decoys: Annotated[int, typer.Option(help="Keys that were never served, to rank among.")] = 10_000,
    temperature: Annotated[float, typer.Option(min=0.0, help="How the suspect is sampled.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens an answer may have.")] = 512,
    prompts_marked: Annotated[
        bool, typer.Option("--prompts-marked", help="Prompts hold text that was served under a key.")
    ] = False,
    slots: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The slots of keyed free choices: a JSON list.")
    ] = None,
    authorisation: Annotated[
        str, typer.Option(help="Who permitted these queries, and where that is written.")
    ] = "",
    worlds: Annotated[
        int, typer.Option(min=0, help="Simulated worlds for the expected power; 0 for none.")
    ] = 24,
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A run folder whose campaign is the dose.")
    ] = None,
    campaign: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A campaign of the run. May be repeated.")
    ] = None,
    served: Annotated[
        Path | None, typer.Option(metavar="LEDGER", help="Which key was served to which account: NDJSON.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=FOLDER]", help="Read this suspect's weights, against those of its base in FOLDER."
        ),
    ] = None,
    pilot: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=FILE", help="Answers of a pilot under another key, to estimate the power by."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the commitment and power as JSON.")] = False,
) -> None:
    """Seal hypotheses, statistic, looks and error rate, and print the commitment to publish before the first query."""
    from datetime import UTC, datetime

    from excise.audit import draft
    from excise.audit.draft import Wishes
    from excise.cli import terminal

    wishes = Wishes(
        keys=keys, key=tuple(key), suspects=tuple(suspect), prompts=prompts, reference=reference,
        controls=tuple(control or ()), looks=looks, alpha=alpha, context=context, tokenizer=tokenizer,
        decoys=decoys, temperature=temperature, max_tokens=max_tokens, prompts_marked=prompts_marked, slots=slots,
        authorisation=authorisation, worlds=worlds, run=run, campaigns=tuple(campaign or ()), served=served,
        weights=tuple(weights or ()), pilot=pilot,
    )  # fmt: skip
    with terminal.progress(quiet=as_json) as progress:
        progress.stage("expected power", total=worlds)
        sealed, files = draft.sealed(wishes, datetime.now(UTC), progress.advance)
    told = draft.written(out, sealed, files)
    if as_json:
        terminal.result_json(told)
        return
    terminal.result(f"commitment {told['commitment']}")
    terminal.say("publish it, or mail it to a third party, before the first query")
    for row in sealed.power:
        terminal.say(f"expected power at a share of {row.share:g} on the test-bed: {row.power:.2f}")
    if sealed.pilot is not None:
        found = sealed.pilot.estimate
        terminal.say(
            f"expected power by the pilot of {found.answers:,} answers: {found.power:.2f}, "
            f"an estimate that may be anything from {found.low:.2f} to {found.high:.2f}"
        )
