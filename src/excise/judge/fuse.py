"""From pieces of evidence to one number: log-odds, discounted where pieces may say the same thing twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from excise.model.findings import Evidence, Layer


@dataclass(frozen=True, slots=True)
class FuseSettings:
    """Numbers that turn evidence into a judgement.

    prior: log-odds that a cluster is a campaign before looking (-5: one in 150; the disclosed campaigns are about 1 % of
        accounts, threat.md section 6). second: what a further piece of one layer counts, 0 to 1 (pieces of a layer are
        dependent; 0.3 is a design effect of about 3). layer_most: most that one layer counts, in nats.
    layer_least: what a layer must show to count as one of the two that are needed (nats; a Bayes factor of 4.5).
    accuse: confidence from which a verdict accuses, 0 to 1. uniform: share of wrapped exchanges from which a pool has no
        customers of its own to speak of.
    """

    prior: float = -5.0
    second: float = 0.3
    layer_most: float = 5.0
    layer_least: float = 1.5
    accuse: float = 0.9
    uniform: float = 0.5


@dataclass(frozen=True, slots=True)
class Fused:
    """`evidence` as it counted (its log-odds after the discount), the sum with the prior, and what each layer shows."""

    evidence: tuple[Evidence, ...]
    log_odds: float
    layers: Mapping[Layer, float]

    def independent(self, least: float) -> int:
        """Return how many layers show at least `least`."""
        return sum(value >= least for value in self.layers.values())


def fuse(evidence: Iterable[Evidence], settings: FuseSettings) -> Fused:
    """Add evidence over the layers. In a layer the strongest piece counts whole, others `second`, all at most `layer_most`."""
    by_layer: dict[Layer, list[Evidence]] = {}
    for piece in sorted(evidence, key=lambda e: (-e.log_odds, e.detector)):
        by_layer.setdefault(piece.layer, []).append(piece)
    counted: list[Evidence] = []
    layers: dict[Layer, float] = {}
    for layer, pieces in by_layer.items():
        values = [p.log_odds * (1.0 if i == 0 else settings.second) for i, p in enumerate(pieces)]
        most = settings.layer_most if layer != "deterministic" else 2 * settings.layer_most
        scale = min(1.0, most / sum(values)) if sum(values) > 0 else 1.0
        counted += [replace(p, log_odds=v * scale) for p, v in zip(pieces, values, strict=True)]
        layers[layer] = sum(values) * scale
    return Fused(tuple(counted), settings.prior + sum(layers.values()), layers)
