"""The sketched rows of a segment: one file, range after range of account hashes, each with a checksum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from excise.engine.store import Readable
from excise.state.disk import reading


def write_rows(folder: Path, filled: Readable, count: int) -> None:
    """Write `count` buckets to `rows.bin`; `ranges.npy` gets their ends and checksums: i64[2, count + 1]."""
    ends, sums = [0], [0]
    with (folder / "rows.bin").open("wb") as file:
        for bucket in range(count):
            size = total = 0
            for data in filled.take(bucket):
                size, total = size + file.write(data), crc32(data, total)
            ends.append(ends[-1] + size)
            sums.append(total)
    np.save(folder / "ranges.npy", np.array([ends, sums], np.int64))


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """The rows of several segments as buckets to take from, any number of times. Raises UnreadableFile for a damaged one."""

    folders: tuple[Path, ...]

    def take(self, bucket: int) -> list[memoryview]:
        """Return what a bucket holds, one piece a segment."""
        return [_read(folder, bucket) for folder in self.folders]


def _read(folder: Path, bucket: int) -> memoryview:
    with reading(folder), (folder / "rows.bin").open("rb") as file:
        ends, sums = np.load(folder / "ranges.npy", allow_pickle=False)
        start, end = ends[bucket : bucket + 2].tolist()
        file.seek(start)
        data = np.fromfile(file, np.uint8, end - start).data
        if len(data) < end - start or crc32(data) != sums[bucket + 1]:
            raise ValueError("rows.bin is cut off or was changed")
        return data
