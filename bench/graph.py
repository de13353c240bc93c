"""Connected components, as the baselines use them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]


def connected(nodes: int, a: I64, b: I64) -> I64:
    """Return for each node the smallest node that it is connected with."""
    label = np.arange(nodes)
    while True:
        low = np.minimum(label[a], label[b])
        further = label.copy()
        np.minimum.at(further, label[a], low)
        np.minimum.at(further, label[b], low)
        further = further[further]
        if np.array_equal(further, label):
            return label
        label = further
