"""Every field, file, format, option and kind of change is documented."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import msgspec
import pytest
import typer.main

from excise.cli.app import app
from excise.model import findings
from excise.model.schema import ACCOUNTS_OUT, HARVEST_OUT
from excise.report import diff, explain, export, folder, info

DOCS = Path(__file__).parents[2] / "docs"


def words(name: str) -> set[str]:
    text = re.sub(r"```.*?```", "", (DOCS / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    return set(re.findall(r"`([^`]+)`", text))


def names(kind: type) -> set[str]:
    if dataclasses.is_dataclass(kind):
        return {f.name for f in dataclasses.fields(kind)}
    return {f.name for f in msgspec.structs.fields(kind)}


@pytest.mark.parametrize(
    "kind",
    [
        *(getattr(findings, n) for n in ("Campaign", "Evidence", "Innocent", "Example", "Wrapper", "Segment", "Timeline", "Mark", "Graph", "Link")),
        *(getattr(info, n) for n in ("Info", "Input", "Rejected", "BadRowSample", "Unavailable", "Counts", "Period", "Event", "Stage", "Timing")),
    ],
)  # fmt: skip
def test_every_field_of_the_folder_is_documented(kind):
    assert names(kind) <= words("run-folder.md")


def test_every_file_and_column_is_documented():
    assert {*folder.FILES, *ACCOUNTS_OUT.names, *HARVEST_OUT.names} <= words("run-folder.md")


def test_every_format_column_change_and_key_is_documented():
    said = words("report.md")
    assert {
        *export.FORMATS,
        *export.SCHEMA.names,
        *diff.KINDS,
        explain.EXPLANATION_SCHEMA,
        diff.DIFF_SCHEMA,
    } <= said
    assert names(explain.Explanation) <= said
    assert {"newly_accused", "no_longer_accused", "changes", "splits", "merges"} <= said


@pytest.mark.parametrize("name", ["report", "explain", "diff", "export"])
def test_every_option_is_documented(name):
    command = typer.main.get_command(app).commands[name]
    options = {o for p in command.params for o in p.opts if o.startswith("--") and o != "--help"}
    text = (DOCS / "report.md").read_text(encoding="utf-8")
    assert not [option for option in options if option not in text]
