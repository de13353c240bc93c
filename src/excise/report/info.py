"""`run.json` with types: what the reports may rely on, and what a run folder from elsewhere is held against."""

from __future__ import annotations

from typing import Any

import msgspec

from excise.model.run import RUN_SCHEMA


class Input(msgspec.Struct, frozen=True):
    """A file that was read."""

    path: str
    kind: str = ""
    format: str = ""
    rows: int = 0
    sha256: str = ""


class BadRowSample(msgspec.Struct, frozen=True):
    """One row that was left out."""

    path: str = ""
    row: int = 0
    reason: str = ""
    detail: str = ""


class Rejected(msgspec.Struct, frozen=True):
    """Rows that were left out, by reason."""

    rows: int = 0
    reasons: dict[str, int] = {}
    samples: list[BadRowSample] = []


class Unavailable(msgspec.Struct, frozen=True):
    """A kind of evidence that could not be looked at."""

    evidence: str
    why: str = ""


class Counts(msgspec.Struct, frozen=True):
    """How much was read and found."""

    exchanges: int = 0
    accounts: int = 0
    campaigns: int = 0
    accused_accounts: int = 0
    harvest_exchanges: int = 0
    verdicts: dict[str, int] = {}


class Period(msgspec.Struct, frozen=True):
    """First and last exchange, ISO times in UTC; None when nothing was read."""

    first: str | None = None
    last: str | None = None


class Event(msgspec.Struct, frozen=True):
    """Something dated that happened around the traffic."""

    at: str
    kind: str = ""
    label: str = ""


class Stage(msgspec.Struct, frozen=True):
    """How long one stage took, and the peak of memory up to its end."""

    name: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


class Timing(msgspec.Struct, frozen=True):
    """Seconds by stage and the peak of memory in bytes."""

    stages: list[Stage] = []
    peak_bytes: int = 0


class Info(msgspec.Struct, frozen=True):
    """All of `run.json`. A part that is absent is empty."""

    schema: int
    product: str = "excise"
    version: str = ""
    settings: dict[str, Any] = {}
    settings_hash: str = ""
    inputs: list[Input] = []
    rejected: Rejected = Rejected()
    unavailable: list[Unavailable] = []
    counts: Counts = Counts()
    period: Period = Period()
    events: list[Event] = []
    timing: Timing = Timing()


def typed(info: dict[str, Any]) -> Info:
    """`Run.info` with types. Raises `ValueError` where it does not fit or is of a newer schema."""
    found = msgspec.convert(info, Info)
    if not 1 <= found.schema <= RUN_SCHEMA:
        raise ValueError(f"schema {found.schema} is not known here (this version reads 1 to {RUN_SCHEMA})")
    return found
