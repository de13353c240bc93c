"""The cycle collector, switched off: syntax trees and notes have no cycles, and looking for some costs more than both."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the cycle collector, which else takes a third of an inspection and most of reading a cache."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
