"""An inspection for people in a terminal: what was found, with the lines of code, and what was not looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Finding, Patch, Report, Severity
from excise.inspect.posture import graph
from excise.inspect.weakness import BY_ID
from excise.report.wording import count, one_line, visible

MOST_STEPS: Final = 12
MOST_GAPS: Final = 10
MOST_DIFF: Final = 200
SHOWN_FROM: Final = Severity.LOW
"""Notes are counted; `--format json`, `sarif` and `html` have them all."""


def render(report: Report) -> str:
    """The whole view. Everything that comes from the tree is on one line, with control characters made visible."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    shown = [f for f in report.findings if f.severity >= SHOWN_FROM]
    if report.changes is not None:
        shown = [f for f in shown if report.changes.word(f) != "known"]
    for finding in shown:
        yield from _finding(finding, report)
        yield ""
    yield _summary(report)
    yield from _coverage(report)
    yield from _changes(report)
    for patch in report.patches:
        yield from _patch(patch)
    for note in report.notes:
        yield one_line(note)


def _finding(f: Finding, report: Report) -> Iterator[str]:
    state = f" · {report.changes.word(f)}" if report.changes is not None else ""
    proof = "replayed" if f.proven else "unproven"
    cwe = " ".join(f"CWE-{n}" for n in BY_ID[f.weakness].cwe[:1])
    yield f"{f.severity.word.upper()}  {BY_ID[f.weakness].title}  [{f.weakness}{' ' if cwe else ''}{cwe}] · {f.confidence} confidence · {proof}{state}"
    yield (
        f"  {one_line(f.path)}:{f.line}"
        + (f" in {one_line(f.symbol)}" if f.symbol else "")
        + f": {one_line(f.title)}"
    )
    steps = (
        f.steps if len(f.steps) <= MOST_STEPS else (*f.steps[: MOST_STEPS // 2], *f.steps[-MOST_STEPS // 2 :])
    )
    for i, step in enumerate(steps, 1):
        yield f"    {i}. {one_line(step.path)}:{step.line}  {one_line(step.text, 120)}"
        yield f"       {one_line(step.fact)}"
    if len(f.steps) > MOST_STEPS:
        yield f"       ({len(f.steps) - MOST_STEPS} steps in the middle are not shown)"
    yield from (f"    {line}" for line in graph.text(f).split("\n") if line)
    yield f"  An attacker controls {one_line(f.controls)}"
    yield f"  and gets {one_line(f.gets)}."
    yield f"  Fix: {one_line(f.fix)}. (fingerprint {f.fingerprint})"


def _patch(patch: Patch) -> Iterator[str]:
    yield f"A change was proposed for {patch.finding}, for a person to judge: {patch.said}."
    yield from (f"  new: {one_line(title)}" for title in patch.added)
    yield from (f"    {visible(line)}" for line in patch.diff.split("\n")[:MOST_DIFF] if line)
    yield ""


def _summary(report: Report) -> str:
    by = Counter(f.severity for f in report.findings)
    said = ", ".join(f"{by[s]:,} {s.word}" for s in sorted(Severity, reverse=True) if by[s])
    lines, files = report.coverage.lines, report.coverage.python_files
    return f"{count(len(report.findings), 'finding')} ({said or 'none'}) in {count(lines, 'line')} of {count(files, 'Python file')}, {count(report.coverage.files, 'file')} listed."


def _coverage(report: Report) -> Iterator[str]:
    gaps = report.coverage.gaps
    if gaps:
        yield f"Not analysed, or not wholly: {count(len(gaps), 'place')}."
    for gap in gaps[:MOST_GAPS]:
        yield f"  {one_line(gap.path) or '(the tree)'}: {gap.reason} {one_line(gap.detail)}".rstrip()
    if len(gaps) > MOST_GAPS:
        yield f"  and {len(gaps) - MOST_GAPS:,} more"


def _changes(report: Report) -> Iterator[str]:
    if report.changes is None:
        return
    by = Counter(report.changes.word(f) for f in report.findings)
    yield (
        f"Against the baseline: {by['new']:,} new, {by['known']:,} known, {by['moved']:,} moved, "
        f"{len(report.changes.fixed):,} fixed, {len(report.changes.unknown):,} unknown since they could not be looked at."
    )
