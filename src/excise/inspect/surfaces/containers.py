"""Development containers: what runs on the host before there is a container, and what the container may reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.node import Node, scalars
from excise.inspect.surfaces.readers import read
from excise.inspect.surfaces.surface import Surface, command_mark, command_of
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

_INSIDE: Final = (
    "onCreateCommand",
    "updateContentCommand",
    "postCreateCommand",
    "postStartCommand",
    "postAttachCommand",
)
_HOST: Final = re.compile(
    r"docker\.sock|--privileged|--pid[= ]host|--cap-add[= ](?:ALL|SYS_ADMIN)|source=/(?:,|$)|-v\s*/:"
)
_HOME: Final = re.compile(
    r"localEnv:(?:HOME|USERPROFILE)\}[^,]*(?:\.ssh|\.aws|\.config/gcloud|\.gnupg|\.netrc)"
)


def marks(source: Source) -> Iterator[Mark]:
    """Commands, mounts and rights of a container definition."""
    top = read(source)
    for at, command in _commands(top, "initializeCommand"):
        yield command_mark(at, command, "initializeCommand, on the host,", Verdict.ON_TRUST, Severity.MEDIUM)
    for key in _INSIDE:
        for at, command in _commands(top, key):
            yield command_mark(at, command, f"{key}, inside the container,", Verdict.ON_TRUST)
    for path, value in scalars(top):
        if path[0] in {"runArgs", "mounts", "workspaceMount", "privileged", "capAdd"}:
            yield from _reach(path[0], value)


def _commands(top: Node, key: str) -> Iterator[tuple[int, str]]:
    """One command, or several by name."""
    node = top.at(key)
    if node.pairs is None:
        command = command_of(node)
        if command:
            yield node.line, command
        return
    for _, value in node.entries:
        yield value.line, command_of(value)


def _reach(key: str, value: Node) -> Iterator[Mark]:
    word = value.string
    if _HOST.search(word) or (key == "privileged" and word == "true") or (key == "capAdd" and word == "ALL"):
        yield Mark(
            value.line, Verdict.ON_TRUST, Severity.MEDIUM, f"{key} gives the container the host", word,
        )  # fmt: skip
    elif _HOME.search(word):
        yield Mark(
            value.line, Verdict.ON_TRUST, Severity.MEDIUM,
            f"{key} gives the container the user's credentials", word,
        )  # fmt: skip


def _wants(path: str) -> bool:
    low = path.lower()
    return low.endswith("devcontainer.json") and (".devcontainer" in low)


DEV_CONTAINERS = Surface("dev-containers", _wants, marks)
