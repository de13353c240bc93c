"""How much memory a scan may take, and where its tables lie then."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from excise.engine.store import Files, Memory, Store
from excise.errors import UsageError

GIB: Final = 1 << 30
ROW_BYTES: Final = 450
"""Of the tables, an exchange: measured with docs/benchmarks/speed.md; long texts leave up to three times as much."""
_BASE_BYTES: Final = 400 << 20
_ACCOUNT_BYTES: Final = 700
_PASS_BYTES: Final = 56
"""What no file takes off: libraries and kernels; an account's row, name and result; an exchange's place in one pass over all, and its rare phrases."""
_TABLES: Final = 4
"""Tables of more than this part of the memory lie in files: sorting and linking need the rest."""

_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Budget:
    """`memory` in bytes; `folder` is where tables lie that do not fit."""

    memory: int
    folder: Path

    def store(self, rows: int) -> Store:
        """Return where the tables of so many exchanges lie."""
        if rows * ROW_BYTES * _TABLES <= self.memory:
            return Memory()
        return Files(self.folder)

    def check(self, rows: int, accounts: int) -> None:
        """Raise `UsageError` where the memory cannot be enough for so many exchanges and accounts, tables in files."""
        needed = _BASE_BYTES + accounts * _ACCOUNT_BYTES + rows * _PASS_BYTES
        if needed > self.memory:
            raise UsageError(
                f"{rows:,} exchanges of {accounts:,} accounts need about {needed / GIB:.1f} GiB of memory, {self.memory / GIB:.1f} are allowed",
                subject="--memory",
                hint=f"allow more (--memory {needed / GIB + 0.1:.1f}GiB), or scan a shorter period",
            )

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn a refusal of memory by the system into a `UsageError` that says what to do."""
        try:
            yield
        except MemoryError as error:
            raise UsageError(
                f"the system gave no more memory; {self.memory / GIB:.1f} GiB were allowed",
                subject="--memory",
                hint="allow what is really free, so that tables lie in files of --spill in time, or scan a shorter period",
            ) from error


def memory_there() -> int:
    """Return the bytes of memory of this machine, or of the container if that allows less."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(there, int(_CGROUP.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return there


def parse_bytes(text: str) -> int:
    """Read `3GiB`, `3G` or `3000M` (powers of 1,024) as bytes. Raises `UsageError`."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not found or not float(found[1]):
        raise UsageError(
            f"{text[:40]!r} is no amount of memory", subject="--memory", hint="write 3GiB or 3000M"
        )
    return int(float(found[1]) * _UNITS[found[2]])
