"""Answers recorded without a plan: resumed, bound to their prompts, and read by the commands that compare."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from excise.audit.said import answers
from excise.cli.app import app
from excise.errors import UsageError
from hostile_server import answer, raw, served


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("one\ntwo\nthree\n")
    return path


def ask(prompts, out, url, *more):
    words = [
        "audit",
        "ask",
        str(prompts),
        "--out",
        str(out),
        "--endpoint",
        url,
        "--model",
        "m",
        "--rate",
        "6000",
    ]
    return CliRunner().invoke(app, [*words, "--attempts", "1", *more])


def test_answers_are_recorded_and_a_stopped_run_goes_on(prompts, tmp_path):
    out = tmp_path / "said.ndjson"
    with served(answer("first"), raw(b"nonsense"), answer("third\x1b[31m")) as server:
        assert ask(prompts, out, server.url, "--budget", "1").exit_code == 0
        done = ask(prompts, out, server.url, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["answered"], told["failed"], told["before"]) == (1, 1, 1)
    assert answers(out) == {"one": ("first",), "three": ("third\x1b[31m",)}


def test_a_transcript_goes_on_with_its_own_prompts_only(prompts, tmp_path):
    out = tmp_path / "said.ndjson"
    with served(answer("first")) as server:
        ask(prompts, out, server.url, "--budget", "1")
        prompts.write_text("other\n")
        done = ask(prompts, out, server.url)
    assert isinstance(done.exception, UsageError)
    assert answers(out) == {"one": ("first",)}


def test_a_changed_transcript_is_not_compared(prompts, tmp_path):
    out = tmp_path / "said.ndjson"
    with served(answer("first")) as server:
        ask(prompts, out, server.url, "--budget", "1")
    out.write_bytes(out.read_bytes().replace(b"first", b"forge"))
    words = ["audit", "safeguards", "--teacher", str(out), "--suspect", str(out), "--prompts", str(prompts)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0
    assert "does not hold" in str(done.exception)


def test_a_model_at_an_endpoint_can_judge(prompts, tmp_path):
    for name, text in (("teacher", "No."), ("suspect", "Yes.")):
        rows = [json.dumps({"prompt": p, "answer": text}) for p in ("one", "two", "three")]
        (tmp_path / f"{name}.ndjson").write_text("\n".join(rows))
    words = ["audit", "safeguards", "--prompts", str(prompts), "--json", "--judge-model", "j"]
    for name in ("teacher", "suspect"):
        words += [f"--{name}", str(tmp_path / f"{name}.ndjson")]
    with served(*[answer("REFUSAL")] * 3, *[answer("ANSWER")] * 3) as server:
        done = CliRunner().invoke(app, [*words, "--judge-endpoint", server.url])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["judge"]["held_out"] is None
    assert told["categories"][0]["pairs"] == {"both": 0, "lost": 3, "gained": 0, "neither": 0}
