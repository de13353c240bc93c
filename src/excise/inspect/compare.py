"""Two runs compared: what is new, known, moved to another file, fixed, or unknown since coverage was incomplete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from excise.errors import SchemaMismatch
from excise.inspect.document import read_document
from excise.inspect.finding import Changes, Coverage, Earlier, Report

ACCEPTED: Final = "excise.inspect.accepted/1"
RUN: Final = "excise.inspect/1"


def load(path: Path) -> tuple[Earlier, ...]:
    """The findings of an earlier run (`--format json`) or of a list of accepted ones, each with its reason.

    Raises `UnreadableFile`, `SchemaMismatch`.
    """
    hint = "give the JSON of an earlier run, or a list of accepted findings"
    said = read_document(path, hint)
    kind = said.get("schema") if isinstance(said, dict) else None
    rows = said.get("findings" if kind == RUN else "accepted") if kind in (RUN, ACCEPTED) else None
    if not isinstance(rows, list):
        raise SchemaMismatch(f"is neither {RUN} nor {ACCEPTED}", subject=str(path), hint=hint)
    return tuple(_earlier(row, path, needs_reason=kind == ACCEPTED) for row in rows)


def _earlier(row: Any, path: Path, *, needs_reason: bool) -> Earlier:
    fields = ("fingerprint", "shape", "path", "title", "reason")
    values = {f: row.get(f, "") for f in fields} if isinstance(row, dict) else {}
    if not values or not values["fingerprint"] or not all(isinstance(v, str) for v in values.values()):
        raise SchemaMismatch(
            "an entry has no fingerprint", subject=str(path), hint="write it as --format json does"
        )
    if needs_reason and not values["reason"].strip():
        raise SchemaMismatch(
            f"{values['fingerprint']} has no reason",
            subject=str(path),
            hint="say why it is accepted, in `reason`",
        )
    return Earlier(**values)


def compare(report: Report, earlier: Iterable[Earlier]) -> Report:
    """`report` with what became of the earlier findings."""
    before = list(earlier)
    here = Counter(f.fingerprint for f in report.findings)
    there = Counter(e.fingerprint for e in before)
    gone = [e for e in before if e.fingerprint not in here]
    shapes = {e.shape: e for e in gone if e.shape}
    moved = {
        f.fingerprint: f.shape for f in report.findings if f.fingerprint not in there and f.shape in shapes
    }
    left = [e for e in gone if e.shape not in set(moved.values())]
    unknown = tuple(e for e in left if missing(e.path, report.coverage))
    fixed = tuple(e for e in left if e not in unknown)
    known = frozenset(here.keys() & there.keys())
    return replace(report, changes=Changes(known, frozenset(moved), fixed, unknown))


def missing(path: str, coverage: Coverage) -> bool:
    """Whether a path lies in what was not analysed: the file itself, a folder above it, or the whole run's budget."""
    return any(g.path in ("", path) or path.startswith(g.path + "/") for g in coverage.gaps)
