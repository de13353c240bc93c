"""SARIF 2.1.0 (OASIS standard), with rules, code flows and fingerprints."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import metadata
from typing import Any, Final
from urllib.parse import quote

from excise.inspect.finding import Finding, Gap, Report, Severity, Step
from excise.inspect.weakness import WEAKNESSES, Weakness

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Final = {
    Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note", Severity.NOTE: "note",
}  # fmt: skip
SCORES: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "3.0",
    Severity.NOTE: "1.0",
}


def render(report: Report) -> str:
    """One run; a gap of coverage is a notification of the invocation, which then says that it was not complete."""
    said = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "excise inspect",
                        "version": metadata.version("excise"),
                        "rules": [_rule(w) for w in WEAKNESSES],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(f) for f in report.findings],
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [_gap(g) for g in report.coverage.gaps],
                    }
                ],
                **(
                    {"properties": {"patches": [asdict(p) for p in report.patches]}} if report.patches else {}
                ),
            }
        ],
    }
    return json.dumps(said, indent=1, ensure_ascii=True) + "\n"


def _rule(w: Weakness) -> dict[str, Any]:
    tags = ["security", *(f"external/cwe/cwe-{n:03d}" for n in w.cwe)]
    return {
        "id": w.id,
        "name": "".join(part.capitalize() for part in w.id.split("-")),
        "shortDescription": {"text": w.title},
        "fullDescription": {"text": f"{w.title}. It gives {w.gets}."},
        "help": {"text": f"To fix it: {w.fix}."},
        "properties": {"tags": tags},
    }


def _result(f: Finding) -> dict[str, Any]:
    place = _location(f.path, f.line, f.title)
    if f.symbol:
        place["logicalLocations"] = [{"fullyQualifiedName": f.symbol, "kind": "function"}]
    return {
        "ruleId": f.weakness,
        "ruleIndex": next(i for i, w in enumerate(WEAKNESSES) if w.id == f.weakness),
        "level": LEVELS[f.severity],
        "message": {"text": f"{f.title}. An attacker controls {f.controls} and gets {f.gets}. Fix: {f.fix}."},
        "locations": [place],
        "partialFingerprints": {"excise/v1": f.fingerprint, "excise/shape/v1": f.shape},
        "codeFlows": [{"threadFlows": [{"locations": [_flow(s) for s in f.steps]}]}] if f.steps else [],
        "rank": float(SCORES[f.severity]) * 10,
        "properties": {
            "security-severity": SCORES[f.severity], "severity": f.severity.word, "confidence": f.confidence, "proven": f.proven,
        },
    }  # fmt: skip


def _location(path: str, line: int, text: str) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(path)}}
    if line:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical, "message": {"text": text}}


def _flow(step: Step) -> dict[str, Any]:
    return {"location": _location(step.path, step.line, step.fact)}


def _gap(gap: Gap) -> dict[str, Any]:
    said: dict[str, Any] = {
        "level": "warning",
        "message": {"text": f"not analysed: {gap.reason} {gap.detail}".strip()},
    }
    if gap.path:
        said["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": _uri(gap.path)}}}]
    return said


def _uri(path: str) -> str:
    """A relative URI reference of a path: bytes that are not plain are percent-encoded."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/-._~+@=,")
