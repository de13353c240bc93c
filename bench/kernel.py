"""Rate of the text kernel over prompts of about 410 bytes, and its ratio to a plain hash and to Python's `re`.

Run: `python bench/kernel.py [rows]` (default 60,000; one thread). Absolute rates depend on the machine; the ratios are
what may be compared. The prompts are made here from a fixed seed, with the word lengths of English and a twelfth
of the words from 24 other scripts and forms, so that no file is needed.
"""

from __future__ import annotations

import random
import re
import sys
import time
import unicodedata
from collections.abc import Callable

import pyarrow as pa

from excise.sketch.hashing import hash_strings
from excise.sketch.kernel import sketch_text
from excise.sketch.lexicon import load_pack

SEED = 7
WORDS = [
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "you",
    "that",
    "it",
    "he",
    "was",
    "for",
    "on",
    "are",
    "as",
    "with",
    "his",
    "they",
    "I",
    "at",
    "be",
    "this",
    "have",
    "from",
    "or",
    "one",
    "had",
    "by",
    "word",
    "but",
    "not",
    "what",
    "all",
    "were",
    "we",
    "when",
    "your",
    "can",
    "said",
    "there",
    "use",
    "an",
    "each",
    "which",
    "she",
    "do",
    "how",
    "their",
    "if",
    "will",
    "up",
    "other",
    "about",
    "out",
    "many",
    "then",
    "them",
    "these",
    "so",
    "some",
    "her",
    "would",
    "make",
    "like",
    "him",
    "into",
    "time",
    "has",
    "look",
    "two",
    "more",
    "write",
    "go",
    "see",
    "number",
    "no",
    "way",
    "could",
    "people",
    "my",
    "than",
    "first",
    "water",
    "been",
    "call",
    "who",
    "oil",
    "its",
    "now",
    "find",
    "long",
    "down",
    "day",
    "did",
    "get",
    "come",
    "made",
    "may",
    "part",
    "step",
    "reasoning",
    "solution",
    "explain",
    "answer",
    "function",
    "python",
    "question",
    "following",
    "example",
    "instruction",
    "think",
    "carefully",
    "problem",
]
FOREIGN = [
    "Überprüfung",
    "größer",
    "naïve",
    "señor",
    "français",
    "çalışma",
    "решение",
    "задачи",
    "πρόβλημα",
    "请一步一步地思考",
    "答案",
    "ステップ",
    "문제를",
    "풀어",
    "المشكلة",
    "समस्या",
    "ปัญหา",
    "ﬁnally",
    "Ｓｔｅｐ",
    "×",
    "“quoted”",
    "—",
    "…",
    "①",
    "42",
    "3.14",
]
FRAMES = ("{}", "## Task\n{}\nAnswer:", "<question>{}</question>", '{{"prompt": "{}"}}', "[INST] {} [/INST]")


def prompts(rows: int) -> list[str]:
    rng = random.Random(SEED)
    texts = []
    for _ in range(rows):
        words = [rng.choice(FOREIGN if rng.random() < 1 / 12 else WORDS) for _ in range(rng.randint(40, 100))]
        for at in range(9, len(words), 11):
            words[at] += rng.choice((".", ",", ":", "?\n"))
        texts.append(rng.choice(FRAMES).format(" ".join(words)))
    return texts


def pure_python(texts: list[str]) -> int:
    """Fold, cut and shingle as one would in a script."""
    token, kept = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u4e00-\u9fff]+"), 0
    for text in texts:
        words = token.findall(unicodedata.normalize("NFKD", text).casefold())
        shingles = {hash(tuple(words[i : i + 4])) for i in range(len(words) - 3)}
        kept += sum(1 for s in shingles if s & 7 == 0)
    return kept


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """The quickest of a few runs, in CPU seconds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    texts = prompts(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000)
    array = pa.array(texts)
    size = array.nbytes / len(texts)
    cues = load_pack().cue_table(SEED)
    off = {"narrow": False, "wide": False, "marks": False}
    variants: dict[str, Callable[[], object]] = {
        "hash_strings": lambda: hash_strings(array, seed=SEED),
        "everything": lambda: sketch_text(array, seed=SEED, cues=cues),
        "tokens, doc, head, tail": lambda: sketch_text(array, seed=SEED, **off),
        "  + shingles": lambda: sketch_text(array, seed=SEED, **off | {"narrow": True}),
        "  + wide": lambda: sketch_text(array, seed=SEED, **off | {"wide": True}),
        "  + marks": lambda: sketch_text(array, seed=SEED, **off | {"marks": True}),
        "  + cues": lambda: sketch_text(array, seed=SEED, cues=cues, **off),
    }
    for work in variants.values():
        work()  # compile or load
    took = {name: seconds(work) / len(texts) for name, work in variants.items()}
    took["python re"] = seconds(lambda: pure_python(texts[:2000]), 2) / 2000
    print(f"{len(texts)} texts of {size:.0f} bytes, one thread")
    print(f"{'':26}{'k rows/s':>10}{'MB/s':>8}{'x everything':>14}")
    for name, each in took.items():
        print(f"{name:26}{1e-3 / each:10.0f}{size / each / 1e6:8.0f}{took['everything'] / each:14.2f}")


if __name__ == "__main__":
    main()
