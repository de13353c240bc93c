"""What several suites share: a small simulated world, made once."""

import pytest

from excise.simulate.spec import WorldSpec
from excise.simulate.world import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A world of 12,000 exchanges with a campaign at level 1 and one at level 2; its labels lie beside it."""
    out = tmp_path_factory.mktemp("world") / "w"
    write_world(
        WorldSpec(exchanges=12_000, seed=11, levels=(1, 2), campaigns=2, kinds=("cot", "coding")), out
    )
    return out
