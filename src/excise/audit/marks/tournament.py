"""Tournament: eight rounds in which the candidate with the keyed bit goes on; free on average over keys, and weaker."""

from __future__ import annotations

from typing import Final

from excise.audit import prf
from excise.audit.marks.mark import Mark
from excise.audit.prf import U64, Numbers


def changed(probabilities: Numbers, drawn: U64) -> Numbers:
    """Each round multiplies p(v) by 1 + g(v) - sum of p g: the winner of two candidates of one distribution, in closed form."""
    bits = prf.layers(drawn)
    p = probabilities
    for layer in range(prf.LAYERS):
        g = bits[..., layer]
        p = p * (1.0 + g - (p * g).sum(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


TOURNAMENT: Final = Mark(
    id="tournament",
    kind=prf.LAYERED,
    distortion_free=True,
    source="Dathathri et al. 2024, Scalable watermarking for identifying large language model outputs (SynthID-Text), methods, two candidates a round",
    costs="nothing on average over keys, and answers still vary",
    broken_by="paraphrase; low entropy; needs the most text of the three",
    changed=changed,
)
