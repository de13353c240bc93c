"""What a log format is: how to recognise one of its records, and how to turn a stream of them into contract rows.

A reader is a value. Decoding bytes into records (NDJSON, a JSON array, JSON objects one after the other, CSV)
and typing rows into Arrow are done once, for all formats, outside the readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from excise.errors import BadRow

Record = Mapping[str, Any]
"""One decoded JSON object (or CSV line) of hostile content: any key may be missing or of a wrong type."""

Row = dict[str, Any]
"""Contract column -> value. Text as `str`, times as aware `datetime` or as int microseconds since 1970 UTC,
lists as `list[str]`; absent columns are left out. The typing step rejects what does not fit, as a bad row."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One log format.

    `matches` looks at one decoded record; `convert` takes the stream of records of one file in order and yields, for
    each model call in it, a row, or the `BadRow` that says why there is none. A record that is no model call
    yields nothing. It never raises for bad content.
    """

    id: str
    title: str
    carries: tuple[str, ...]
    lacks: str
    matches: Callable[[Record], bool]
    convert: Callable[[Iterable[Record]], Iterator[Row | BadRow]]
