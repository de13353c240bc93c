"""The checker proves what is there and nothing else: a chain with any step moved, renamed or cut does not replay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from excise.inspect import proof, run
from excise.inspect.finding import Severity
from excise.inspect.python import flow
from excise.inspect.walk import walk

CODE = """\
import os


def unrelated():
    return os.getcwd()


@mcp.tool()
def ping(host: str):
    line = f"ping {host}"
    return start(line)


def start(command):
    shell = command.strip()
    return os.system(shell)
"""


@pytest.fixture
def finding(tmp_path):
    (tmp_path / "app.py").write_text(CODE)
    (one,) = [
        f for f in run.inspect(tmp_path, analysers=(flow.ANALYSER,)).findings if f.severity >= Severity.HIGH
    ]
    return tmp_path, one


def proven(tree, finding):
    return next(proof.replay(walk(tree), [finding])).proven


def test_what_was_found_replays(finding):
    _, one = finding
    assert one.proven
    assert [s.rule for s in one.steps][0 :: len(one.steps) - 1] == ["source", "sink"]
    assert all(s.text for s in one.steps)


def test_a_step_at_another_line_does_not(finding):
    tree, one = finding
    for i in range(len(one.steps)):
        moved = replace(one.steps[i], line=4)
        assert not proven(tree, replace(one, steps=(*one.steps[:i], moved, *one.steps[i + 1 :])))


def test_a_chain_without_its_calls_does_not(finding):
    tree, one = finding
    assert not proven(
        tree, replace(one, steps=(replace(one.steps[0], line=4, text="unrelated"), one.steps[-1]))
    )


def test_words_that_are_not_there_do_not(finding):
    tree, one = finding
    wrong = replace(one.steps[-1], text="os.system(other)")
    assert not proven(tree, replace(one, steps=(*one.steps[:-1], wrong)))


def test_a_finding_without_steps_does_not(finding):
    tree, one = finding
    assert not proven(tree, replace(one, steps=()))


def test_after_the_file_changed_it_does_not(finding):
    tree, one = finding
    (tree / "app.py").write_text(CODE.replace("os.system(shell)", "print(shell)"))
    assert not proven(tree, one)
