"""Labelled traffic to practise on: `write_world(WorldSpec(...), folder)`."""

from excise.simulate.spec import KINDS, WorldSpec, WorldSummary, parse_levels
from excise.simulate.world import write_world

__all__ = ["KINDS", "WorldSpec", "WorldSummary", "parse_levels", "write_world"]
