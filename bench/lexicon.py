"""How often the families fire on real text: ordinary questions should be quiet, published elicitation templates loud.

`python bench/lexicon.py [SHARED]` reads the open data sets in SHARED/data (default ../shared) and prints the tables
of docs/families.md; where they are absent it says so and does nothing. Folders are read file by file: of a Python
file the string constants that are long enough to be prompts, of another file all of it.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from excise.sketch.kernel import sketch_text
from excise.sketch.lexicon import Lexicon, load_pack

LEAST_CHARACTERS = 120
"""A string constant of a program is taken for a prompt from this length on."""

ORDINARY = {
    "arena_hard": ("arena_hard/questions.parquet", ("prompt",)),
    "alpaca_eval": ("alpaca_eval/instructions.parquet", ("instruction",)),
    "bfcl": ("bfcl/questions.parquet", ("question",)),
    "fireact questions": ("fireact/questions.parquet", ("question",)),
    "gpteacher codegen": ("gpteacher/codegen.parquet", ("instruction", "input")),
    "gpteacher toolformer": ("gpteacher/toolformer.parquet", ("instruction", "input")),
    "awesome_prompts": ("awesome_prompts/prompts.parquet", ("prompt",)),
}
ALIKE = {
    "openai_evals": ("openai_evals/samples.parquet", ("system", "user")),
    "agent programs": ("benign_agent_prompts", ()),
}
ELICITING = {
    "distilabel, synthetic-data-kit": ("harvest_templates", ()),
    "alpaca_eval, ragas": ("judge_templates", ()),
    "fireact ReAct": ("fireact/prompts", ("react",)),
}
PARTS = {
    "Ordinary questions and prompts": ORDINARY,
    "Innocent work that asks alike": ALIKE,
    "Published elicitation templates": ELICITING,
}


def prompts_of(path: Path, names: tuple[str, ...]) -> list[str]:
    """The texts of a set: columns of a Parquet file joined row by row, or a folder's files (that start with `names`)."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".md")
        return [t for p in files if not names or p.name.startswith(names) for t in prompts_in(p)]
    rows = pq.read_table(path, columns=list(names)).to_pylist()
    return [text for row in rows if (text := "\n".join(row[name] or "" for name in names)).strip()]


def prompts_in(path: Path) -> list[str]:
    text = path.read_text("utf-8", errors="replace")
    return constants(text) if path.suffix == ".py" else [text]


def constants(source: str) -> list[str]:
    """The long string constants of a Python file that are no docstrings, f-strings in one piece."""
    tree = ast.parse(source)
    skipped: set[int] = set()
    found = []
    for node in ast.walk(tree):  # breadth first: a parent comes before its parts
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Expr):
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            parts = [part for part in node.values if isinstance(part, ast.Constant)]
            skipped.update(map(id, parts))
            found.append(" ".join(str(part.value) for part in parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return [text for text in found if len(text) >= LEAST_CHARACTERS]


def shares(lexicon: Lexicon, texts: list[str]) -> list[float]:
    """Shares of the texts on which each family fires, and on which any does."""
    fired = lexicon.families_of(sketch_text(pa.array(texts), seed=0, cues=lexicon.cue_table(0)).cues)
    each = [((fired >> np.uint64(f)) & np.uint64(1)).mean() for f in range(len(lexicon.families))]
    return [float(share) for share in (*each, (fired != 0).mean())]


def main(shared: Path) -> None:
    data = shared / "data"
    if not data.is_dir():
        print(f"skipped: there is no {data.name} folder in {shared.name}")
        return
    lexicon = load_pack()
    for title, sets in PARTS.items():
        columns = [title, "texts", *(family.id for family in lexicon.families), "any"]
        print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for name, (path, names) in sets.items():
            if (data / path).exists():
                texts = prompts_of(data / path, names)
                cells = [f"{100 * share:.1f}" for share in shares(lexicon, texts)]
                print(f"| {name} | {len(texts):,} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared")
