"""`excise inspect` as people use it: formats, exit status, baselines, a cache, what is left out and what is refused."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace

import jsonschema
import pytest
from typer.testing import CliRunner

from excise.cli import inspect as command
from excise.cli.app import app
from excise.errors import ExciseError, SchemaMismatch, UnreadableFile, UsageError
from excise.inspect import compare, run
from excise.inspect.analyser import Analyser, Tree
from excise.inspect.cache import Cache
from excise.inspect.finding import Coverage, Earlier, Gap, Patch
from excise.inspect.outputs import sarif
from excise.inspect.outputs.registry import FORMATS
from excise.inspect.registry import ANALYSERS
from excise.inspect.weakness import BY_ID, WEAKNESSES
from repository import ROOT, page

BAD = "@mcp.tool()\ndef calc(x: str):\n    return eval(x)\n"


@pytest.fixture(autouse=True)
def no_kernel_wall(monkeypatch):
    """Landlock cannot be taken back, and would bind every later test of this process; `test_hostile` has it."""
    monkeypatch.setattr("excise.inspect.sandbox.landlock", lambda *_: 0)


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "app.py").write_text(BAD)
    return folder


def excise(*words):
    done = CliRunner().invoke(app, ["inspect", *map(str, words)])
    if isinstance(done.exception, ExciseError):
        raise done.exception
    return done


def report(folder, **options):
    return run.inspect(folder, **options)


def test_every_class_has_a_page_that_says_what_the_code_says():
    for weakness in WEAKNESSES:
        text = page(f"docs/inspect/{weakness.id}.md")
        assert text.startswith(f"# {weakness.id}\n\n{weakness.title}.")
        assert {int(n) for n in re.findall(r"CWE-(\d+)", text.split("## ")[0])} == set(weakness.cwe)
        assert f"An attacker gets {weakness.gets}" in text
        heads = ["What it is", "Why an agent makes it worse", "A real example", "How to fix it"]
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == heads
        assert f"(inspect/{weakness.id}.md)" in page("docs/inspect.md")


def test_analysers_have_names_of_their_own_and_known_classes():
    assert len({a.id for a in ANALYSERS}) == len(ANALYSERS)
    named = {w for a in ANALYSERS for w in a.weaknesses}
    assert named | {"coverage"} == set(BY_ID)
    for analyser in ANALYSERS:
        assert list(analyser.conclude(Tree((), {}))) == []


def test_exit_status_says_whether_something_is_that_severe(tree):
    assert excise(tree).exit_code == 0
    assert excise(tree, "--fail-on", "high").exit_code == 10
    (tree / "app.py").write_text("x = 1\n")
    assert excise(tree, "--fail-on", "note").exit_code == 0


def test_the_text_shows_the_lines_and_no_control_characters(tree):
    (tree / "app.py").write_text(BAD.replace("x)", "x)  # \x1b[31m\u202e"))
    said = excise(tree).stdout
    assert "app.py:3" in said
    assert "return eval(x)" in said
    assert "[code-execution CWE-94]" in said
    assert "[hidden-text" in said
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", said)


def test_the_page_is_closed_and_escapes(tree):
    (tree / "<script>alert(1)</script>.py".replace("/", "")).write_text(BAD)
    said = excise(tree, "--format", "html").stdout
    assert "default-src &#39;none&#39;" in said
    assert "<script" not in said
    assert "&lt;script&gt;" in said


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_tree_gives_the_same_bytes(tree, name):
    render = FORMATS[name]
    assert render(report(tree)) == render(report(tree))


def test_processes_change_nothing(tree):
    for i in range(160):
        (tree / f"m{i}.py").write_text(f"from app import calc\ndef f{i}(p):\n    return calc(p)\n")
    one, two = report(tree), report(tree, jobs=2)
    assert one == two
    assert one.coverage.python_files == 161


def test_a_baseline_leaves_only_what_is_new(tree, tmp_path):
    before = tmp_path / "before.json"
    assert excise(tree, "--format", "json", "--out", before).exit_code == 0
    assert excise(tree, "--baseline", before, "--fail-on", "note").exit_code == 0
    (tree / "app.py").write_text("\n\n" + BAD)
    assert excise(tree, "--baseline", before, "--fail-on", "note").exit_code == 0
    (tree / "more.py").write_text(BAD.replace("calc", "other"))
    assert excise(tree, "--baseline", before, "--fail-on", "high").exit_code == 10


def test_an_accepted_finding_needs_a_reason(tree, tmp_path):
    (finding,) = report(tree).findings
    accepted = {
        "schema": compare.ACCEPTED,
        "accepted": [{"fingerprint": finding.fingerprint, "reason": "a test"}],
    }
    path = tmp_path / "accepted.json"
    path.write_text(json.dumps(accepted))
    assert excise(tree, "--baseline", path, "--fail-on", "note").exit_code == 0
    accepted["accepted"][0]["reason"] = " "
    path.write_text(json.dumps(accepted))
    with pytest.raises(SchemaMismatch):
        excise(tree, "--baseline", path)


def test_what_is_gone_is_fixed_moved_or_unknown(tree):
    (finding,) = report(tree).findings
    old = Earlier(finding.fingerprint, finding.shape, finding.path, finding.title)
    (tree / "app.py").rename(tree / "moved.py")
    moved = compare.compare(report(tree), [old])
    assert moved.changes.word(moved.findings[0]) == "moved"
    (tree / "moved.py").unlink()
    assert compare.compare(report(tree), [old]).changes.fixed == (old,)
    (tree / "app.py").write_text(BAD + "def (\n")
    blind = compare.compare(report(tree), [old])
    assert blind.changes.unknown == (old,)
    assert blind.changes.fixed == ()
    assert compare.missing("a/b.py", Coverage(1, 1, 1, (Gap("a", "unreadable"),)))
    assert not compare.missing("ab.py", Coverage(1, 1, 1, (Gap("a", "unreadable"),)))


def test_a_cache_gives_what_a_fresh_run_gives(tree, tmp_path):
    (tree / "helper.py").write_text("def helper(x):\n    return x\n")
    path = tmp_path / "cache"
    for text in (BAD, BAD, BAD.replace("eval(x)", "eval(helper(x))"), "x = 1\n"):
        (tree / "app.py").write_text(text)
        if text == BAD:
            (tree / "app.py").write_text(text)
        known = Cache(path)
        assert report(tree, cache=known) == report(tree)
        path.write_bytes(known.encoded())
    path.write_bytes(b"not a cache")
    assert report(tree, cache=Cache(path)) == report(tree)


def test_what_is_left_out_is_said(tree):
    (tree / "vendored").mkdir()
    (tree / "vendored" / "bad.py").write_text(BAD)
    assert len(report(tree).findings) == 2
    said = excise(tree, "--exclude", "vendored/").stdout
    assert "1 finding" in said
    assert "Left out by --exclude: vendored/" in said


def test_a_file_that_cannot_be_parsed_is_a_finding(tree):
    (tree / "broken.py").write_text("def (\n")
    findings = [f for f in report(tree).findings if f.weakness == "coverage"]
    assert [f.path for f in findings] == ["broken.py"]


def test_evidence_of_another_tool_is_shown_where_it_agrees(tree, tmp_path):
    other = {"runs": [{"tool": {"driver": {"name": "other"}}, "results": [
        {"ruleId": "B307", "locations": [{"physicalLocation": {"artifactLocation": {"uri": "app.py"}, "region": {"startLine": line}}}]}
        for line in (3, 90)
    ]}]}  # fmt: skip
    path = tmp_path / "other.sarif"
    path.write_text(json.dumps(other))
    said = excise(tree, "--evidence", path).stdout
    assert "other reports B307 here" in said
    assert "1 of 2 results of other lie at no finding" in said


def test_mistakes_are_said_and_not_traced(tree, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text("[" * 100_000)
    with pytest.raises(UnreadableFile):
        excise(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        excise(tree, "--format", "xml")
    with pytest.raises(UsageError):
        excise(tree, "--fail-on", "terrible")
    for option in ("--baseline", "--evidence"):
        with pytest.raises(UnreadableFile):
            excise(tree, option, broken)
        with pytest.raises(UnreadableFile):
            excise(tree, option, tmp_path / "nowhere.json")
    broken.write_text('{"runs": [{}]}')
    for option in ("--baseline", "--evidence"):
        with pytest.raises(SchemaMismatch):
            excise(tree, option, broken)


def test_the_command_is_the_one_that_is_registered():
    assert command.inspect in {c.callback for c in app.registered_commands}


SCHEMA = json.loads(page("tests/fixtures/sarif-multitool-5.7.0-sarif-2.1.0.json"))


def test_sarif_fits_the_standard_s_schema(tree, tmp_path):
    """With every kind of thing that we write: findings with and without a line, gaps, patches, a name that is no text."""
    (tree / "broken.py").write_text("def (\n")
    (tree / "model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (tree / os.fsdecode(b"b\xff.py")).write_text(BAD)
    said = replace(report(tree), patches=(Patch("0" * 24, "--- a/x\n", "tried", added=("y",)),))
    checker = jsonschema.Draft202012Validator(SCHEMA)
    log = json.loads(sarif.render(said))
    assert len(log["runs"][0]["results"]) >= 4
    assert [e.message for e in checker.iter_errors(log)] == []
    log["runs"][0]["results"][0]["level"] = "terrible"
    assert len(list(checker.iter_errors(log))) == 1


def test_sarif_says_more_than_the_schema_asks_for(tree):
    (tree / "broken.py").write_text("def (\n")
    (tree / "späße \n.py").write_text(BAD)
    log = json.loads(sarif.render(report(tree)))
    (one,) = log["runs"]
    rules = one["tool"]["driver"]["rules"]
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    assert len(one["results"]) == 3
    for result in one["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert set(result["partialFingerprints"]) == {"excise/v1", "excise/shape/v1"}
        steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
        for place in (result["locations"][0], *(s["location"] for s in steps)):
            physical = place["physicalLocation"]
            assert re.fullmatch(r"[\w%/.+~@=,-]+", physical["artifactLocation"]["uri"])
            assert physical.get("region", {"startLine": 1})["startLine"] > 0
    (notification,) = one["invocations"][0]["toolExecutionNotifications"]
    assert "unparsable" in notification["message"]["text"]
    assert "external/cwe/cwe-094" in {t for r in rules for t in r["properties"]["tags"]}


def test_this_repository_s_accepted_findings_have_reasons():
    accepted = compare.load(ROOT / ".ci" / "inspect-accepted.json")
    assert accepted
    assert all(len(e.reason.split()) > 5 for e in accepted)


def test_a_file_that_ends_its_process_is_a_gap_and_not_the_end(tree):
    for i in range(200):
        (tree / f"m{i:03}.py").write_text("x = 1\n")

    def read(source):
        if source.path == "m150.py":
            os._exit(1)

    deadly = Analyser("deadly", (), lambda _path: True, read, lambda _tree: ())
    said = report(tree, jobs=2, analysers=(deadly,))
    lost = {g.path for g in said.coverage.gaps if "process" in g.detail}
    assert "m150.py" in lost
    assert len(said.findings) == len(lost)


def test_a_deny_list_that_two_analysers_see_is_found_once(tree):
    (tree / "check.py").write_text(
        "import ast\n\n\ndef check(code):\n    for n in ast.walk(ast.parse(code)):\n"
        "        if isinstance(n, (ast.Call, ast.Import)) and isinstance(n, ast.Name) and n.id in {'eval', 'exec', 'open'}:\n"
        "            raise ValueError('not allowed')\n\n\ndef go(code):\n    check(code)\n    exec(code)\n"
    )
    ids = ("validators", "denylist")
    each = [report(tree, analysers=[a for a in ANALYSERS if a.id == i]) for i in ids]
    assert [[f.symbol for f in r.findings] for r in each] == [["check"], ["check"]]
    both = [f for f in report(tree).findings if f.weakness == "deny-listed-code"]
    assert [f.severity for f in both] == [max(f.severity for r in each for f in r.findings)]


def test_the_command_says_what_is_unknown_because_it_was_not_seen(tree, tmp_path):
    before = tmp_path / "before.json"
    excise(tree, "--format", "json", "--out", before)
    (tree / "app.py").write_text(BAD + "def (\n")
    said = json.loads(excise(tree, "--baseline", before, "--format", "json").stdout)
    assert [e["path"] for e in said["gone"]["unknown"]] == ["app.py"]
    assert said["gone"]["fixed"] == []
    assert "1 unknown since they could not be looked at" in excise(tree, "--baseline", before).stdout


def test_names_and_literals_that_are_no_text_survive_a_cache(tree, tmp_path):
    """MessagePack holds no lone surrogates; a name of bytes and a literal have some."""
    (tree / os.fsdecode(b"b\xff.py")).write_text(BAD)
    (tree / "literal.py").write_text(BAD.replace("eval(x)", 'eval(box["\\ud800"][x])'))
    known = Cache(tmp_path / "cache")
    assert report(tree, cache=known) == report(tree)
    (tmp_path / "cache").write_bytes(known.encoded())
    assert report(tree, cache=Cache(tmp_path / "cache")) == report(tree)
