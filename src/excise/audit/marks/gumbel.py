"""Gumbel: the key's numbers take the place of chance, so over random keys nothing changes; for all traffic."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.audit import prf
from excise.audit.marks.mark import Mark
from excise.audit.prf import U64, Numbers


def changed(probabilities: Numbers, drawn: U64) -> Numbers:
    """All probability goes to the token of largest U^(1/p), which is token v with probability p(v) over the key."""
    with np.errstate(divide="ignore"):
        contest = np.log(prf.unit(drawn)) / probabilities  # p = 0 gives -inf: never chosen
    chosen = np.zeros(probabilities.shape)
    np.put_along_axis(chosen, contest.argmax(axis=-1)[..., None], 1.0, axis=-1)
    return chosen


GUMBEL: Final = Mark(
    id="gumbel",
    kind=prf.UNIFORM,
    distortion_free=True,
    source="Aaronson 2022, talk on AI safety; Kuditipudi et al. 2023, Robust Distortion-free Watermarks, section 2.2",
    costs="nothing on average over keys; one prompt asked again gives the same answer until a context repeats",
    broken_by="paraphrase; low entropy leaves little trace; a student that learns one fixed answer a context shows it to who asks often",
    changed=changed,
)
