"""SARIF of other tools as extra evidence: it adds a line where it agrees, and never takes anything away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from excise.errors import SchemaMismatch
from excise.inspect.document import read_document
from excise.inspect.finding import Finding, Report, Step

NEAR: Final = 3
"""Lines between two tools' places of the same thing: they differ over the first and the last line of a call."""


@dataclass(frozen=True, slots=True)
class Other:
    """One result of another tool: which tool and rule, and where."""

    tool: str
    rule: str
    path: str
    line: int


def load(path: Path) -> tuple[Other, ...]:
    """The results of a SARIF file that have a place. Raises `UnreadableFile`, `SchemaMismatch`."""
    hint = "give SARIF 2.1.0, as other scanners write it"
    said = read_document(path, hint)
    try:
        return tuple(_results(said))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise SchemaMismatch("is not SARIF", subject=str(path), hint=hint) from error


def _results(said: Any) -> list[Other]:
    out: list[Other] = []
    for run in said["runs"]:
        tool = str(run["tool"]["driver"]["name"])
        for result in run.get("results") or ():
            for place in (result.get("locations") or ())[:1]:
                physical = place["physicalLocation"]
                uri = unquote(str(physical["artifactLocation"]["uri"])).split("://")[-1]
                out.append(
                    Other(
                        tool,
                        str(result.get("ruleId", "")),
                        uri,
                        int(physical.get("region", {}).get("startLine", 0)),
                    )
                )
    return out


def add(report: Report, others: tuple[Other, ...]) -> Report:
    """`report` with a step for each result that lies at a finding's place, and a note of how many lie at none."""
    used: set[Other] = set()
    findings = tuple(_with(f, others, used) for f in report.findings)
    left = len(set(others)) - len(used)
    tools = ", ".join(sorted({o.tool for o in others})) or "the other tool"
    note = f"{left:,} of {len(set(others)):,} results of {tools} lie at no finding of this inspection"
    return replace(report, findings=findings, notes=(*report.notes, note))


def _with(f: Finding, others: tuple[Other, ...], used: set[Other]) -> Finding:
    near = [
        o
        for o in others
        if abs(o.line - f.line) <= NEAR and (o.path == f.path or o.path.endswith("/" + f.path))
    ]
    used.update(near)
    told = tuple(
        Step(f.path, f.line, f"{o.tool} reports {o.rule} here", "present") for o in dict.fromkeys(near)
    )
    return replace(f, steps=(*told, *f.steps)) if told else f
