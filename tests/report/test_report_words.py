"""Explanations, differences, lists and what the terminal shows."""

from __future__ import annotations

import csv
import doctest
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import factory
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from excise.cli import terminal as screen
from excise.errors import UsageError
from excise.model.schema import ACCOUNTS_OUT, HARVEST_OUT
from excise.report import diff, explain, export, summary, terminal, wording


def make(groups: dict[str, str], verdicts: dict[str, str] | None = None, **changes: dict[str, object]):
    """A run whose campaigns (by id) hold one account for each letter."""
    verdicts = verdicts or {}
    model = factory.run(1).campaigns[0]
    campaigns = tuple(
        replace(
            model, campaign_id=name, accounts=len(members), graph=None, verdict=verdicts.get(name, "distillation"),
            **changes.get(name, {}),
        )
        for name, members in groups.items()
    )  # fmt: skip
    rows = [
        {"account_id": f"acct-{letter}", "exchanges": 9, "score": 0.8, "campaign_id": name,
         "verdict": verdicts.get(name, "distillation"), "harvest_exchanges": 3, "reasons": []}
        for name, members in groups.items()
        for letter in members
    ]  # fmt: skip
    run = factory.run(0)
    return replace(
        run,
        campaigns=campaigns,
        accounts=pa.Table.from_pylist(rows, ACCOUNTS_OUT),
        harvest=HARVEST_OUT.empty_table(),
    )


@pytest.mark.parametrize("module", [wording, export])
def test_the_examples_in_the_code_hold(module):
    assert doctest.testmod(module).failed == 0


@given(st.text(max_size=60))
def test_nothing_that_steers_a_screen_is_left_in_foreign_words(text):
    shown = wording.visible(text)
    assert all(c in "\n\t" or c.isprintable() or c.isspace() for c in shown)
    assert not set(shown) & set("\x1b\x00\x7f\x9b\u200b\u200d\u202e\u2066\ufeff\u2028")
    assert "\n" not in wording.one_line(text)


def test_an_accused_account_is_told_why_how_sure_and_how_to_appeal():
    run = factory.run(6)
    row = next(r for r in run.accounts.to_pylist() if r["verdict"] == "distillation")
    c = next(c for c in run.campaigns if c.campaign_id == row["campaign_id"])
    said = explain.text(explain.explain(run, row["account_id"]))
    assert "The account is accused" in said
    assert all(e.statement in said for e in c.evidence)
    assert all(i.why in said for i in c.innocent)
    assert f"confidence is {wording.percent(c.confidence)}" in said
    assert "may ask for a review" in said
    assert not re.search(r"\bproo?f\b|\bproven\b", said)


def test_an_explanation_names_no_other_account_and_quotes_no_prompt():
    run = factory.run(2)
    c = run.campaigns[0]
    mine, other, *_ = [r["account_id"] for r in run.accounts.to_pylist() if r["campaign_id"] == c.campaign_id]
    leaky = replace(c.evidence[0], statement=f"Blocks issued to {other}, came in from {mine}; see ({other}).")
    run = replace(run, campaigns=(replace(c, evidence=(leaky,)), *run.campaigns[1:]))
    found = explain.explain(run, mine)
    said = explain.text(found) + json.dumps(explain.to_json(found))
    others = {a for a in run.accounts["account_id"].to_pylist() if a != mine}
    assert not [a for a in others if a in said]
    assert f"Blocks issued to another account, came in from {mine}; see (another account)." in said
    assert not [s.text for s in c.wrapper.segments if s.text.strip() in said]
    assert not [e.text for e in c.examples if e.text in said]


def test_an_account_that_is_not_accused_is_told_what_was_seen_and_why_not():
    run = factory.run(60)
    rows = run.accounts.to_pylist()
    alone = next(r for r in rows if r["campaign_id"] is None and r["reasons"])
    said = explain.text(explain.explain(run, alone["account_id"]))
    assert "not accused" in said
    assert alone["reasons"][0] in said
    assert "accuses nobody" in said
    assert "review" not in said
    shared = next(r for r in rows if r["verdict"] == "shared-client")
    found = explain.explain(run, shared["account_id"])
    assert not found.accused
    assert "Many customers of one innocent program" in found.summary
    assert factory.SHARED.why in " ".join(found.innocent)


