"""Facts that only the edge saw (address, network, TLS fingerprint), joined to exchanges by `exchange_id`.

What the exchange itself says wins; the edge fills what is null. The edge table is held in memory: its columns, and
about 200 bytes a row for the index.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from excise.model.schema import EXCHANGES

_NEVER: Final = frozenset({"started_at", "account_id", "model"})
EDGE: Final = pa.schema([column for column in EXCHANGES if column.name not in _NEVER])
"""An edge table's columns: `exchange_id`, and any of the exchanges' columns that are not required there."""


class EdgeFacts:
    """An edge table with an index. The first row of an id counts."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.combine_chunks()
        ids = self._table.column("exchange_id").to_pylist()
        self._rows = {name: row for row, name in zip(range(len(ids) - 1, -1, -1), reversed(ids), strict=True)}
        self._names = [
            name
            for name in EDGE.names
            if name != "exchange_id" and table.column(name).null_count < table.num_rows
        ]

    def fill(self, batch: Any) -> Any:
        """The batch of exchanges with its nulls filled where the edge knows more."""
        rows = pa.array(map(self._rows.get, batch.column("exchange_id").to_pylist()), pa.int64())
        for name in self._names:
            where = batch.schema.get_field_index(name)
            facts = self._table.column(name).take(rows).combine_chunks()
            mine = batch.column(where)
            filled = pc.if_else(mine.is_valid(), mine, facts)
            batch = batch.set_column(where, batch.schema.field(where), filled)
        return batch
