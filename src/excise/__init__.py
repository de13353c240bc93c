"""Excise: find distillation campaigns in the API logs of a language model, and say why.

`excise.scan(source, ...)` returns the run (see `excise.pipeline.scan`); it is loaded when first used, so that
`import excise` and `excise --help` stay quick.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from excise.pipeline import scan as scan

__version__ = "0.2.0"
__all__ = ["__version__", "scan"]


# Arrow's allocator reads these once, when it is loaded: it then takes and returns memory less often, a tenth of a scan's time.
os.environ.setdefault("MIMALLOC_ARENA_EAGER_COMMIT", "1")
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "200")


def __getattr__(name: str) -> Any:
    """Load `scan` on first use."""
    if name == "scan":
        from excise.pipeline import scan  # noqa: PLC0415  the whole point

        return scan
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
