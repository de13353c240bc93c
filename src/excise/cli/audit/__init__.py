"""`excise audit`: was this model distilled from ours, and which safeguards did it lose. One file a command."""

from __future__ import annotations

import typer

from excise.cli.audit.ask import ask
from excise.cli.audit.keys import keys
from excise.cli.audit.lineage import lineage
from excise.cli.audit.plan import plan
from excise.cli.audit.report import report
from excise.cli.audit.run import run
from excise.cli.audit.safeguards import safeguards
from excise.cli.audit.score import score

audit = typer.Typer(
    name="audit",
    help="Was this model distilled from ours: keyed marks, a sealed plan, a test with a bound.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
audit.command("keys")(keys)
audit.command("plan")(plan)
audit.command("run")(run)
audit.command("score")(score)
audit.command("report")(report)
audit.command("safeguards")(safeguards)
audit.command("lineage")(lineage)
audit.command("ask")(ask)
