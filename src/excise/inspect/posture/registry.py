"""The analysers of posture."""

from __future__ import annotations

from typing import Final

from excise.inspect.analyser import Analyser
from excise.inspect.posture.capabilities import CAPABILITIES
from excise.inspect.posture.denylist import DENYLIST
from excise.inspect.posture.failopen import FAIL_OPEN
from excise.inspect.posture.secrets import SECRETS
from excise.inspect.posture.servers import SERVERS

POSTURE: Final[tuple[Analyser, ...]] = (SERVERS, DENYLIST, FAIL_OPEN, SECRETS, CAPABILITIES)
