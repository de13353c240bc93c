"""How far a scan is: what its caller is told, and the seconds that each stage took."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol


class Progress(Protocol):
    """Who wants to know how far the scan is."""

    def stage(self, name: str, total: float | None = None) -> None:
        """Begin a stage of `total` units of work (None: unknown)."""

    def advance(self, amount: float = 1.0) -> None:
        """Some units are done."""


class Silence:
    """Nobody wants to know."""

    def stage(self, name: str, total: float | None = None) -> None:
        """Say nothing."""

    def advance(self, amount: float = 1.0) -> None:
        """Say nothing."""


@dataclass(slots=True)
class Clock:
    """Seconds and peak memory by stage, passed on to the progress."""

    progress: Progress
    stages: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, total: float | None = None) -> Iterator[None]:
        """Time a stage."""
        self.progress.stage(name, total)
        began, used = time.perf_counter(), time.process_time()
        yield
        self.stages.append(
            {
                "name": name,
                "seconds": round(time.perf_counter() - began, 3),
                "cpu_seconds": round(time.process_time() - used, 3),
                "peak_bytes": peak_bytes(),
            }
        )


def peak_bytes() -> int:
    """Return the most memory that this process has had so far, pages of files that could be dropped included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
