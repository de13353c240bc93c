"""The page on logs of other programs names every reader and every key that is read around a pair."""

from __future__ import annotations

import re
from pathlib import Path

from excise.ingest.formats import READERS, pairs

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "formats-logs.md").read_text("utf-8")


def test_every_reader_has_a_section():
    titles = " ".join(line for line in PAGE.splitlines() if line.startswith("## "))
    assert {f"`{reader.id}`" for reader in READERS} <= set(re.findall(r"`[a-z-]+`", titles))


def test_every_key_around_a_pair_is_on_the_page():
    source = Path(pairs.__file__).read_text("utf-8")
    keys = {
        key
        for call in re.findall(r"first\(record,([^()]*)\)", source)
        for key in re.findall(r'"(\w+)"', call)
    }
    assert len(keys) > 25
    assert {key for key in keys if f"`{key}`" not in PAGE} == set()
