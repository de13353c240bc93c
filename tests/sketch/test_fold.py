from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from excise.sketch.fold import (
    DIGIT,
    LETTER,
    SEPARATOR,
    SINGLE,
    build_table,
    fold_character,
    kind_of,
    load_table,
    script_of,
)


def fold(text: str) -> str:
    return "".join(map(fold_character, text))


@pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="the shipped table is that of Unicode 14.0 (Python 3.11)"
)
def test_the_shipped_table_is_the_generated_one():
    built, shipped = build_table(), load_table()
    for name in ("blocks", "entries", "script", "pool"):
        assert np.array_equal(getattr(built, name), getattr(shipped, name)), name
        assert getattr(built, name).dtype == getattr(shipped, name).dtype


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("Ｔｈｉｎｋ", "think"), ("𝐓𝕙𝒊𝓃𝗸", "think"), ("thi\u200bnk", "think"), ("t\u00adhink\ufeff", "think"),
        ("t\U000e0061hink", "think"), ("thi\u202enk", "think"), ("ﬁnal", "final"), ("naïve", "naive"),
        ("STRASSE", "strasse"), ("Straße", "strasse"), ("İ", "i"), ("Ⅻ", "xii"), ("①", "1"), ("٣", "3"), ("７", "7"),
        ("\u2028", "\n"), ("\r", "\n"), ("\u3000", " "), ("—", "\ufffd"), ("＜", "<"), ("ё", "е"), ("ﾊ", "ハ"),
    ],
)  # fmt: skip
def test_disguises_fold_away(written, folded):
    assert fold(written) == folded


def test_folding_twice_changes_nothing():
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            once = fold_character(chr(code))
            assert fold(once) == once, hex(code)


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("a", LETTER),
        ("7", DIGIT),
        ("一", SINGLE),
        ("カ", SINGLE),
        ("ก", SINGLE),
        ("ᄀ", LETTER),
        ("_", SEPARATOR),
        ("ा", LETTER),
    ],
)
def test_kinds(character, kind):
    assert kind_of(character) == kind


def test_scripts():
    assert [script_of(c) for c in "aéｅ中1-"] == [1, 1, 1, 0, 0, 0]
    assert [chr(script_of(c)) for c in "аАΝν"] == ["a", "a", "n", "v"]
