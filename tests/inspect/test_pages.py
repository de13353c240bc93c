"""Every class and every surface is explained, in the same way, by a page that says what the code says."""

from __future__ import annotations

import re

import pytest

from excise.inspect.artifacts.artifact import ARTIFACTS
from excise.inspect.posture.registry import POSTURE
from excise.inspect.registry import ANALYSERS
from excise.inspect.surfaces.analyser import SURFACE_ANALYSERS
from excise.inspect.surfaces.links import LINKS
from excise.inspect.surfaces.registry import SURFACES
from excise.inspect.surfaces.verdict import Verdict
from excise.inspect.weakness import BY_ID
from repository import ROOT, page

MINE = sorted(
    {w for a in (*POSTURE, *SURFACE_ANALYSERS, LINKS, ARTIFACTS) for w in a.weaknesses} - {"deny-listed-code"}
)
SECTIONS = ["What it is", "Why an agent makes it worse", "A real example", "How to fix it"]


@pytest.mark.parametrize("name", MINE)
def test_a_class_has_a_page(name):
    weakness, text = BY_ID[name], page(f"docs/inspect/{name}.md")
    cwe = ", ".join(f"CWE-{n}" for n in weakness.cwe)
    assert text.startswith(f"# {name}\n\n{weakness.title}. {cwe}.\n\nAn attacker gets {weakness.gets}.\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all(len(part.split()) >= 10 for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])


def test_every_page_is_of_a_class_or_lists_files():
    pages = {p.stem for p in (ROOT / "docs" / "inspect").glob("*.md")}
    assert set(MINE) | {"surfaces", "artifacts"} <= pages
    assert pages - {"surfaces", "artifacts", "README"} <= set(BY_ID)


def test_the_page_of_surfaces_lists_them_all():
    text = page("docs/inspect/surfaces.md")
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == [
        s.id for s in sorted(SURFACES, key=lambda s: text.index(f"| `{s.id}` |"))
    ]
    verdicts = text.partition("## Verdicts")[2]
    assert re.findall(r"^\| ([a-z ]+) \| \w", verdicts, re.MULTILINE)[1:] == [v.word for v in Verdict]


def test_analysers_are_named_once_and_find_what_is_known():
    ids = [a.id for a in ANALYSERS]
    assert len(set(ids)) == len(ids)
    assert {w for a in ANALYSERS for w in a.weaknesses} <= set(BY_ID)
