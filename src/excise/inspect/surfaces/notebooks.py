"""Notebooks: output that runs as a script when it is shown, cells that are not shown, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.commands import judge
from excise.inspect.surfaces.instructions import concealed
from excise.inspect.surfaces.node import Node
from excise.inspect.surfaces.readers import json
from excise.inspect.surfaces.surface import Surface
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

_SCRIPT: Final = re.compile(
    r"<script\b|<iframe\b|<object\b|<embed\b|\bon(?:load|error|click|mouseover|focus)\s*=|javascript:",
    re.IGNORECASE,
)
_ACTS: Final = re.compile(
    r"\b(?:fetch|XMLHttpRequest|WebSocket|sendBeacon|IPython\.notebook\.kernel|kernel\.execute|jupyterapp|requestExecute|document\.cookie|eval)\b"
    r"|<(?:iframe|img|object)\b[^>]{0,200}\bsrc\s*=\s*[\"']?https?:",
    re.IGNORECASE,
)
_SHELL: Final = re.compile(r"^\s*(?:!|%%?(?:bash|sh|system|sx|script)\b)")


def marks(source: Source) -> Iterator[Mark]:
    """Cells and outputs of a notebook."""
    top = json(source.text)
    for cell in top.at("cells").each:
        words = _joined(cell.at("source"))
        unseen = _unseen(cell)
        if cell.at("cell_type").string == "code":
            yield from _code(cell, words, unseen)
        else:
            yield from _prose(cell, words)
        for output in cell.at("outputs").each:
            yield from _output(output)


def _code(cell: Node, words: str, unseen: bool) -> Iterator[Mark]:
    judged = judge(words)
    line = cell.at("source").line
    where = "a cell that is not shown" if unseen else "a cell"
    if not judged.ordinary:
        first = next((n for n in cell.at("source").each if not judge(n.string).ordinary), None)
        yield Mark(
            first.line if first else line, judged.verdict(Verdict.ON_TRUST), judged.severity,
            f"{where} {judged.what}", "", "secret-exfiltration" if judged.exfiltrates else "runs-on-open",
        )  # fmt: skip
    elif unseen and any(_SHELL.match(w) for w in words.split("\n")):
        yield Mark(
            line, Verdict.ON_TRUST, Severity.MEDIUM, f"{where} runs a command", "", confidence="medium"
        )


def _prose(cell: Node, words: str) -> Iterator[Mark]:
    for mark in concealed(Source("cell.md", words.encode("utf-8", "replace"))):
        yield Mark(
            cell.at("source").line,
            mark.verdict,
            mark.severity,
            f"a cell of text: {mark.what}",
            "",
            mark.weakness,
        )


def _output(output: Node) -> Iterator[Mark]:
    for kind, value in output.at("data").entries:
        shown = _joined(value)
        if kind == "application/javascript" or (
            kind in {"text/html", "image/svg+xml"} and _SCRIPT.search(shown)
        ):
            acts = bool(_ACTS.search(shown))
            yield Mark(
                value.line or output.line, Verdict.ON_TRUST, Severity.HIGH if acts else Severity.LOW,
                "an output runs a script when it is shown" + (" and reaches beyond its page" if acts else ""), "",
                confidence="medium",
            )  # fmt: skip


def _joined(node: Node) -> str:
    return "".join(item.string for item in node.each)


def _unseen(cell: Node) -> bool:
    meta = cell.at("metadata")
    tags = {t.string for t in meta.at("tags").each}
    return meta.at("jupyter", "source_hidden").string == "true" or bool(
        tags & {"hide-input", "remove-input", "hide-cell", "remove-cell", "hide_input"}
    )


def _wants(path: str) -> bool:
    return path.lower().endswith(".ipynb")


NOTEBOOKS = Surface("notebooks", _wants, marks)
