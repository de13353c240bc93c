"""How often the families fire on real text: ordinary questions should be quiet, published elicitation templates loud.

`python bench/lexicon.py [SHARED]` reads the open data sets in SHARED/data (default ../shared) and prints a table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from excise.sketch.kernel import sketch_text
from excise.sketch.lexicon import load_pack


def texts_of(path: Path) -> list[str]:
    """Return the longest text column of a Parquet file, or the files of a folder as texts."""
    if path.is_dir():
        return [
            p.read_text(errors="replace")
            for p in sorted(path.rglob("*"))
            if p.is_file()
            and p.suffix in {".py", ".txt", ".md", ".yaml", ".yml", ".jinja2", ".j2", ".toml", ".json"}
        ]
    table = pq.read_table(path)
    columns = {
        name: table[name].to_pylist()
        for name in table.column_names
        if pa.types.is_string(table[name].type) or pa.types.is_large_string(table[name].type)
    }
    name = max(columns, key=lambda n: sum(len(v or "") for v in columns[n]))
    return [v for v in columns[name] if v]


def main(shared: Path) -> None:
    data = shared / "data"
    if not data.is_dir():
        print(f"skipped: there is no {data}")
        return
    lexicon = load_pack()
    cues = lexicon.cue_table(0)
    print(f"{'set':<44}{'texts':>8}" + "".join(f"{f.id[:12]:>13}" for f in lexicon.families) + f"{'any':>8}")
    for path in (
        "arena_hard/questions.parquet",
        "awesome_prompts/prompts.parquet",
        "bfcl/questions.parquet",
        "openai_evals/samples.parquet",
        "gpteacher/codegen.parquet",
        "benign_agent_prompts",
        "harvest_templates",
        "judge_templates",
    ):
        if not (data / path).exists():
            continue
        texts = texts_of(data / path)
        fired = lexicon.families_of(sketch_text(pa.array(texts), seed=0, cues=cues).cues)
        shares = [
            float(((fired >> np.uint64(f)) & np.uint64(1)).mean()) for f in range(len(lexicon.families))
        ]
        print(
            f"{path:<44}{len(texts):>8,}"
            + "".join(f"{s:>13.1%}" for s in shares)
            + f"{(fired != 0).mean():>8.1%}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared")
