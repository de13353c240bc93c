"""Re-ranking: of several whole answers the key chooses one. For gateways that see no logits; costs that many answers.

Source: Bahri and Wieting 2024, "A Watermark for Black-Box Language Models" (arXiv 2410.02099), section 3: candidates are
independent samples, so that the best by a keyed score that is alike for all of them is a sample too, whatever the key.
Here a candidate's score is the standardised sum of 2 U - 1 over its distinct tuples. It is alike for candidates of every
length up to its distance from the normal law; candidates that share tuples share coins, which costs trace and no quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from excise.audit import prf
from excise.audit.tokens import counted, windows

if TYPE_CHECKING:
    from excise.audit.prf import U64
    from excise.audit.tokens import Tokenizer


def chosen(candidates: Sequence[str], key: bytes, tokenizer: Tokenizer, context: int = 1) -> int:
    """The place of the answer to serve. Raises `ValueError` where there is none to choose from."""
    if not candidates:
        raise ValueError("there is no candidate")
    return int(np.argmax([keyed_score(windows(tokenizer(text), context), key) for text in candidates]))


def keyed_score(tuples: U64, key: bytes) -> float:
    """Sum of 2 U - 1 over distinct tuples, divided by its standard deviation under a random key, sqrt(n / 3)."""
    distinct = counted([tuples]).tuples
    if not len(distinct):
        return 0.0
    scores = prf.scores(prf.draws(key, distinct), prf.UNIFORM)
    return float(scores.sum() / np.sqrt(len(distinct) / 3.0))
