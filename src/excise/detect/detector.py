"""What a detector is: a question, its innocent explanation, and pure functions that answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from excise.model.clusters import Clusters, Ties
from excise.model.findings import Evidence, Layer
from excise.model.tables import I64, Bool, Traffic

Settings = Mapping[str, float]
Claim = Literal["campaign", "relay"]


@dataclass(frozen=True, slots=True)
class Marks:
    """One value an account: whether it shows the signal, and whether the input lets one know.

    `denied`: what is known speaks against its belonging. `doubted`: it says too little for one that shows no signal at all.
    """

    shows: Bool
    known: Bool
    denied: Bool | None = None
    doubted: Bool | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that decides something: its default, its unit, and where it comes from."""

    default: float
    unit: str
    source: str


TieFunction = Callable[[Traffic, Settings], Ties]
MarkFunction = Callable[[Traffic, Clusters, Settings], Marks]
RowFunction = Callable[[Traffic, Clusters, Settings], I64]
MeasureFunction = Callable[[Traffic, Clusters, Settings], "Sequence[Evidence | None]"]


@dataclass(frozen=True, slots=True)
class Detector:
    """One signal.

    `ties` finds pairs of accounts that it relates, before there are clusters. `marks` says which accounts of the clusters
    show it; the share of marked members against this deployment's other groups is then the cluster's evidence, in the
    words of `statement` (with {share} and {baseline}). `rows` says which exchanges show it. `measure` is for a signal that is no share of members.
    `compared`: it is content that is compared with groups against which nothing else speaks (`Clusters.plain`).
    `claim`: what it is evidence of; a relay alone is no harvest. `needs` are the kinds of evidence in the input (`Traffic.available`) without which it is skipped and said.
    """

    id: str
    layer: Layer
    question: str
    innocent: str
    source: str
    needs: frozenset[str]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    statement: str = ""
    claim: Claim = "campaign"
    ties: TieFunction | None = None
    marks: MarkFunction | None = None
    rows: RowFunction | None = None
    measure: MeasureFunction | None = None
    compared: bool = False

    def settings(self, overrides: Settings) -> dict[str, float]:
        """Return the parameters with a user's overrides."""
        return {name: float(overrides.get(name, p.default)) for name, p in self.parameters.items()}


SHARE_PARAMETERS: Mapping[str, Parameter] = {
    "floor": Parameter(
        0.05, "share of members", "least baseline: coincidences of this kind exist in every deployment"
    ),
    "by_size": Parameter(0, "0 or 1", "1: compare with groups of at least half the size only"),
    "least_share": Parameter(0.2, "share of members", "a signal of a few members says nothing of the others"),
    "most_log_odds": Parameter(
        4.0, "nats", "no one signal decides: its model of the innocent may be wrong once in 50"
    ),
}
"""Parameters of every detector that marks members."""
