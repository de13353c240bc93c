"""Compile numeric kernels: without the interpreter's lock, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True, "_nrt": False}


def uncounted(function: F) -> F:
    """Compile a function that neither makes nor returns an array: references to arrays are not counted then.

    Numba counts, by atomic steps, whenever an array leaves a tuple or goes on to another function, which took a third of the
    time of loops that call a function for each of many short lists.
    """
    compiled: F = numba.njit(**_OPTIONS)(function)
    return compiled


def inlined(function: F) -> F:
    """As `uncounted`, but never called: a call hands over every field of every array."""
    compiled: F = numba.njit(**_OPTIONS, forceinline=True)(function)
    return compiled
