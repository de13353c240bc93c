"""What is read again for people, where the files are: as `outcome.Source`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F  # noqa: N812  as everybody names it

from excise.ingest.traffic import Input
from excise.judge.wrapper import MOST_CHARACTERS
from excise.model.tables import I64
from excise.spark.files import Found, Options
from excise.spark.reading import Taker, from_stream
from excise.state.segment import SEGMENT_SHIFT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True, slots=True)
class Texts:
    """What is read again for people: ids of the harvest, and beginnings of a few requests of each accused cluster."""

    session: SparkSession
    found: Found
    options: Options
    read: tuple[Input, ...]

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every file that was read."""
        return (*self.found.sides.inputs, *self.read)

    @property
    def events(self) -> Any:
        """The events table."""
        return self.found.sides.events

    def take(self, rows: I64, columns: Sequence[str]) -> pa.Table:
        """Return these rows (sorted, distinct), in that order; texts are cut where a wrapper ends at the latest."""
        self.session.sparkContext.setJobDescription("excise: read ids and beginnings again")
        files = np.unique(rows >> SEGMENT_SHIFT).tolist()
        every = len(self.found.units)
        wanted = self.session.range(0, every, 1, every).filter(F.col("id").isin(files))
        taker = Taker(self.found.units, self.options, rows, tuple(columns), beginnings)
        parts = wanted.mapInArrow(taker, "row long, data binary").orderBy("row").toArrow()
        return pa.concat_tables([from_stream(d.as_buffer()) for d in parts["data"]])


def beginnings(table: pa.Table) -> pa.Table:
    """Cut texts to what a wrapper shows at most; ids stay."""
    for k, name in enumerate(table.column_names):
        if name != "exchange_id":
            table = table.set_column(k, name, pc.utf8_slice_codeunits(table[name], 0, MOST_CHARACTERS))
    return table
