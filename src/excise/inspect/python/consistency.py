"""Guards that a project uses at one sink and not at its sibling: most incomplete fixes look like that.

A sibling is a sink of the same weakness in the same file. Only guards that somebody wrote for the purpose count (a
validator, a containment check, a list of hosts), not an incidental comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from excise.inspect.finding import Finding, Step
from excise.inspect.python.link import Found
from excise.inspect.python.provenance import Hop
from excise.inspect.weakness import BY_ID

DELIBERATE: Final = {
    "validator": "a validator",
    "contain": "a containment check",
    "host": "a check of the host",
    "integrity": "a check of the content",
    "gate": "an opt-in",
}


@dataclass(frozen=True, slots=True)
class Sibling:
    """A guarded sink: where it is, the kind of its guard, and the line of the guard."""

    at: Hop
    kind: str
    line: int


class Guarded:
    """The guarded sinks of a tree by weakness and file."""

    def __init__(self, guarded: Iterable[tuple[str, Hop, str, tuple[tuple[str, int], ...]]]) -> None:
        self._by_place: dict[tuple[str, str], list[Sibling]] = {}
        for weakness, at, _, held in guarded:
            kind, line = next(((k, n) for k, n in held if k in DELIBERATE and n), ("", 0))
            if kind and at.rule == "sink":
                self._by_place.setdefault((weakness, at.func.path), []).append(Sibling(at, kind, line))

    def sibling(self, found: Found) -> Sibling | None:
        """A guarded sink of the same weakness in the same file, in another function; the first one."""
        near = self._by_place.get((found.flow.weakness, found.flow.sink.path), ())
        return next((s for s in near if s.at.func is not found.flow.sink), None)

    @staticmethod
    def advised(finding: Finding, sibling: Sibling | None) -> Finding:
        """`finding` with the project's own guard named as its fix."""
        if sibling is None:
            return finding
        return replace(
            finding,
            steps=(_step(sibling), *finding.steps),
            fix=f"use the project's own guard: {DELIBERATE[sibling.kind]} stands at line {sibling.line} before the same use in "
            f"{sibling.at.func.qual}",
        )

    @staticmethod
    def inconsistent(finding: Finding, sibling: Sibling) -> Finding:
        """`finding` as one of a guard that is missing here."""
        title = f"{sibling.at.func.qual} guards this use by {DELIBERATE[sibling.kind]} (line {sibling.line}), {finding.symbol} does not"
        about = BY_ID["inconsistent-guard"]
        steps = (_step(sibling), *finding.steps)
        return replace(
            finding,
            weakness="inconsistent-guard",
            confidence="low",
            title=title,
            steps=steps,
            gets=about.gets,
            fix=about.fix,
        )


def _step(sibling: Sibling) -> Step:
    func = sibling.at.func
    return Step(
        func.path, sibling.line, f"{func.qual} has {DELIBERATE[sibling.kind]} before the same use", "guard"
    )
