"""The commands as the shell sees them: output, exit status, and what is on disk afterwards."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import factory
import pyarrow.parquet as pq
import pytest

from excise.report import folder, html


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    at = tmp_path_factory.mktemp("runs")
    folder.write(factory.run(6), at / "old")
    folder.write(factory.run(9, seed=8), at / "new")
    return at


def excise(*words: object, cwd=None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from excise.cli.app import main; main()", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | {"COLUMNS": "200"}
    )


def test_report_is_made_again_in_place_and_elsewhere(runs, tmp_path):
    page = runs / "old" / "report.html"
    page.write_text("spoiled")
    done = excise("report", runs / "old")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{page}\n", "")
    assert page.read_text(encoding="utf-8") == html.render(factory_back(runs))
    assert sorted(p.name for p in (runs / "old").iterdir()) == sorted(folder.FILES)
    assert excise("report", runs / "old", "--out", tmp_path / "page.html").returncode == 0
    assert (tmp_path / "page.html").read_bytes() == page.read_bytes()


def factory_back(runs):
    return folder.read(runs / "old")


def test_a_report_that_is_a_link_is_replaced_not_followed(runs, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    page = runs / "new" / "report.html"
    page.unlink()
    page.symlink_to(victim)
    assert excise("report", runs / "new").returncode == 0
    assert victim.read_text() == "mine"
    assert not page.is_symlink()


def test_explain_for_people_and_programs(runs):
    c = folder.read(runs / "old").campaigns[0]
    done = excise("explain", runs / "old", c.campaign_id)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Campaign {c.campaign_id}\n")
    value = json.loads(excise("explain", runs / "old", c.campaign_id, "--json").stdout)
    assert value["confidence"] == c.confidence


def test_explain_of_an_unknown_id_is_exit_2_with_the_nearest(runs):
    name = folder.read(runs / "old").campaigns[0].campaign_id
    done = excise("explain", runs / "old", name[:-1])
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"did you mean {name}" in done.stderr


def test_diff_for_people_and_programs(runs):
    done = excise("diff", runs / "old", runs / "new")
    assert done.returncode == 0
    assert done.stdout.count("gone ") == 6
    assert done.stdout.count("new ") == 9
    value = json.loads(excise("diff", runs / "old", runs / "old", "--json").stdout)
    assert {c["kind"] for c in value["changes"]} == {"same"}


def test_export_writes_a_list_that_lapses(runs, tmp_path):
    out = tmp_path / "list.csv"
    done = excise("export", runs / "old", "--out", out, "--min-confidence", "0.8", "--expires-after", "2w")
    assert done.returncode == 0
    assert done.stdout == ""
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} accounts written" in done.stderr
    assert {float(r["confidence"]) >= 0.8 for r in rows} == {True}
    ends = datetime.fromisoformat(rows[0]["expires_at"])
    assert timedelta(days=13) < ends - datetime.now(UTC) < timedelta(days=15)
    assert [p.name for p in tmp_path.iterdir()] == ["list.csv"]
    assert (
        excise("export", runs / "old", "--min-confidence", "0.8", "--expires-after", "2w").stdout.count("\n")
        == len(rows) + 1
    )


def test_export_as_parquet_by_verdict_for_ever(runs, tmp_path):
    out = tmp_path / "list.parquet"
    words = (
        "--format",
        "parquet",
        "--verdict",
        "relay",
        "--min-confidence",
        "0",
        "--expires-after",
        "never",
        "--out",
        out,
    )
    assert excise("export", runs / "old", *words).returncode == 0
    table = pq.read_table(out)
    assert table.num_rows
    assert set(table["verdict"].to_pylist()) == {"relay"}
    assert set(table["expires_at"].to_pylist()) == {None}


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "xlsx"),
        ("--format", "parquet"),
        ("--verdict", "shared-client"),
        ("--expires-after", "soon"),
        ("--min-confidence", "2"),
    ],
)
def test_export_with_a_wrong_option_is_exit_2(runs, words):
    done = excise("export", runs / "old", *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr


@pytest.mark.parametrize("words", [("report",), ("explain", "x"), ("diff",), ("export",)])
def test_a_folder_that_is_no_run_is_exit_3(tmp_path, words):
    name, *rest = words
    more = [tmp_path, *rest] if name != "diff" else [tmp_path, tmp_path]
    done = excise(name, *more)
    assert done.returncode == 3
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_list_that_cannot_be_written_is_exit_4(runs, tmp_path):
    done = excise("export", runs / "old", "--out", tmp_path / "none" / "list.csv")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
