"""What no scan can do without, measured alone: `python bench/floor.py FILES…` prints CPU seconds of decode, kernel and sort as JSON.

decode: the columns that a scan reads. kernel: the text kernel over requests and answers, as a scan calls it. sort: one
64-bit key an exchange, and one a sampled token.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from excise.sketch.exchanges import COLUMNS, SHINGLE_RATE
from excise.sketch.kernel import sketch_text
from excise.sketch.lexicon import load_pack


def measure(paths: list[str]) -> dict[str, float]:
    cues = load_pack().cue_table(0)
    spent = dict.fromkeys(("decode", "kernel", "sort"), 0.0)
    exchanges, tokens = 0, []
    sketch_text(pa.array(["warm"]), seed=0, cues=cues, shingle_rate=SHINGLE_RATE)
    for path in paths:
        file = pq.ParquetFile(path)
        names = [c for c in COLUMNS if c in file.schema_arrow.names]
        batches = file.iter_batches(32_768, columns=names)
        while True:
            began = time.process_time()
            batch = next(batches, None)
            spent["decode"] += time.process_time() - began
            if batch is None:
                break
            began = time.process_time()
            asked = sketch_text(text(batch, "user_text"), seed=0, cues=cues, shingle_rate=SHINGLE_RATE)
            sketch_text(text(batch, "output_text"), seed=0, narrow=False, marks=False)
            spent["kernel"] += time.process_time() - began
            exchanges += len(batch)
            tokens.append(asked.shingles)
    keys = np.concatenate(tokens) if tokens else np.zeros(0, np.uint64)
    began = time.process_time()
    np.sort(keys)
    np.sort(np.resize(keys, exchanges))
    spent["sort"] = time.process_time() - began
    return spent


def text(batch: pa.RecordBatch, name: str) -> pa.Array:
    return (
        batch.column(name).cast(pa.string())
        if name in batch.schema.names
        else pa.nulls(len(batch), pa.string())
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:])))
