"""What a surface says of one place in a file, and the finding that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from excise.inspect.finding import Confidence, Finding, Severity, Step
from excise.inspect.tree import Source
from excise.inspect.weakness import BY_ID

LONGEST_WORDS = 160


class Verdict(IntEnum):
    """What a place does by itself, from the least to the worst."""

    INERT = 0
    """Nothing runs and nobody is told anything."""
    ON_TRUST = 1
    """Runs after the user said yes once: to a folder, a hook, an installation, a test run."""
    BEFORE_TRUST = 2
    """Runs, or takes effect, with nobody asked."""
    HIDDEN_TEXT = 3
    """Says something to a program that a person does not see."""
    EXFILTRATES = 4
    """Sends secrets to somebody."""

    def __reduce_ex__(self, protocol: object) -> tuple[type[Verdict], tuple[int]]:
        """Pickle by value, as `Severity` is."""
        return Verdict, (self.value,)

    @property
    def word(self) -> str:
        """The verdict in words."""
        return _WORDS[self]


_WORDS: Final = {
    Verdict.INERT: "inert",
    Verdict.ON_TRUST: "executes on trust",
    Verdict.BEFORE_TRUST: "executes before trust",
    Verdict.HIDDEN_TEXT: "hidden text",
    Verdict.EXFILTRATES: "exfiltrates",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One place: its line, the verdict, how bad it is, what it does in a few words, and the words that show it."""

    line: int
    verdict: Verdict
    severity: Severity
    what: str
    words: str = ""
    weakness: str = "runs-on-open"
    confidence: Confidence = "high"


CONTROLS: Final = "the file: its author, a pull request, a package or an archive that was handed over"


def finding(source: Source, mark: Mark, surface: str) -> Finding:
    """The finding of a mark."""
    weakness = BY_ID[mark.weakness]
    words = shown(source, mark.line, mark.words)
    return Finding(
        weakness=weakness.id,
        severity=mark.severity,
        confidence=mark.confidence,
        path=source.path,
        line=mark.line,
        title=f"{mark.verdict.word}: {mark.what}",
        steps=(
            Step(source.path, mark.line, f"{mark.what} ({surface}; {mark.verdict.word})", "present", words),
        ),
        controls=CONTROLS,
        gets=weakness.gets,
        fix=weakness.fix,
    )


def shown(source: Source, line: int, words: str) -> str:
    """The words of a line that a checker can find again: those wanted where they stand there, else the line's own."""
    here = source.line(line)
    first = words.strip().split("\n", 1)[0][:LONGEST_WORDS].strip()
    return first if first and first in here else here.strip()[:LONGEST_WORDS].strip()
