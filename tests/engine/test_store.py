"""Columns and buckets come back as they were put, in memory and in files; files have no name and a full disk has a hint."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from excise.engine.budget import Budget, memory_there, parse_bytes
from excise.engine.memory import forget
from excise.engine.store import Files, Memory
from excise.errors import OutputError, UsageError

PARTS = st.lists(st.lists(st.integers(0, 255), max_size=9), max_size=6)


@pytest.fixture(params=("memory", "files"))
def store(request, tmp_path):
    return Memory() if request.param == "memory" else Files(tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=PARTS, dtype=st.sampled_from((np.uint8, np.int32, np.uint64)))
def test_a_column_is_what_was_appended(store, parts, dtype):
    column = store.column(dtype, sum(map(len, parts)))
    for part in parts:
        column.append(np.array(part, dtype))
    found = column.finish()
    forget(found)
    assert found.dtype == dtype
    assert found.tolist() == [v for part in parts for v in part]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(puts=st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=9)), max_size=9))
def test_a_bucket_holds_what_was_put(store, puts):
    buckets = store.buckets(3)
    for bucket, data in puts:
        buckets.put(bucket, data)
    for k in range(3):
        assert b"".join(buckets.take(k)) == b"".join(data for b, data in puts if b == k)


def test_files_have_no_name(tmp_path):
    store = Files(tmp_path)
    column = store.column(np.int64, 9)
    column.append(np.arange(9))
    assert list(tmp_path.iterdir()) == []
    assert column.finish().sum() == 36


FULL = """
import resource, signal, sys, numpy as np
from pathlib import Path
from excise.engine.store import Files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
column = Files(Path(sys.argv[1])).column(np.int64, 9999)
try:
    column.append(np.arange(9999))
except Exception as error:
    print(type(error).__name__, error.hint)
"""


def test_a_full_disk_is_said_with_a_hint(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout
    assert said.startswith("OutputError")
    assert "--spill" in said


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(OutputError):
        Files(tmp_path / "none").buckets(1)


@pytest.mark.parametrize(
    ("text", "size"), [("3GiB", 3 << 30), ("1.5g", 3 << 29), ("300 MB", 300 << 20), ("7", 7)]
)
def test_amounts_of_memory(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "3X", "GiB", "1e9", "9" * 40])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(UsageError) as error:
        parse_bytes(text)
    assert error.value.hint


def test_tables_lie_in_memory_until_they_are_large_and_what_cannot_fit_is_refused(tmp_path):
    budget = Budget(1 << 30, tmp_path)
    assert isinstance(budget.store(1_000), Memory)
    assert isinstance(budget.store(10_000_000), Files)
    budget.check(1_000_000, 1_000)
    with pytest.raises(UsageError, match="need about") as error:
        budget.check(100_000_000, 1_000_000)
    assert "--memory" in error.value.hint
    assert 0 < memory_there() <= 1 << 50


@pytest.mark.parametrize("ask", [lambda: np.ones(1 << 60, np.uint8), lambda: pa.allocate_buffer(1 << 60)])
def test_memory_that_the_system_refuses_is_said_with_a_hint(tmp_path, ask):
    with pytest.raises(UsageError, match="no more memory") as error, Budget(1 << 30, tmp_path).explained():
        ask()
    assert "--spill" in error.value.hint


def mapped_bytes():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssFile:\s+(\d+)", status)[1]) << 10


def test_forgetting_gives_pages_back_and_they_can_be_read_again(tmp_path):
    column = Files(tmp_path).column(np.int64, 1 << 22)
    column.append(np.arange(1 << 22))
    values = column.finish()
    before = mapped_bytes()
    total = int(values.sum())
    assert mapped_bytes() - before > 16 << 20
    forget(values[5:9])
    assert mapped_bytes() - before < 8 << 20
    assert int(values.sum()) == total
