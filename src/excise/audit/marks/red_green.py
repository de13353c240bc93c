"""Red and green: the strongest trace, at a cost in quality; for flagged clusters only."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.audit import prf
from excise.audit.marks.mark import Mark
from excise.audit.prf import U64, Numbers

DELTA: Final = 2.0
"""Added to the logit of a green token, natural logarithm. Source: Kirchenbauer et al. 2023, section 6, delta = 2."""


def changed(probabilities: Numbers, drawn: U64) -> Numbers:
    """Half of all tokens, chosen by their own coin, get `DELTA` more logit."""
    raised = probabilities * np.where(drawn >> np.uint64(63), np.exp(DELTA), 1.0)
    return raised / raised.sum(axis=-1, keepdims=True)


RED_GREEN: Final = Mark(
    id="red-green",
    kind=prf.BIT,
    distortion_free=False,
    source="Kirchenbauer et al. 2023, A Watermark for Large Language Models, algorithm 2; one coin a token, not a list of fixed size",
    costs="likelier tokens are passed over where they are red; least where one token is nearly certain",
    broken_by="paraphrase by a model of another owner; who learns the green lists of frequent contexts can imitate or remove them",
    changed=changed,
)
