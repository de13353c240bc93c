"""`excise audit safeguards`: which refusals a model lost that another has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def safeguards(
    teacher: Annotated[Path, typer.Option(metavar="FILE", help="The teacher's recorded answers.")],
    suspect: Annotated[Path, typer.Option(metavar="FILE", help="The suspect's recorded answers.")],
    prompts: Annotated[
        str, typer.Option(metavar="FILE|SET", help="What was asked, with categories; or a set of a package.")
    ],
    base: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded answers of the suspect's base.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What people say of a random part of the answers.")
    ] = None,
    judge_endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask this OpenAI-compatible address to judge instead.")
    ] = None,
    judge_model: Annotated[str, typer.Option(help="The judge's name at the endpoint.")] = "",
    judge_key_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="The environment variable with the judge's key.")
    ] = None,
    alpha: Annotated[
        float, typer.Option(min=1e-12, max=0.5, help="Error rate over all categories together.")
    ] = 0.01,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for report.html and safeguards.json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare refusals of two models on the same prompts, with exact tests, controls, and a judge whose errors count."""
    from excise.audit import page
    from excise.audit.safeguards import compare, report
    from excise.audit.safeguards import labels as labelled
    from excise.audit.safeguards.judge import chosen
    from excise.audit.safeguards.questions import questions
    from excise.audit.said import answers
    from excise.cli import terminal
    from excise.report import canonical

    judge = chosen(judge_endpoint, judge_model, judge_key_env)
    first, second, third = answers(teacher), answers(suspect), answers(base) if base else None
    given = labelled.read(labels) if labels else ()
    errors = labelled.error_rates(given, first, second, judge)
    found = compare.compare(questions(prompts), first, second, third, judge, errors)
    told = report.document(found, judge, errors, labels=len(given), alpha=alpha)
    if out is not None:
        page.write(out, "safeguards", "safeguards.html.j2", told)
    if as_json:
        terminal.result_json(canonical.plain(told))
        return
    for line in report.lines(told):
        terminal.result(line)
    if out is not None:
        terminal.say(str(out / "report.html"))
