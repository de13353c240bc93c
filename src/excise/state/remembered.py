"""What a report reads of a continued scan: inputs, ids and beginnings of requests of every file that was read by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from excise.ingest.traffic import Input
from excise.ingest.traffic import Traffic as Opened
from excise.model.tables import I64
from excise.state.folder import State


@dataclass(frozen=True, slots=True)
class Remembered:
    """The inputs of a continued scan, as the report of any scan reads them."""

    state: State
    opened: Opened

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every file of exchanges that was read by now, and this scan's other tables."""
        old = tuple(i for meta in self.state.segments.values() for i in meta.inputs)
        return (*(i for i in self.opened.inputs if i.kind != "exchanges"), *old)

    @property
    def events(self) -> Any:
        """The events table."""
        return self.opened.events

    def take(self, rows: I64, columns: Sequence[str]) -> pa.Table:
        """Return rows (sorted, distinct), in that order."""
        return self.state.take(rows, columns)
