"""Characters that a person does not see and a program reads: tags, zero-width runs, direction overrides.

Sources: Unicode 16 (tag characters U+E0000-E007F, variation selectors, bidirectional controls UAX 9); Boucher and
Anderson, Trojan Source (2021), for overrides in source code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.surface import Surface
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

TAGS: Final = re.compile("[\U000e0000-\U000e007f]+")
FEWEST_TAGS = 6
"""Tag characters of a line that make a word; tables of Unicode hold single ones."""
_FLAG: Final = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f")
"""A flag of a region: a black flag, a region's code in tags, and the closing tag (UTS 51)."""
OVERRIDES: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_RUN: Final = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff\u180e]{8,}")
"""Zero-width characters in a row: eight are a byte; a language that needs joiners sets one between two letters."""
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
"""Variation selectors in a row: one is a style, four are data."""
_SPACED: Final = re.compile("(?:[\u200b\u200c\u2060\u2062-\u2064][^\u200b\u200c\u2060\u2062-\u2064\n]?){24,}")
"""Zero-width characters between visible ones, many in a line."""
_ANY: Final = re.compile(
    "[\u200b-\u200d\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\u180e\U000e0000-\U000e01ef]"
)
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_TEXT: Final = (
    ".md", ".mdx", ".mdc", ".txt", ".rst", ".py", ".pyi", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".json", ".jsonc",
    ".yml", ".yaml", ".toml", ".cfg", ".ini", ".sh", ".bash", ".zsh", ".ps1", ".go", ".rs", ".c", ".h", ".cpp", ".hpp",
    ".java", ".kt", ".rb", ".php", ".swift", ".cs", ".sql", ".html", ".ipynb", ".jinja", ".j2", ".tf", ".env", ".lua",
)  # fmt: skip
_NAMES: Final = frozenset(
    ".cursorrules .windsurfrules .clinerules .goosehints makefile dockerfile .gitmodules .envrc license notice readme".split()
)


def marks(source: Source) -> Iterator[Mark]:
    """Each line with hidden characters, the kind that hides most first."""
    text = source.text
    if text.isascii() or not _ANY.search(text):
        return
    code = not source.name.lower().endswith((".md", ".mdx", ".mdc", ".txt", ".rst"))
    for number, line in enumerate(source.lines, 1):
        if not line.isascii():
            yield from _line(number, line, code)


def _line(number: int, line: str, code: bool) -> Iterator[Mark]:
    tags = "".join(TAGS.findall(_FLAG.sub("", line)))
    if len(tags) >= FEWEST_TAGS:
        said = "".join(chr(ord(c) - 0xE0000) for c in tags if 0xE0020 <= ord(c) < 0xE007F)
        what = f"tag characters that nobody sees say {said[:80]!r}"
        yield _mark(number, TAGS.findall(line)[-1][:40], what, Severity.CRITICAL)
    run = _SELECTORS.search(line) or _RUN.search(line) or _SPACED.search(line)
    if run:
        yield _mark(
            number,
            run.group()[:40],
            f"{len(run.group())} invisible characters that can carry a text",
            Severity.HIGH,
        )
    if overridden(line, code):
        found = OVERRIDES.search(line)
        assert found is not None
        yield _mark(
            number, line, "direction controls show the line in another order than it is read in",
            Severity.HIGH if code else Severity.MEDIUM,
        )  # fmt: skip


def overridden(line: str, code: bool) -> bool:
    """Whether direction controls change how a line reads: an override, or in code any that is left open.

    In prose embeddings and isolates are ordinary, and so they are in code beside a script written right to left.
    """
    controls = OVERRIDES.findall(line)
    if not controls:
        return False
    if any(c in "\u202d\u202e" for c in controls):
        return code or not _RIGHT_TO_LEFT.search(line)
    opened = sum(c in "\u202a\u202b\u2066\u2067\u2068" for c in controls)
    closed = sum(c in "\u202c\u2069" for c in controls)
    return code and (opened != closed or not _RIGHT_TO_LEFT.search(line))


def _mark(number: int, words: str, what: str, severity: Severity) -> Mark:
    return Mark(number, Verdict.HIDDEN_TEXT, severity, what, words, "hidden-text")


def _wants(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    return name.endswith(_TEXT) or name in _NAMES


INVISIBLE = Surface("invisible-text", _wants, marks)
