"""From pieces of evidence to one number: log-odds, discounted where pieces may say the same thing twice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from excise.model.findings import Evidence, Layer


@dataclass(frozen=True, slots=True)
class FuseSettings:
    """Numbers that turn evidence into a judgement.

    prior: log-odds that the smallest clusters are a campaign, before looking (-6: one in 400; of all clusters about one in
        60 held a campaign in the worlds that this was chosen on). largest: accounts of the largest campaign that is expected
        (the scale on which the prior of a cluster's size rests; references.md, techniques: 273 to 25,000). second: what a further piece of one layer counts, 0 to 1 (pieces of a layer are
        dependent; 0.3 is a design effect of about 3). layer_most: most that one layer counts, in nats.
    layer_least: what a layer must show to count as one of the two that are needed (nats; p below 0.045).
    relay_prior: log-odds that a cluster that conversations or devices join is a relay (most are). accuse: confidence from which a verdict accuses, 0 to 1. uniform: share of wrapped exchanges from which a pool has no
        customers of its own to speak of. one_customer: the same where wrapped exchanges mostly have a system prompt: so little else is one customer's, not a relay's many. explained: what a likely innocent explanation takes off, in nats (a factor of 50);
        evidence of one layer alone is worth even odds at most. kindred_life: nats for a group that leads one life (from `layer_least` on) beside a
        kindred one (from `kindred_least` on): the life that two small groups share holds for the accounts of both. dependent: how many times more often than independent ones the layers
    of innocent pairs are taken to come together (in the worlds that this was chosen on none showed two, and groups of four to seven came close to this factor).
    """

    prior: float = -6.0
    largest: float = 1000.0
    second: float = 0.3
    layer_most: float = 5.0
    layer_least: float = 1.0
    relay_prior: float = -1.0
    accuse: float = 0.9
    uniform: float = 0.5
    one_customer: float = 0.75
    explained: float = 4.0
    dependent: float = 4.0
    kindred_least: float = 2.5
    kindred_life: float = 1.25


_WORTH_SAYING = 0.05
"""Nats below which a piece of evidence is no evidence."""


@dataclass(frozen=True, slots=True)
class Fused:
    """`evidence` as it counted (its log-odds after the discount), the sum with the prior, and what each layer shows."""

    evidence: tuple[Evidence, ...]
    log_odds: float
    layers: Mapping[Layer, float]

    def independent(self, least: float) -> int:
        """Return how many layers show at least `least`."""
        return sum(value >= least for value in self.layers.values())


def size_prior(sizes: Sequence[int], settings: FuseSettings) -> list[float]:
    """Return the prior log-odds of each cluster, given its size: benign groups are mostly small, campaigns are not.

    The prior of the smallest, plus ln(share of campaigns this large / share of this deployment's clusters this large); sizes
    of campaigns are taken as log-uniform from 2 to `largest`.
    """
    n = np.asarray(sizes, np.float64)
    at_least = np.searchsorted(np.sort(n), n, side="left")
    here = np.maximum(len(n) - at_least, 1) / max(len(n), 1)
    campaigns = np.maximum(
        0.05, 1.0 - np.log(np.maximum(n, 2.0) / 2.0) / math.log(max(settings.largest, 3.0) / 2.0)
    )
    return [float(x) for x in settings.prior + np.maximum(0.0, np.log(campaigns / here))]


def joint_log_odds(
    layers: Sequence[Mapping[Layer, float]], sizes: Sequence[int], settings: FuseSettings
) -> list[float]:
    """Return, for each pair of accounts, log-odds from how seldom pairs show its layers (-inf where that says nothing, and for larger clusters).

    For pairs, whose evidence is capped and yet hardly ever comes together: of hundreds of pairs of strangers a handful shows
    anything in any one layer. Of n pairs, n times the shares that show each of these layers as strongly are expected to show
    all of them, if layers are independent; they are taken to come together `dependent` times as often, and one campaign is set
    against what is expected. Pairs that are campaigns are among the n, so this is cautious. O(n log n).
    """
    pairs = [k for k, n in enumerate(sizes) if n == 2]
    names = sorted({name for k in pairs for name in layers[k]})
    shown = {name: np.sort([layers[k].get(name, 0.0) for k in pairs]) for name in names}
    out = [-math.inf] * len(layers)
    for k in pairs:
        strong = {name: value for name, value in layers[k].items() if value >= settings.layer_least}
        if len(strong) > 1:
            shares = [1.0 - np.searchsorted(shown[n], v, side="left") / len(pairs) for n, v in strong.items()]
            out[k] = -math.log(settings.dependent * len(pairs) * math.prod(shares))
    return out


def fuse(evidence: Iterable[Evidence], prior: float, settings: FuseSettings) -> Fused:
    """Add evidence over the layers to the prior log-odds. In a layer the strongest piece counts whole, others `second`, all at most `layer_most`."""
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
    return Fused(
        tuple(e for e in counted if e.log_odds >= _WORTH_SAYING), prior + sum(layers.values()), layers
    )
