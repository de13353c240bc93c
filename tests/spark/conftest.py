"""One cluster for all tests that only read from it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from standalone import needs_java, standalone


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    needs_java()
    with standalone(tmp_path_factory.mktemp("cluster")) as found:
        yield found
