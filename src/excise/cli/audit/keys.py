"""`excise audit keys`."""

from __future__ import annotations


def keys() -> None:
    """To be written."""
    raise NotImplementedError
