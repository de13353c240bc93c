"""What a format's reader says of a file, and the finding that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from excise.inspect.artifacts.pickles import Seen, names
from excise.inspect.finding import Confidence, Finding, Severity, Step
from excise.inspect.tree import Source
from excise.inspect.weakness import BY_ID


@dataclass(frozen=True, slots=True)
class Said:
    """One fact about an artifact: its class, how bad it is, and what it is in words. `line` is 0 in binary files."""

    weakness: str
    severity: Severity
    what: str
    confidence: Confidence = "high"
    line: int = 0
    words: str = ""


CONTROLS: Final = "the file: whoever trained, converted, uploaded or mirrored it"


def finding(source: Source, said: Said) -> Finding:
    """The finding of a fact."""
    weakness = BY_ID[said.weakness]
    words = (
        said.words
        if said.line and said.words in source.line(said.line)
        else source.line(said.line).strip()[:160].strip()
    )
    step = Step(source.path, said.line, said.what, "present", words if said.line else "")
    return Finding(
        weakness.id,
        said.severity,
        said.confidence,
        source.path,
        said.line,
        said.what,
        (step,),
        CONTROLS,
        weakness.gets,
        weakness.fix,
    )


def of_pickles(seen: Seen, where: str = "") -> list[Said]:
    """What the pickles of a file come to: the worst of what they name, and whether they were read to the end."""
    prefix = f"{where}: " if where else ""
    said = []
    dangerous, unknown = seen.of("dangerous"), seen.of("unknown")
    if dangerous:
        severity = Severity.CRITICAL if dangerous[0].called else Severity.HIGH
        said.append(Said("artifact-code", severity, f"{prefix}loading it calls {names(dangerous)}"))
    elif seen.unknown:
        said.append(
            Said(
                "artifact-code",
                Severity.HIGH,
                f"{prefix}loading it calls what only shows while it runs (byte {seen.unknown[0]:,})",
            )
        )
    elif unknown:
        severity = Severity.MEDIUM if unknown[0].called else Severity.LOW
        said.append(
            Said(
                "artifact-code",
                severity,
                f"{prefix}loading it runs code that is on no list: {names(unknown)}",
                "medium",
            )
        )
    if seen.ended and (seen.pickles or seen.uses or where):
        said.append(Said("artifact-structure", Severity.MEDIUM, f"{prefix}{seen.ended}", "medium"))
    return said


def broken(what: str, severity: Severity = Severity.LOW) -> Said:
    """A file that is not what its name says, or ends early."""
    return Said("artifact-structure", severity, what)
