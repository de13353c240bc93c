"""The renderings, by the name that `--format` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from excise.inspect.finding import Report
from excise.inspect.outputs import json, sarif

FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {"json": json.render, "sarif": sarif.render}