def test_a_campaign_is_explained():
    c = factory.run(6).campaigns[0]
    found = explain.explain(factory.run(6), c.campaign_id)
    assert found.kind == "campaign"
    assert found.accused
    assert f"{c.accounts} accounts" in found.summary
    assert explain.to_json(found)["schema"] == "excise.explanation/1"


def test_an_unknown_id_is_a_usage_error_with_the_nearest():
    run = factory.run(2)
    name = run.accounts["account_id"][3].as_py()
    with pytest.raises(UsageError) as said:
        explain.explain(run, name[:-1] + "\x1b")
    assert name in said.value.hint
    assert "\x1b" not in str(said.value)
    with pytest.raises(UsageError) as said:
        explain.explain(run, "")
    assert "accounts.parquet" in said.value.hint


def test_campaigns_are_recognised_by_their_members_whatever_they_are_called():
    old = make({"A": "abcdef", "B": "ghij", "C": "klmn", "D": "opqr", "E": "stu"})
    new = make({"a2": "abcdefxyz", "b2": "ghi", "c2": "klmn", "D": "1234", "E": "stu"}, {"c2": "relay"})
    found = diff.diff(old, new)
    kinds = {(c.kind, c.old_id, c.new_id) for c in found.changes}
    assert kinds == {
        ("grown", "A", "a2"), ("shrunk", "B", "b2"), ("changed", "C", "c2"), ("gone", "D", None), ("new", None, "D"), ("same", "E", "E"),
    }  # fmt: skip
    grown = next(c for c in found.changes if c.kind == "grown")
    assert (grown.joined, grown.left, grown.overlap) == (3, 0, pytest.approx(6 / 9))
    assert (found.newly_accused, found.no_longer_accused) == (7, 5)
    assert (found.splits, found.merges) == ((), ())


def test_a_split_and_a_merger_are_said():
    whole, parts = make({"W": "abcdefgh"}), make({"P": "abcde", "Q": "fgh"})
    split = diff.diff(whole, parts)
    assert split.splits == (("W", ("P", "Q")),)
    assert {(c.kind, c.old_id, c.new_id) for c in split.changes} == {("shrunk", "W", "P"), ("new", None, "Q")}
    merged = diff.diff(parts, whole)
    assert merged.merges == (("W", ("P", "Q")),)
    assert {(c.kind, c.old_id, c.new_id) for c in merged.changes} == {
        ("grown", "P", "W"),
        ("gone", "Q", None),
    }
    assert "merged   P, Q into W" in diff.text(merged)


def test_a_small_group_inside_a_large_one_is_the_same_campaign_grown():
    found = diff.diff(make({"S": "abc"}), make({"L": "abcdefghijklmnopqrstuvwxyz"}))
    assert [(c.kind, c.old_id, c.new_id) for c in found.changes] == [("grown", "S", "L")]


def test_a_run_does_not_differ_from_itself_and_nothing_from_nothing():
    run = factory.run(6)
    assert {c.kind for c in diff.diff(run, run).changes} == {"same"}
    assert diff.diff(run, run).newly_accused == 0
    empty = diff.diff(factory.run(0), factory.run(0))
    assert empty.changes == ()
    assert "No campaign in either run." in diff.text(empty)
    assert diff.to_json(empty)["schema"] == "excise.diff/1"


def test_a_change_of_verdict_is_read_out():
    said = diff.text(diff.diff(make({"A": "abc"}), make({"A": "abc"}, {"A": "undetermined"})))
    assert "0 accounts newly accused, 3 no longer." in said
    assert re.search(r"changed  A: 3 to 3 accounts .*undetermined 98%, was distillation 98%", said)


