"""What an inspection says: findings with their steps, and what could not be looked at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal


class Severity(IntEnum):
    """What it costs if the finding is right, given who can reach it."""

    NOTE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The name as people and options write it: `note` … `critical`."""
        return self.name.lower()

    def __reduce_ex__(self, protocol: object) -> tuple[type[Severity], tuple[int]]:
        """Pickle by value: Python 3.11.0 to 3.11.3 do it by `getattr`, which no process of an inspection reads."""
        return Severity, (self.value,)


Confidence = Literal["low", "medium", "high"]
"""How sure it is that the finding is right; says nothing of what it costs."""

Rule = Literal["source", "flow", "call", "sink", "missing", "guard", "present"]
"""How a step is to be replayed (`proof`):

source   `text` is on the line: untrusted data enters here
flow     `text` is on the line: the data moves on
call     `text` is on the line: the data goes into (or comes out of) the function that the next step is in
sink     `text` is on the line: what happens to it
missing  the fact is about what is not there; `text` is on the line where it would belong
guard    `text` is on the line: a check that a sibling has
present  `text` is on the line: its being there is the finding
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain: where, what it rests on, and the words of the file that show it.

    `path` is relative to the root of the tree with `/`; `line` counts from 1, 0 where the file has no lines (a binary
    artifact). `text` must occur in the file at `line` (or within the statement that starts there), so that a checker
    can look it up; it is empty only where `line` is 0.
    """

    path: str
    line: int
    fact: str
    rule: Rule = "present"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing an attacker could use.

    `weakness` is the id of an entry of `weakness.WEAKNESSES`. The place of the finding is its `path`, `line` and
    `symbol` (dotted name of the function, empty at module level or outside Python). `steps` lead there, in order.
    `controls` is what an attacker controls, `gets` what they get, `fix` how to mend it. `proven` is set by `proof`.
    """

    weakness: str
    severity: Severity
    confidence: Confidence
    path: str
    line: int
    title: str
    steps: tuple[Step, ...]
    controls: str
    gets: str
    fix: str
    symbol: str = ""
    analyser: str = ""
    proven: bool = False

    @property
    def fingerprint(self) -> str:
        """The same for the same finding when lines move: its class, file, symbol and the words of its last step."""
        words = " ".join(self.steps[-1].text.split()) if self.steps else self.title
        return digest(self.weakness, self.path, self.symbol, words)

    @property
    def shape(self) -> str:
        """As `fingerprint` without the file: what stays when the code moves to another file."""
        words = " ".join(self.steps[-1].text.split()) if self.steps else self.title
        return digest(self.weakness, self.symbol.rpartition(".")[2], words)


def digest(*parts: str) -> str:
    """24 hexadecimal digits that name `parts`."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]


GapReason = Literal[
    "unparsable", "too-large", "unreadable", "budget", "link", "special", "too-deep", "analyser"
]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something of the tree that was not looked at, or not wholly: never left out in silence."""

    path: str
    reason: GapReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was looked at: files and lines read, files of each kind that an analyser wanted, and the gaps."""

    files: int
    lines: int
    python_files: int
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Earlier:
    """A finding of an earlier run or of a list of accepted ones, as far as it is needed to know it again."""

    fingerprint: str
    shape: str
    path: str
    title: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of an earlier run's findings.

    `known` and `moved` are fingerprints of this run's findings, `moved` ones with another file; all others are new.
    Of the earlier ones that are gone, `fixed` lie in what was analysed, `unknown` in what was not (`Coverage.gaps`).
    """

    known: frozenset[str]
    moved: frozenset[str]
    fixed: tuple[Earlier, ...]
    unknown: tuple[Earlier, ...]

    def word(self, finding: Finding) -> str:
        """`known`, `moved` or `new`."""
        mark = finding.fingerprint
        return "known" if mark in self.known else "moved" if mark in self.moved else "new"


@dataclass(frozen=True, slots=True)
class Patch:
    """A change that an agent proposed for a finding, tried on a copy in memory. It is for a person to read and apply.

    `finding` is a fingerprint. `diff` is written by us from the texts before and after; empty where the proposal could
    not be applied, and `said` says why. `cleared`: the finding is gone and nothing new was found. `added` are the titles
    of what is new.
    """

    finding: str
    diff: str
    said: str
    cleared: bool = False
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one inspection. `findings` are ordered: the worst first, then by place."""

    root: str
    findings: tuple[Finding, ...]
    coverage: Coverage
    notes: tuple[str, ...] = ()
    changes: Changes | None = None
    patches: tuple[Patch, ...] = ()


SEVERITIES: Final = tuple(s.word for s in Severity)


def severity(word: str) -> Severity | None:
    """The severity of that name, None where there is none."""
    return Severity[word.upper()] if word in SEVERITIES else None


def fresh(report: Report) -> tuple[Finding, ...]:
    """The findings that `--fail-on` counts: all, or those that the baseline does not know."""
    if report.changes is None:
        return report.findings
    return tuple(f for f in report.findings if report.changes.word(f) == "new")
