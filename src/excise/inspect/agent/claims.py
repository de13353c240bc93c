"""Hypotheses of an agent, replayed from the sources and joined to the report: they add or raise, and do nothing else.

A hypothesis is proven where the checker of `proof` replays its chain, where its last step is a use that the flow analysis
knows as dangerous in that class, and where its first is one that it knows as the outside. Anything else is unproven: it
is shown, low, with the word of the agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from excise.inspect import proof
from excise.inspect.agent.answer import Claim
from excise.inspect.finding import Finding, Report, Severity, Step, severity
from excise.inspect.python.body import Body, unpack
from excise.inspect.run import ranked
from excise.inspect.walk import Listing
from excise.inspect.weakness import BY_ID

ANALYSER: Final = "agent"
MOST: Final = 60
"""Findings that a run takes from an agent."""
_RULES: Final = frozenset({"source", "flow", "call", "sink"})
CONTROLS: Final = "what the agent takes for untrusted"


def findings(claims: Iterable[Claim], listing: Listing, notes: Mapping[str, Any]) -> list[Finding]:
    """The hypotheses about this tree as findings, replayed. Those of no class or of no file of it are left out."""
    files = {e.path for e in listing.entries if e.kind == "file"}
    made = [
        _finding(c)
        for c in claims
        if c.weakness in BY_ID
        and c.weakness != "coverage"
        and all(s.path in files and 0 < s.line < 1 << 31 for s in c.steps)
    ]
    return [_judged(f, notes) for f in proof.replay(listing, made)]


def _finding(claim: Claim) -> Finding:
    about = BY_ID[claim.weakness]
    steps = tuple(
        Step(s.path, s.line, f"the agent: {s.fact}", s.rule if s.rule in _RULES else "flow", s.text.strip())  # type: ignore[arg-type]
        for s in claim.steps
    )
    last = steps[-1]
    return Finding(
        weakness=claim.weakness,
        severity=severity(claim.severity) or Severity.MEDIUM,
        confidence="low",
        path=last.path,
        line=last.line,
        title=f"The agent: {claim.title}",
        steps=steps,
        controls=CONTROLS,
        gets=about.gets,
        fix=about.fix,
        analyser=ANALYSER,
    )


def _judged(finding: Finding, notes: Mapping[str, Any]) -> Finding:
    quoted = all(s.text for s in finding.steps)
    if finding.proven and quoted and _ends(finding, notes):
        return finding
    return replace(finding, proven=False, severity=min(finding.severity, Severity.LOW))


def _ends(finding: Finding, notes: Mapping[str, Any]) -> bool:
    """Whether the analysis knows the last step as a use of that class, and the first as a place where strangers enter."""
    first, last = finding.steps[0], finding.steps[-1]
    uses = any(
        row[0] == finding.weakness and row[1] == last.line
        for r in _records(notes, last.path)
        for row in unpack(r["b"]).sinks
    )
    return uses and any(_enters(record, first.line) for record in _records(notes, first.path))


def _records(notes: Mapping[str, Any], path: str) -> Iterator[Mapping[str, Any]]:
    yield from (notes.get(path) or {"f": ()})["f"]


def _enters(record: Mapping[str, Any], line: int) -> bool:
    if record["k"] and record["e"] and record["l"] == line:
        return True
    body = unpack(record["b"])
    return any(
        origin[0] == "S" and origin[2] == line
        for value in (body.result, *(row[4] for row in body.sinks), *_given(body))
        for origin, *_ in value
    )


def _given(body: Body) -> Iterator[Any]:
    for call in body.calls:
        yield from (value for _, value in call[3])
        yield call[4]


def joined(report: Report, proposed: Iterable[Finding]) -> Report:
    """`report` with what the agent adds and raises. No finding of it is lost, and none is less severe or less proven."""
    here = {(f.weakness, f.path, f.line): f for f in report.findings}
    mine: dict[tuple[str, str, int], Finding] = {}
    for finding in proposed:
        key = (finding.weakness, finding.path, finding.line)
        known = here.get(key)
        if known is None:
            if len(mine) < MOST and (key not in mine or finding.proven > mine[key].proven):
                mine[key] = finding
        elif finding.proven and finding.severity > known.severity:
            here[key] = _raised(known, finding)
    return replace(report, findings=tuple(ranked([*here.values(), *mine.values()])))


def _raised(known: Finding, claim: Finding) -> Finding:
    said = f"raised from {known.severity.word}: {claim.title}"
    return replace(
        known, severity=claim.severity, steps=(Step(known.path, known.line, said, "present"), *known.steps)
    )
