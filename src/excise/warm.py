"""Kernels that a first scan needs later are compiled beside it: `python -m excise.warm FOLDER` scans a little made-up traffic.

A kernel is compiled when it is first called and kept for later scans, and a process compiles one at a time. So the very first scan
of an installation starts this in a second process, which only pretends to read texts: it comes to the kernels of sorting,
linking and judging while the scan itself compiles those that read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa

from excise.pipeline import scan
from excise.simulate import WorldSpec, write_world
from excise.sketch import exchanges, kernel, lexicon
from excise.sketch.kernel import NARROW, TextSketch

_EXCHANGES: Final = 1_500


@contextmanager
def compiling() -> Iterator[None]:
    """Compile in a second process while the body runs, where nothing is compiled yet and there is a second core."""
    if is_compiled() or (os.cpu_count() or 1) < 2:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="excise-") as folder:
        # -P: a package that happens to lie in the current folder is none of ours
        command, nowhere = [sys.executable, "-P", "-m", __name__, folder], subprocess.DEVNULL
        helper = None
        with suppress(OSError):  # the scan compiles by itself then
            helper = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)  # noqa: S603  this module
        try:
            yield
        finally:
            if helper is not None:
                helper.kill()
                helper.wait()


def is_compiled() -> bool:
    """Return whether the text kernel was compiled before."""
    kept = Path(cast("Any", kernel.sketch_rows).stats.cache_path or ".")
    return any(kept.glob("kernel.sketch_rows-*.nbi"))


def main(folder: Path) -> None:
    """Scan a little simulated traffic, which is written to `folder`, without reading its texts."""
    write_world(WorldSpec(_EXCHANGES, 1, (1,)), folder / "world")
    for reader in (exchanges, lexicon):
        vars(reader)["sketch_text"] = _skim
    scan(folder / "world", threads=1)


def _skim(
    array: pa.Array, *, narrow: bool = True, wide: bool = True, marks: bool = True, **_: Any
) -> TextSketch:
    """Something of the shape of `sketch_text`'s answer in which what repeats in the texts repeats."""
    runs = [_runs(text or "") for text in array.to_pylist()]
    none: list[list[int]] = [[] for _ in runs]
    lists = [_flat(runs if wanted else none) for wanted in (narrow, wide, marks)]
    doc = np.array([zlib.crc32(repr(run).encode()) for run in runs], np.uint64)
    count = np.array([len(run) for run in runs], np.uint32)
    return TextSketch(count, doc, doc, doc, np.zeros_like(doc), *(part for pair in lists for part in pair))


def _runs(text: str) -> list[int]:
    words = text.split()
    return sorted({zlib.crc32(" ".join(words[i : i + NARROW]).encode()) for i in range(len(words))})


def _flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.append(0, np.cumsum([len(one) for one in lists], dtype=np.int64))
    return offsets.astype(np.int64), np.array([value for one in lists for value in one], np.uint64)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
