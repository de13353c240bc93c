"""The connection to a cluster, and what goes wrong with it in words that say what to do."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from excise.errors import ExciseError, InputError, UsageError
from excise.ingest.ledger import plain

_BATCH_BYTES: Final = 64 << 20
"""Of a batch on its way between Spark and Python: a row may be a bucket of many megabytes."""
_MOST_PARTITIONS: Final = 4096


@contextmanager
def connected(master: str | None, buckets: int) -> Iterator[SparkSession]:
    """Connect to `master` (`spark://…`, `yarn`, `local[2]`; None: as `spark-submit` or the defaults say), and let go at the end.

    Everything else (memory, cores, credentials of stores) is Spark's own configuration. A session that is there already
    is used and left open. Raises `UsageError` where Java is missing or nobody answers, `InputError` where a
    job fails.
    """
    session, mine = _open(master, buckets)
    try:
        with spoken(master):
            yield session
    finally:
        if mine:
            session.stop()


def _open(master: str | None, buckets: int) -> tuple[SparkSession, bool]:
    found = SparkSession.getActiveSession()
    builder = SparkSession.builder.appName("excise").config("spark.ui.showConsoleProgress", "false")
    if master:
        builder = builder.master(master)
    if master and master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # Spark's default is whatever python3 is
    with spoken(master), _own_signals():
        session = found or builder.getOrCreate()
        session.conf.set("spark.sql.execution.arrow.maxBytesPerBatch", _BATCH_BYTES)
        session.conf.set("spark.sql.shuffle.partitions", min(buckets, _MOST_PARTITIONS))
    return session, found is None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what Ctrl-C does: Spark would put its own handler there."""
    before = signal.getsignal(signal.SIGINT)
    yield
    if threading.current_thread() is threading.main_thread() and before is not None:
        signal.signal(signal.SIGINT, before)


@contextmanager
def spoken(master: str | None) -> Iterator[None]:
    """Turn what Spark raises into errors of ours; what an executor says of a file comes as data and not this way."""
    try:
        yield
    except ExciseError:
        raise
    except PySparkException as error:
        if "JAVA_GATEWAY" in str(error):
            raise UsageError(
                "Java could not be started",
                subject="--engine spark",
                hint="Spark needs Java 17 or 21: install it, or set JAVA_HOME",
            ) from error
        raise _failed(error, master) from error
    except Py4JError as error:
        raise _failed(error, master) from error


def _failed(error: Exception, master: str | None) -> ExciseError:
    text = str(error)
    if re.search(
        r"All masters are unresponsive|Could not parse Master URL|Cannot call methods on a stopped", text
    ):
        return UsageError(
            "no cluster answers there",
            subject=f"--master {plain(master or '')}",
            hint="start it, or give the address that its master prints, as spark://host:7077",
        )
    if "No module named 'excise'" in text:
        return UsageError(
            "the Python of the executors has no excise",
            subject="--engine spark",
            hint="install 'excise[spark]' on every machine, and say in PYSPARK_PYTHON which Python has it",
        )
    causes = re.findall(r"^(?:Caused by: )?([\w.]+(?:Error|Exception)): (.+)$", text, re.MULTILINE)
    said = ": ".join(causes[-1]) if causes else text.partition("\n")[0]
    return InputError(
        f"the cluster could not end the work: {plain(said, 300)}",
        subject="--engine spark",
        hint="the logs of the executors say more; too little memory is the usual reason (spark.executor.memory, and as much again for Python)",
    )
