"""The report as one self-contained page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from excise.model.run import Run


def render(run: Run) -> str:
    """The page."""
    rows = "".join(f"<li>{len(c.evidence)} findings, {c.accounts} accounts</li>" for c in run.campaigns)
    return f"<!doctype html><title>Excise</title><ol>{rows}</ol>\n"
