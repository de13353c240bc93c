"""The renderings, by the name that `--format` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from excise.inspect.finding import Report
from excise.inspect.outputs import html, json, sarif, text

FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {
    "text": text.render,
    "json": json.render,
    "sarif": sarif.render,
    "html": html.render,
}
