"""The pages on the core are true: numbers, detectors, settings and names are the code's, and what they show runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest

from excise.detect import DETECTORS
from excise.detect.repeats import MAX_ACCOUNTS
from excise.judge.innocent import EXPLANATIONS
from excise.judge.verdict import MOST_SURE
from excise.model.findings import LAYERS, Verdict
from excise.settings import Settings
from excise.sketch.available import NEEDS
from repository import ROOT, page

DOCS = ROOT / "docs"
ALL_PAGES = ("README.md", *sorted(p.relative_to(ROOT).as_posix() for p in DOCS.rglob("*.md")))
MINE = [name for name in ALL_PAGES if re.search(r"detectors/|adr/|tutorial|how-it-decides|cannot-see", name)]
SECTIONS = [
    "How it is measured",
    "What it needs",
    "Innocent explanation",
    "Parameters",
    "What evades it",
    "References",
]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sections(name):
    parts = re.split(r"^## (.+)$", page(name), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def cells(line):
    return tuple(cell.strip().strip("`") for cell in line.strip().strip("|").split("|"))


def table(text):
    """The rows of the first table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [cells(line) for line in lines[2:]]


def flat(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


SETTINGS = dict(flat(Settings().as_dict()))


# Detectors


def test_every_detector_has_a_page_and_every_page_a_detector():
    assert {p.stem for p in (DOCS / "detectors").glob("*.md")} - {"README"} == {d.id for d in DETECTORS}


def test_the_index_of_detectors_has_each_under_its_layer_with_its_question():
    said = sections("docs/detectors/README.md")
    for layer in LAYERS:
        listed = [(f"[{d.id}]({d.id}.md)", d.question) for d in DETECTORS if d.layer == layer]
        assert table(said[f"Layer `{layer}`"]) == listed


@pytest.mark.parametrize("d", DETECTORS, ids=lambda d: d.id)
def test_the_page_of_a_detector_says_what_the_code_says(d):
    name = f"docs/detectors/{d.id}.md"
    text, said = page(name), sections(name)
    assert text.startswith(f"# {d.id}\n\n{d.question}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert f"Layer `{d.layer}`; speaks for a {d.claim}." in text
    assert d.innocent in said["Innocent explanation"]
    assert set(re.findall(r"`([^`]+)`", said["What it needs"].split(".")[0])) == d.needs
    assert all(len(said[title].split()) >= 5 for title in SECTIONS)


@pytest.mark.parametrize("d", DETECTORS, ids=lambda d: d.id)
def test_the_parameters_of_a_page_are_those_of_the_code(d):
    said = table(sections(f"docs/detectors/{d.id}.md")["Parameters"])
    assert said == [(name, f"{p.default:g}", p.unit, p.source) for name, p in sorted(d.parameters.items())]


# Settings and the numbers in running text


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_every_setting_is_on_the_page_with_its_default(key):
    where, _, name = key.rpartition(".")
    start = f"## `[{where}]`\n" if where else "# Settings\n"
    section = re.split(r"^##", page("docs/settings.md").partition(start)[2], maxsplit=1, flags=re.MULTILINE)[
        0
    ]
    shown = {row[0]: row[1] for row in map(cells, section.splitlines()) if len(row) > 1}
    default = {"seed": "0", "keep_text": "true"}.get(key) or f"{SETTINGS[key]:g}"
    assert shown[name] == default


@pytest.mark.parametrize("name", MINE)
def test_defaults_in_running_text_are_those_of_the_code(name):
    for key, value in re.findall(r"`((?:habits|link|judge)\.[a-z_.]+)` \((-?[\d.]+)\)", page(name)):
        assert float(value) == SETTINGS[key], key
    for key in re.findall(r"`((?:habits|link|judge)\.[a-z_.]+)`", page(name)):
        assert key in SETTINGS


def test_how_it_decides_names_every_explanation_verdict_and_layer():
    said = sections("docs/how-it-decides.md")
    words = page("docs/how-it-decides.md")
    titles = re.split(r"^### ", words, flags=re.MULTILINE)
    explanations = next(part for part in titles if part.startswith("5. Innocent"))
    assert [row[0] for row in table(explanations)] == [name for name, _ in EXPLANATIONS]
    assert [row[0] for row in table(said["Verdicts"])] == list(Verdict.__args__)
    layers = next(part for part in titles if part.startswith("4. Name"))
    assert {row[0] for row in table(layers)} == set(LAYERS)
    assert f"never above {MOST_SURE}" in words


def test_what_it_cannot_see_names_every_kind_of_evidence_and_what_falls_out_with_it():
    said = sections("docs/what-it-cannot-see.md")
    rows = {row[0]: row for row in table(said["What the input does not hold"])}
    assert {kind: row[1].replace("`", "") for kind, row in rows.items()} == {
        kind: why.replace("`", "") for kind, why in NEEDS.items()
    }
    for kind, row in rows.items():
        lost = [d.id for d in DETECTORS if kind in d.needs]
        assert re.findall(r"\[([a-z-]+)\]\(detectors/\1\.md\)", row[2]) == lost
    assert f"{MAX_ACCOUNTS:,}" in said["Size"]


# Decisions


def test_decisions_are_numbered_complete_and_listed():
    names = sorted(p.name for p in (DOCS / "adr").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    listed = []
    for name in names:
        title = page(f"docs/adr/{name}").splitlines()[0]
        assert title.startswith(f"# {name[:4]} ")
        assert list(sections(f"docs/adr/{name}")) == ["Context", "Decision", "Why", "Consequences"]
        listed.append((f"[{name[:4]}]({name})", title[7:]))
    assert table(page("docs/adr/README.md")) == listed


@pytest.mark.parametrize("name", MINE)
def test_paths_of_the_repository_in_running_text_exist(name):
    paths = re.findall(r"`((?:src|tests|docs|bench|tools)/[\w./-]+)`", page(name))
    assert not [path for path in paths if not (ROOT / path).exists()]


# What the pages show runs


class Shell:
    """One shell in one folder, with `excise` of the code under test."""

    def __init__(self, folder):
        self.folder = folder
        tools = folder / ".tools"
        tools.mkdir()
        (tools / "excise").write_text(
            f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c 'from excise.cli.app import main; main()' \"$@\"\n"
        )
        (tools / "excise").chmod(0o755)
        self.env = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
        (folder / ".state").touch()

    def run(self, command):
        """Run one command, with ACCOUNT as those before left it; its output."""
        script = f". ./.state\n{command}\nset | grep '^ACCOUNT=' > .state || true\n"
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def python(self, code):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (code, done.stderr)


def commands(block):
    """Each command of a console block with the lines that it is said to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *said = part.splitlines()
        yield command, said


def squeezed(line):
    return " ".join(line.split())


def printed_in_order(said, output):
    """Whether the lines of `said` come in the output in this order; `…` stands for anything, also for no line."""
    lines = iter([squeezed(line) for line in output.splitlines()])
    for line in said:
        pattern = re.escape(squeezed(line)).replace("…", ".*")
        if line.strip() != "…" and not any(re.fullmatch(pattern, found) for found in lines):
            return line
    return None


def test_lines_are_looked_for_in_order():
    assert printed_in_order(["a …", "…", "c"], "a 1\nb\nc\n") is None
    assert printed_in_order(["c", "a …"], "a 1\nb\nc\n") == "a …"


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path):
    shell = Shell(tmp_path)
    blocks = BLOCK.findall(page("docs/tutorial.md"))
    assert {kind for kind, _ in blocks} == {"console", "python"}
    for kind, block in blocks:
        if kind == "python":
            shell.python(block)
            continue
        for command, said in commands(block):
            output = shell.run(command)
            assert printed_in_order(said, output) is None, (command, output)


@pytest.mark.parametrize("name", [n for n in ALL_PAGES if "```python" in page(n) and n != "docs/tutorial.md"])
def test_python_of_a_page_runs(name, world, tmp_path):
    (tmp_path / "LOGS").symlink_to(world)
    shell = Shell(tmp_path)
    shell.python("\n".join(block for kind, block in BLOCK.findall(page(name)) if kind == "python"))
