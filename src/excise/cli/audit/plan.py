"""`excise audit plan`."""

from __future__ import annotations


def plan() -> None:
    """To be written."""
    raise NotImplementedError
