"""The surfaces. A new one is a file, a line here, and examples in `tests/inspect/surfaces/`."""

from __future__ import annotations

from typing import Final

from excise.inspect.surfaces.agents import AGENT_SETTINGS
from excise.inspect.surfaces.containers import DEV_CONTAINERS
from excise.inspect.surfaces.editors import EDITOR_SCRIPTS, EDITORS
from excise.inspect.surfaces.git import COMMIT_HOOKS, GIT_HOOKS, GIT_MODULES, GIT_SETTINGS
from excise.inspect.surfaces.instructions import INSTRUCTIONS, PAGES
from excise.inspect.surfaces.invisible import INVISIBLE
from excise.inspect.surfaces.notebooks import NOTEBOOKS
from excise.inspect.surfaces.packaging import COMPOSER, MAKE, MANAGERS, NODE, PROJECT, SETUP, WRAPPERS
from excise.inspect.surfaces.servers import TOOL_SERVERS
from excise.inspect.surfaces.shells import DIRENV, ENV, NIX, VERSION_MANAGERS
from excise.inspect.surfaces.startup import CONFTEST, CUSTOMIZE, DEBUGGERS, PTH
from excise.inspect.surfaces.surface import Surface
from excise.inspect.surfaces.workflows import GITHUB, GITLAB

SURFACES: Final[tuple[Surface, ...]] = (
    AGENT_SETTINGS, TOOL_SERVERS, EDITORS, EDITOR_SCRIPTS, DEV_CONTAINERS, GIT_SETTINGS, GIT_HOOKS, GIT_MODULES,
    COMMIT_HOOKS, INSTRUCTIONS, PAGES, INVISIBLE, NODE, COMPOSER, SETUP, PROJECT, MANAGERS, MAKE, WRAPPERS, CUSTOMIZE,
    PTH, CONFTEST, DEBUGGERS, DIRENV, ENV, VERSION_MANAGERS, NIX, NOTEBOOKS, GITHUB, GITLAB,
)  # fmt: skip
