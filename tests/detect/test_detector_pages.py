"""Every detector has a page of its id, and what the page says of it is what the code says."""

import re

import pytest

from excise.detect import DETECTORS
from repository import ROOT, page

FOLDER = ROOT / "docs" / "detectors"


def test_there_is_a_page_for_each_detector_and_no_other():
    pages = {path.stem for path in FOLDER.glob("*.md")} - {"README"}
    assert pages == {d.id for d in DETECTORS}


@pytest.mark.parametrize("detector", DETECTORS, ids=[d.id for d in DETECTORS])
def test_a_page_says_what_the_code_says(detector):
    text = page(f"docs/detectors/{detector.id}.md")
    index = page("docs/detectors/README.md")
    assert text.startswith(f"# {detector.id}\n")
    assert detector.question in text
    assert detector.innocent in text
    assert f"`{detector.layer}`" in text
    assert f"[{detector.id}]({detector.id}.md)" in index
    assert detector.question in index
    for title in ("How it is measured", "Innocent explanation", "What evades it"):
        assert re.search(rf"^## {title}$", text, re.MULTILINE), title


@pytest.mark.parametrize("detector", DETECTORS, ids=[d.id for d in DETECTORS])
def test_a_page_lists_the_parameters_with_their_defaults_and_units(detector):
    text = page(f"docs/detectors/{detector.id}.md")
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| ([^|]+) \|", text, re.MULTILINE)
    told = {name: (float(default), unit) for name, default, unit in rows}
    assert told == {name: (float(p.default), p.unit) for name, p in detector.parameters.items()}
