"""`excise audit ask`: record a model's answers to prompts, without a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from excise.cli.audit import asking


def ask(
    prompts: Annotated[str, typer.Argument(metavar="FILE|SET", help="What to ask; or a set of a package.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The transcript; it goes on where it was stopped.")
    ],
    endpoint: asking.Endpoint = None,
    model: asking.ModelName = "",
    key_env: asking.KeyEnv = None,
    local: asking.LocalFolder = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="How the model is sampled.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens an answer may have.")] = 512,
    budget: asking.Budget = None,
    rate: asking.Rate = 60.0,
    timeout: asking.Timeout = 60.0,
    attempts: asking.Attempts = 4,
    as_json: asking.AsJson = False,
) -> None:
    """Record answers for `lineage` and `safeguards`: any model, one answer a prompt, on disk before the next question."""
    from excise.audit.plan import Sampling
    from excise.audit.safeguards.questions import questions
    from excise.audit.said import Unplanned

    errand = Unplanned(tuple(q.prompt for q in questions(prompts)), out)
    asking.asked(
        errand, model or str(local or endpoint or ""), Sampling(temperature, max_tokens), endpoint=endpoint, model=model,
        key_env=key_env, local=local, budget=budget, rate=rate, timeout=timeout, attempts=attempts, as_json=as_json,
    )  # fmt: skip
