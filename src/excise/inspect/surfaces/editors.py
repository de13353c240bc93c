"""Tasks and settings of editors: what starts when a folder is opened, and which programs a folder may replace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.agents import approvals
from excise.inspect.surfaces.node import Node, scalars
from excise.inspect.surfaces.readers import read
from excise.inspect.surfaces.servers import servers
from excise.inspect.surfaces.surface import Surface, command_mark, command_of, keys_of_an_environment, named
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

_PROGRAM: Final = re.compile(
    r"(?:\.|^)(?:git\.path|python\.(?:pythonpath|defaultinterpreterpath)|\w+\.(?:executable|binary)?path"
    r"|\w[\w.]*(?:executablepath|binarypath|serverpath|server\.path|runtime|nodepath|compilerpath|commandpath))$",
    re.IGNORECASE,
)
_IN_TREE: Final = re.compile(r"^(?:\$\{workspace(?:Folder|Root)[^}]*\}|\.{1,2}/|\.\w)")
_VENV: Final = re.compile(r"(?:^|/)\.?v?env(?:[\w.-]*)?/(?:bin|Scripts)/|node_modules/")


def marks(source: Source) -> Iterator[Mark]:
    """A file of an editor's workspace: tasks, settings, servers, by what is in it."""
    top = read(source)
    yield from _tasks(top)
    yield from _tasks(top.at("tasks"))
    settings = top.at("settings") if source.name.endswith(".code-workspace") else top
    if source.name == "settings.json" or settings is not top:
        yield from _settings(settings)
    yield from servers(settings)


def _tasks(top: Node) -> Iterator[Mark]:
    for task in top.at("tasks").items or ():
        if task.at("runOptions", "runOn").string.lower() != "folderopen":
            continue
        command = " ".join(
            command_of(task.at(*keys)) or command_of(task)
            for keys in ((), ("linux",), ("osx",), ("windows",))
        )
        hidden = task.at("presentation", "reveal").string == "never"
        where = "a task that starts when the folder is opened" + (", unseen," if hidden else "")
        least = Severity.MEDIUM if hidden else Severity.LOW
        yield command_mark(task.at("command").line or task.line, command, where, Verdict.ON_TRUST, least)


def _settings(top: Node) -> Iterator[Mark]:
    for path, value in scalars(top):
        key, word = ".".join(p for p in path if p != "[]"), value.string
        yield from approvals((key,), value)
        if key == "security.workspace.trust.enabled" and word == "false":
            yield Mark(
                value.line, Verdict.BEFORE_TRUST, Severity.HIGH,
                "the question whether a folder is trusted is switched off", "security.workspace.trust.enabled",
                "lowered-approval",
            )  # fmt: skip
        elif key == "task.allowAutomaticTasks" and word == "on":
            yield Mark(
                value.line, Verdict.BEFORE_TRUST, Severity.MEDIUM,
                "tasks may start by themselves when the folder is opened", "task.allowAutomaticTasks",
                "lowered-approval",
            )  # fmt: skip
        elif _PROGRAM.search(key) and _IN_TREE.match(word) and not _VENV.search(word):
            yield Mark(
                value.line, Verdict.ON_TRUST, Severity.MEDIUM,
                f"{key[:60]} makes the editor start a program of this tree", word, confidence="medium",
            )  # fmt: skip
    for system in ("linux", "osx", "windows"):
        yield from keys_of_an_environment(
            top.at(f"terminal.integrated.env.{system}"), "the editor's terminal"
        )


_NAMED = named(".vscode/tasks.json", ".vscode/settings.json", ".zed/tasks.json")


def _wants(path: str) -> bool:
    return _NAMED(path) or path.lower().endswith(".code-workspace")


EDITORS = Surface("editor-tasks", _wants, marks)

_EVALUATES = re.compile(
    r"(?:^|[\s(])\(?eval\s*[.(]|\b(?:system|jobstart|termopen|os\.execute|io\.popen|shell-command|call-process|vim\.fn\.system)\b|^\s*(?:silent\s*)?!\s*\S",
    re.MULTILINE,
)


def script_marks(source: Source) -> Iterator[Mark]:
    """A start-up script of an editor in the folder."""
    for number, line in enumerate(source.lines, 1):
        if _EVALUATES.search(line):
            yield command_mark(number, line, "the editor's folder script", Verdict.ON_TRUST, Severity.MEDIUM)


EDITOR_SCRIPTS = Surface(
    "editor-scripts",
    named(".exrc", ".nvimrc", ".nvim.lua", ".vimrc", ".lvimrc", ".dir-locals.el", ".dir-locals-2.el"),
    script_marks,
)
