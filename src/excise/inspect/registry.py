"""The analysers, in the order in which their findings are made. A new one is a file, a line here and a page of docs."""

from __future__ import annotations

from typing import Final

from excise.inspect.analyser import Analyser
from excise.inspect.artifacts.artifact import ARTIFACTS
from excise.inspect.posture.registry import POSTURE
from excise.inspect.python import flow, validators
from excise.inspect.surfaces.analyser import SURFACE_ANALYSERS
from excise.inspect.surfaces.links import LINKS

ANALYSERS: Final[tuple[Analyser, ...]] = (
    flow.ANALYSER, validators.ANALYSER, *POSTURE, *SURFACE_ANALYSERS, LINKS, ARTIFACTS,
)  # fmt: skip