ENDS = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_the_list_holds_accused_accounts_of_sure_campaigns_only():
    run = make({"A": "ba", "B": "c", "S": "d"}, {"B": "relay", "S": "shared-client"}, B={"confidence": 0.5})
    table = export.listed(run, min_confidence=0.9, verdicts=("distillation", "relay"), expires_at=ENDS)
    assert table.schema == export.SCHEMA
    assert table["account_id"].to_pylist() == ["acct-a", "acct-b"]
    assert set(table["expires_at"].to_pylist()) == {"2026-05-01T12:00:00Z"}
    assert set(table["since"].to_pylist()) == {run.campaigns[0].first_seen}
    everything = export.listed(run, min_confidence=0.0, verdicts=("relay",), expires_at=None)
    assert everything.to_pylist() == [
        {"account_id": "acct-c", "campaign_id": "B", "verdict": "relay", "confidence": 0.5,
         "since": run.campaigns[1].first_seen, "expires_at": None}
    ]  # fmt: skip
    with pytest.raises(UsageError, match="accuses nobody"):
        export.listed(run, min_confidence=0.0, verdicts=("shared-client",), expires_at=None)


@pytest.mark.parametrize("word", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", '=HYPERLINK("x")'])
def test_a_cell_that_a_spreadsheet_would_run_is_made_inert_in_csv_and_kept_in_parquet(word):
    row = {
        "account_id": word,
        "campaign_id": 'C",1',
        "verdict": "relay",
        "confidence": 0.9,
        "since": "s",
        "expires_at": None,
    }
    table = pa.Table.from_pylist([row], export.SCHEMA)
    cells = list(csv.reader(io.StringIO(export.FORMATS["csv"](table).decode(), newline="")))
    assert cells == [export.SCHEMA.names, ["'" + word, 'C",1', "relay", "0.9", "s", ""]]
    assert pq.read_table(io.BytesIO(export.FORMATS["parquet"](table))).to_pylist() == [row]
    assert export.altered(table) == 1


def test_durations():
    assert export.duration("12h") == timedelta(hours=12)
    assert export.duration("never") is None
    for bad in ("", "30", "0d", "-1d", "30m", "999999w", "\u0663d"):
        with pytest.raises(UsageError, match="not a duration"):
            export.duration(bad)


def screenful(run, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    for part in terminal.lines(run, Path("runs/a b")):
        console.print(part)
    return console.file.getvalue()


def test_the_terminal_shows_the_strongest_and_how_to_read_on():
    run = factory.run(60)
    shown = screenful(run)
    assert all(c.campaign_id in shown for c in run.campaigns[: terminal.ROWS])
    assert run.campaigns[terminal.ROWS].campaign_id not in shown
    assert "45 more" in shown
    assert "excise explain 'runs/a b' " + run.campaigns[0].campaign_id in shown
    assert "not looked at: payment instruments" in shown
    assert "0 campaigns accused" in screenful(factory.run(0))


def test_foreign_words_in_the_terminal_are_neither_markup_nor_control():
    run = factory.run(2, hostile=True)
    c = replace(run.campaigns[0], campaign_id="[red]x[/]\x1b[2J", capabilities=("\x07\u202e",))
    shown = screenful(replace(run, campaigns=(c,)))
    assert "[red]x[/]␛[2J" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_the_summary_for_programs_has_a_schema_and_each_campaign():
    run = factory.run(6)
    found = json.loads(json.dumps(summary.to_json(run)))
    assert found["schema"] == "excise.summary/1"
    assert [c["campaign_id"] for c in found["campaigns"]] == [c.campaign_id for c in run.campaigns]
    assert {c["verdict"] for c in found["campaigns"] if not c["accuses"]} == {"undetermined"}
    assert found["counts"] == run.info["counts"]


def test_results_go_to_stdout_talk_to_stderr_and_neither_steers_the_screen(capsys):
    screen.result("a\x1b[2J\nb")
    screen.say("c\x07\nd")
    screen.show(["[bold]e[/bold]"])
    screen.result_json({"b": 1})
    with screen.progress() as going:
        going.stage("link", 3)
        going.advance()
    said = capsys.readouterr()
    assert said.out == 'a␛[2J\nb\n[bold]e[/bold]\n{\n  "b": 1\n}\n'
    assert said.err == "c␇ d\n"
