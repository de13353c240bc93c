"""What text is reduced to before it is hashed: the fold, and the kinds of character that make tokens.

The fold of a code point is its NFKD form, case-folded, decomposed again, without marks (Mn, Me) and without
characters that show nothing (Cf, fillers, default-ignorable ones); decimal digits of every script become ASCII
digits, line ends become `\\n`, other white space a blank, other separators outside ASCII U+FFFD. It knows no context, so a table holds all of it.
The table is shipped as `fold.npz` rather than built: hashes then do not depend on the Unicode version of the Python
that runs, and loading costs milliseconds. `python -m excise.sketch.fold` writes it anew.

Sources: Unicode Standard 14.0 (the `unicodedata` of Python 3.11), chapters 3.11 and 5.18; the look-alikes are those
of UTS #39 that are drawn the same in common fonts.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

SEPARATOR, LETTER, DIGIT, SINGLE, DROP, EXPAND = range(6)
"""Kinds of character: separates, part of a word, part of a word and a digit, a token of its own, nothing, several."""

CLASS_SHIFT = 28
"""An entry of the table is kind << 28 | folded code point, where 0 stands for the code point itself (so that blocks of
the table repeat), or EXPAND << 28 | length << 20 | start in the pool."""

OTHER_SEPARATOR = "\ufffd"
"""What every separator outside ASCII and every malformed byte sequence folds to."""

LATIN = 1
"""Value of `script` for a Latin letter. 0 is any other; from 2 on it is the Latin letter that this one looks like."""

_BLOCK = 256
_TABLE = Path(__file__).with_name("fold.npz")

# Scripts written without blanks between words, one token a character, so that a token is found wherever it stands.
_SINGLE_NAMES = (
    "CJK UNIFIED IDEOGRAPH", "IDEOGRAPHIC ITERATION MARK", "IDEOGRAPHIC NUMBER ZERO", "HIRAGANA", "KATAKANA",
    "HENTAIGANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ",
)  # fmt: skip
_LINE_ENDS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
_INVISIBLE = frozenset(
    [0x115F, 0x1160, 0x3164, 0xFFA0, 0x2065, *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000)]
)
_LOOKALIKES = {
    # Cyrillic, capitals and small letters
    "А": "a", "В": "b", "Е": "e", "К": "k", "М": "m", "Н": "h", "О": "o", "Р": "p", "С": "c", "Т": "t", "У": "y",
    "Х": "x", "Ѕ": "s", "І": "i", "Ї": "i", "Ј": "j", "Ԛ": "q", "Ԝ": "w", "Ѵ": "v", "Ё": "e",
    "а": "a", "в": "b", "е": "e", "к": "k", "м": "m", "н": "h", "о": "o", "р": "p", "с": "c", "т": "t", "у": "y",
    "х": "x", "ѕ": "s", "і": "i", "ї": "i", "ј": "j", "һ": "h", "ԁ": "d", "ԛ": "q", "ԝ": "w", "ѵ": "v", "ӏ": "l",
    "ё": "e",
    # Greek, capitals and small letters
    "Α": "a", "Β": "b", "Ε": "e", "Ζ": "z", "Η": "h", "Ι": "i", "Κ": "k", "Μ": "m", "Ν": "n", "Ο": "o", "Ρ": "p",
    "Τ": "t", "Υ": "y", "Χ": "x",
    "α": "a", "ε": "e", "η": "n", "ι": "i", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "τ": "t", "υ": "u", "χ": "x",
    "γ": "y", "ϲ": "c", "ϳ": "j",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoldTable:
    """The fold as arrays: code point -> `entries[blocks[cp >> 8] * 256 + (cp & 255)]`, and `script` alike.

    Block 0 is ASCII: there the slot is the code point itself.
    """

    blocks: npt.NDArray[np.uint16]  # [0x1100]
    entries: npt.NDArray[np.uint32]  # [k * 256]
    script: npt.NDArray[np.uint8]  # [k * 256]
    pool: npt.NDArray[np.uint32]  # entries of the code points that expansions consist of


def fold_character(character: str) -> str:
    """Fold one character to none, one or several, white space and line ends included."""
    if character in _LINE_ENDS:
        return "\n"
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(_plain(c) for c in folded if not _shows_nothing(c))


def kind_of(character: str) -> int:
    """The kind of one folded character: SEPARATOR, LETTER, DIGIT or SINGLE."""
    category = unicodedata.category(character)
    if category == "Nd":
        return DIGIT
    if category[0] not in "LN" and category != "Mc":
        return SEPARATOR
    return SINGLE if unicodedata.name(character, "").startswith(_SINGLE_NAMES) else LETTER


def script_of(character: str) -> int:
    """LATIN, or the code of the Latin letter that a Cyrillic or Greek letter looks like, or 0."""
    if character in _LOOKALIKES:
        return ord(_LOOKALIKES[character])
    folded = fold_character(character)[:1]
    return LATIN if folded.isalpha() and unicodedata.name(folded, "").startswith("LATIN ") else 0


def build_table() -> FoldTable:
    """Work the table out from `unicodedata`, about two seconds."""
    entries = np.zeros(0x110000, np.uint32)
    script = np.zeros(0x110000, np.uint8)
    pool: list[int] = []
    for code in range(0x110000):
        character = chr(code)
        if not 0xD800 <= code < 0xE000:
            entries[code] = _entry(code, fold_character(character), pool)
            script[code] = script_of(character)
    rows = np.concatenate([entries.reshape(-1, _BLOCK), script.reshape(-1, _BLOCK)], axis=1)
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # in order of appearance, so that ASCII is in block 0
    distinct = rows[first[order]]
    blocks = np.argsort(order)[inverse.reshape(-1)]
    return FoldTable(
        blocks.astype(np.uint16),
        np.ascontiguousarray(distinct[:, :_BLOCK]).reshape(-1),
        np.ascontiguousarray(distinct[:, _BLOCK:]).reshape(-1).astype(np.uint8),
        np.array(pool, np.uint32),
    )


@cache
def load_table() -> FoldTable:
    """Load the shipped table; its arrays are read-only."""
    with np.load(_TABLE, allow_pickle=False) as stored:
        arrays = [stored[name] for name in ("blocks", "entries", "script", "pool")]
    for array in arrays:
        array.flags.writeable = False
    return FoldTable(*arrays)


def _entry(code: int, folded: str, pool: list[int]) -> int:
    if not folded:
        return DROP << CLASS_SHIFT
    codes = [kind_of(c) << CLASS_SHIFT | ord(c) for c in folded]
    if len(codes) == 1:
        return kind_of(folded) << CLASS_SHIFT if ord(folded) == code else codes[0]
    start = len(pool)
    pool.extend(codes)
    return EXPAND << CLASS_SHIFT | len(codes) << 20 | start


def _shows_nothing(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Me", "Cf"} or ord(character) in _INVISIBLE


def _plain(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if character.isspace():
        return " "
    return OTHER_SEPARATOR if ord(character) > 0x7F and kind_of(character) == SEPARATOR else character


def _write() -> None:
    table = build_table()
    np.savez_compressed(
        _TABLE, blocks=table.blocks, entries=table.entries, script=table.script, pool=table.pool
    )
    sys.stderr.write(f"{_TABLE.name}: {table.entries.nbytes + table.script.nbytes} bytes of table\n")


if __name__ == "__main__":
    _write()
