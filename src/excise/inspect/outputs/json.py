"""An inspection as JSON, for programs and for the comparison with a later run."""

from __future__ import annotations

import json
from dataclasses import asdict

from excise.inspect.finding import Finding, Report
from excise.inspect.weakness import BY_ID

SCHEMA = "excise.inspect/1"


def render(report: Report) -> str:
    """The whole report, keys in a fixed order."""
    said: dict[str, object] = {
        "schema": SCHEMA,
        "root": report.root,
        "coverage": asdict(report.coverage),
        "notes": list(report.notes),
        "findings": [finding(f) | _state(f, report) for f in report.findings],
    }
    if report.patches:
        said["patches"] = [asdict(p) for p in report.patches]
    if report.changes is not None:
        said["gone"] = {
            "fixed": [asdict(e) for e in report.changes.fixed],
            "unknown": [asdict(e) for e in report.changes.unknown],
        }
    return json.dumps(said, indent=1, ensure_ascii=True) + "\n"


def _state(f: Finding, report: Report) -> dict[str, object]:
    return {} if report.changes is None else {"state": report.changes.word(f)}


def finding(f: Finding) -> dict[str, object]:
    """One finding as plain values."""
    return {
        **asdict(f),
        "severity": f.severity.word,
        "cwe": [f"CWE-{n}" for n in BY_ID[f.weakness].cwe],
        "fingerprint": f.fingerprint,
        "shape": f.shape,
    }
