"""The analysers, in the order in which their findings are made. A new one is a file, a line here and a page of docs."""

from __future__ import annotations

from typing import Final

from excise.inspect.analyser import Analyser
from excise.inspect.python import flow, validators

ANALYSERS: Final[tuple[Analyser, ...]] = (flow.ANALYSER, validators.ANALYSER)
