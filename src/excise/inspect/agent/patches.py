"""Fixes of an agent, tried: the changed files are inspected in place of those on disk, and nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from excise.inspect.agent.answer import Fix
from excise.inspect.agent.diff import Unfit, applied, written
from excise.inspect.finding import Finding, Patch, Report, Severity
from excise.inspect.tree import Source
from excise.inspect.walk import Listing, read

Again = Callable[[Mapping[str, bytes]], Report]
"""The report of the same tree with other contents for some files."""


def tried(
    fix: Fix, finding: Finding, listing: Listing, shown: Iterable[str], before: Report, again: Again
) -> Patch:
    """What becomes of `finding` if the fix is applied to the files that were `shown`, as a second inspection sees it."""
    texts: dict[str, str] = {}
    allowed = frozenset(shown)

    def text_of(path: str) -> str | None:
        text = _text(listing, path) if path in allowed else None
        if text is not None:
            texts[path] = text
        return text

    try:
        after = applied(fix.diff, text_of)
    except Unfit as error:
        return Patch(finding.fingerprint, "", f"not applied: {error}")
    diff = written(texts, after)
    return _said(finding, diff, before, again({p: t.encode() for p, t in after.items()}))


def _text(listing: Listing, path: str) -> str | None:
    """The text of a listed file; None where it is not text that we could give back byte by byte."""
    entry = next((e for e in listing.entries if e.path == path and e.kind == "file"), None)
    source = read(listing, entry) if entry is not None else None
    if not isinstance(source, Source):
        return None
    try:
        return source.data.decode()
    except UnicodeDecodeError:
        return None


def _said(finding: Finding, diff: str, before: Report, after: Report) -> Patch:
    was, now = _places(before), _places(after)
    place = (finding.weakness, finding.path, finding.symbol)
    blind = set(after.coverage.gaps) - set(before.coverage.gaps)
    added = tuple(
        f.title
        for f in after.findings
        if f.severity > Severity.NOTE and now[_place(f)] > was[_place(f)] and _place(f) != place
    )
    if blind:
        return Patch(
            finding.fingerprint, diff, "the copy cannot be read as Python: the finding is not cleared"
        )
    if now[place] >= was[place]:
        return Patch(finding.fingerprint, diff, "the second inspection still finds it", added=added)
    words = "the second inspection finds it no more"
    words += f", and {len(added)} that were not there" if added else " and nothing new"
    return Patch(finding.fingerprint, diff, words, cleared=not added, added=added)


def _places(report: Report) -> Counter[tuple[str, str, str]]:
    return Counter(_place(f) for f in report.findings if f.severity > Severity.NOTE)


def _place(f: Finding) -> tuple[str, str, str]:
    return f.weakness, f.path, f.symbol


def page(patches: Iterable[Patch]) -> str:
    """The patches in one file, each below what was found out about it; what `git apply` reads, and a person first."""
    told = "# Changes that an agent proposed. Each was tried on a copy in memory. Read them before you apply one.\n"
    return told + "".join(f"\n# finding {p.finding}: {p.said}\n{p.diff}" for p in patches)
