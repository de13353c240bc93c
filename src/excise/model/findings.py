"""What a scan says: campaigns with their evidence and the innocent explanations that were tried.

Thousands of values at most, hence frozen dataclasses; `report.folder` writes them as `campaigns.json`.
Optional parts (`timeline`, `wrapper`, `graph`, `marks`) go beyond the contract's fields and serve the reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["distillation", "relay", "shared-client", "undetermined"]
Layer = Literal["account", "content", "time", "deterministic"]
InnocentVerdict = Literal["ruled-out", "possible", "likely"]

ACCUSING: tuple[Verdict, ...] = ("distillation", "relay")
LAYERS: tuple[Layer, ...] = ("account", "content", "time", "deterministic")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finding of one detector about one cluster. `log_odds` is natural, after the discount for dependence."""

    detector: str
    layer: Layer
    statement: str
    value: float
    baseline: float
    log_odds: float


@dataclass(frozen=True, slots=True)
class Innocent:
    """A benign explanation that was tested against the cluster."""

    name: str
    verdict: InnocentVerdict
    why: str


@dataclass(frozen=True, slots=True)
class Example:
    """A redacted excerpt. `kind`: `wrapper`, `request`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the wrapper: shared words (`fixed`) or a gap that every request fills differently."""

    text: str
    fixed: bool


@dataclass(frozen=True, slots=True)
class Wrapper:
    """What the cluster's requests have in common, aligned. `share`: of the harvest rows that were compared, 0 to 1."""

    segments: tuple[Segment, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """One value a day from `first_day` (ISO date, UTC)."""

    first_day: str
    exchanges: tuple[int, ...]
    harvest: tuple[int, ...]
    active_accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A dated fact to draw on a timeline: a model release, or how many members were suspended that day."""

    at: str
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Link:
    """Two members (positions in `Graph.accounts`), how strongly they are linked (log-odds), and by which layers."""

    a: int
    b: int
    weight: float
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """How the accounts hang together; `of` is the number of members when only the best linked are drawn."""

    accounts: tuple[str, ...]
    links: tuple[Link, ...]
    of: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """A cluster of accounts that was judged. Field meanings are the data contract's."""

    campaign_id: str
    verdict: Verdict
    confidence: float
    q_value: float
    accounts: int
    exchanges: int
    harvest_exchanges: int
    first_seen: str
    last_seen: str
    capabilities: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    innocent: tuple[Innocent, ...]
    examples: tuple[Example, ...]
    timeline: Timeline | None = None
    marks: tuple[Mark, ...] = ()
    wrapper: Wrapper | None = None
    graph: Graph | None = None
