"""`excise audit score`."""

from __future__ import annotations


def score() -> None:
    """To be written."""
    raise NotImplementedError
