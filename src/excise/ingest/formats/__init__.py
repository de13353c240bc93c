"""The log formats that a scan can read besides the contract's own tables: one file a format, one line here."""

from __future__ import annotations

from excise.ingest.reader import Reader

READERS: tuple[Reader, ...] = ()
