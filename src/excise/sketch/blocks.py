"""Sketched rows as bytes: one block holds some rows of one range of account hashes, all their columns and lists.

A block is what is kept between the reading of texts and the sort: in memory, in a spill file or in the state of a
continued scan. Layout, little-endian: the number of rows and of the values of each list (i64), then each column, each
list's lengths (u32) and values (u64), every part padded to 8 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from excise.model.ragged import Ragged
from excise.model.tables import U64

COLUMNS: Final[tuple[tuple[str, npt.DTypeLike], ...]] = (
    ("row", np.int64),
    ("id", np.uint64),
    ("at", np.int64),
    ("session", np.uint64),
    ("end_user", np.uint64),
    ("net", np.uint64),
    ("client", np.uint64),
    ("device", np.uint64),
    ("sampling", np.uint64),
    ("model", np.uint64),
    ("tokens", np.uint32),
    ("doc", np.uint64),
    ("cues", np.uint64),
    ("messages", np.int32),
    ("refused", np.uint8),
    ("relay", np.uint8),
    ("tools", np.uint8),
    ("account", np.uint64),
    ("system", np.uint64),
)
"""As in `Exchanges`, but `account` is the hash of its name, `system` of the prompt's bytes (0: none), `cues` not families yet."""
LISTS: Final = ("shingles", "marks", "wide_in", "wide_out", "emitted", "replayed")
_HEAD: Final = 1 + len(LISTS)
_PAD: Final = 8


@dataclass(frozen=True, slots=True)
class Rows:
    """Unpacked rows: `columns` by name as in `COLUMNS`, `lists` by name as in `LISTS`."""

    columns: dict[str, np.ndarray]
    lists: dict[str, Ragged]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["row"])


def bucket_of(account: U64, bits: int) -> npt.NDArray[np.uint16]:
    """Return which of 2^`bits` ranges of account hashes each account is in."""
    if not bits:
        return np.zeros(len(account), np.uint16)
    return (account >> np.uint64(64 - bits)).astype(np.uint16)


def pack(rows: Rows, bits: int) -> list[tuple[int, bytes]]:
    """Split rows by the range of their account's hash: (range, block), only ranges with rows."""
    bucket = bucket_of(rows.columns["account"], bits)
    order = np.argsort(bucket, kind="stable")
    ends = np.cumsum(np.bincount(bucket, minlength=1 << bits))
    columns = {name: rows.columns[name][order].astype(dtype, copy=False) for name, dtype in COLUMNS}
    lists = {name: rows.lists[name].take(order) for name in LISTS}
    out, start = [], 0
    for k, end in enumerate(ends.tolist()):
        if end > start:
            out.append((k, _block(columns, lists, start, end)))
        start = end
    return out


def _block(columns: Mapping[str, np.ndarray], lists: Mapping[str, Ragged], start: int, end: int) -> bytes:
    values = {n: r.values[r.offsets[start] : r.offsets[end]] for n, r in lists.items()}
    parts: list[np.ndarray] = [np.array([end - start, *(len(values[name]) for name in LISTS)], np.int64)]
    parts += [columns[name][start:end] for name, _ in COLUMNS]
    for name in LISTS:
        parts += [np.diff(lists[name].offsets[start : end + 1]).astype(np.uint32), values[name]]
    return b"".join(piece for part in parts for piece in (part.data, b"\0" * (-part.nbytes % _PAD)))


def unpack(blocks: Iterable[bytes | memoryview]) -> Rows:
    """Join blocks, in their order; a piece of bytes may hold several."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name, _ in COLUMNS}
    lengths: dict[str, list[np.ndarray]] = {name: [] for name in LISTS}
    values: dict[str, list[np.ndarray]] = {name: [] for name in LISTS}
    for data in blocks:
        at = 0
        while at < len(data):
            head = np.frombuffer(data, np.int64, _HEAD, at)
            at += head.nbytes
            rows = int(head[0])
            for name, dtype in COLUMNS:
                at = _read(data, dtype, rows, at, parts[name])
            for name, count in zip(LISTS, head[1:].tolist(), strict=True):
                at = _read(data, np.uint32, rows, at, lengths[name])
                at = _read(data, np.uint64, count, at, values[name])
    columns = {name: _joined(parts[name], dtype) for name, dtype in COLUMNS}
    return Rows(columns, {name: _ragged(lengths[name], values[name]) for name in LISTS})


def _read(data: bytes | memoryview, dtype: npt.DTypeLike, count: int, at: int, into: list[np.ndarray]) -> int:
    part = np.frombuffer(data, dtype, count, at)
    into.append(part)
    return at + part.nbytes + -part.nbytes % _PAD


def _joined(parts: list[np.ndarray], dtype: npt.DTypeLike) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _ragged(lengths: list[np.ndarray], values: list[np.ndarray]) -> Ragged:
    sizes = _joined(lengths, np.uint32)
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return Ragged(offsets, _joined(values, np.uint64))
