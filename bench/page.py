"""Benchmark pages that several commands write: each owns the sections it measures, and leaves the others as they are."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

PAGES = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"


def write_section(page: Path, title: str, text: str) -> None:
    """Put `text` under `## title` of a page, in the place of what stood there, or at its end."""
    before = page.read_text("utf-8") if page.exists() else "# Measurements\n"
    section = f"## {title}\n\n{text.strip()}\n"
    place = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    found = place.search(before)
    after = (
        before[: found.start()] + section + ("\n" + before[found.end() :] if before[found.end() :] else "")
        if found
        else before.rstrip("\n") + "\n\n" + section
    )
    staged = page.with_suffix(".partial")
    staged.write_text(after, "utf-8")
    staged.replace(page)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; numbers are written by the caller."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


PLACES = frozenset({"--cache", "--page", "--pages"})
"""Options that say where things are kept, which no number depends on."""


def command() -> str:
    """Return how this script was called, without the folders of the machine it ran on."""
    words = [w for w, before in zip(sys.argv, ["", *sys.argv], strict=False) if not {w, before} & PLACES]
    return "python " + " ".join(shlex.quote(_short(w)) for w in words)


def _short(word: str) -> str:
    path = Path(word)
    if not path.is_absolute():
        return word
    inside = Path(__file__).resolve().parents[1]
    return str(path.relative_to(inside)) if path.is_relative_to(inside) else path.name
