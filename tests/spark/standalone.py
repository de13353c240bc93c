"""A real Spark cluster for tests: a master and two workers of the installed package, each a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SLIM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
CONF = f"""
spark.ui.enabled false
spark.driver.host 127.0.0.1
spark.driver.bindAddress 127.0.0.1
spark.driver.memory 1g
spark.driver.extraJavaOptions {SLIM}
spark.executor.memory 1g
spark.executor.cores 1
spark.executor.extraJavaOptions {SLIM}
"""
LOG = """
rootLogger.level = warn
logger.master.name = org.apache.spark.deploy.master
logger.master.level = info
rootLogger.appenderRef.err.ref = err
appender.err.type = Console
appender.err.name = err
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""
SHOWN = 4000
"""Characters of a log that a failed test shows."""


def needs_java():
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        if os.environ.get("CI") == "true" and shutil.which("apt-get") and os.geteuid() == 0:
            pytest.fail("Java is missing; CI must have it")
        pytest.skip("Java is missing (openjdk-17-jre-headless of Debian), which Spark needs")


@dataclass
class Worker:
    process: subprocess.Popen
    folder: Path

    def kept(self):
        """What the executors of this worker hold of tables that are kept."""
        return [p for p in self.folder.glob("local/**/rdd_*") if p.is_file()]

    def kill(self):
        """Kill it, its executors and their Python processes, as when a machine fails."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Standalone:
    url: str
    env: dict[str, str]
    workers: list[Worker]
    folder: Path

    def scan(self, source, out, *words, **changes):
        """Begin `excise scan` on the cluster, in a process of its own."""
        command = [
            sys.executable,
            "-c",
            "from excise.cli.app import main; main()",
            "scan",
            str(source),
            "--out",
            str(out),
        ]
        with (self.folder / "driver.log").open("wb") as log:
            return subprocess.Popen(
                [*command, "--engine", "spark", "--master", self.url, *words],
                env=self.env | changes, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def ended(self, process, limit=600):
        """Wait; the exit status and what was said."""
        try:
            status = process.wait(limit)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return status, (self.folder / "driver.log").read_text("utf-8", "replace")[-SHOWN:]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def environment(folder):
    import pyspark

    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "spark-defaults.conf").write_text(CONF)
    (folder / "conf" / "log4j2.properties").write_text(LOG)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    return kept | {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_CONF_DIR": str(folder / "conf"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": SLIM,
        "PYSPARK_PYTHON": sys.executable,
    }


@contextmanager
def standalone(folder, workers=2, memory="1g"):
    """Start a master and workers of one core each, and stop them whatever happens."""
    env, port = environment(folder), free_port()
    program = f"{env['SPARK_HOME']}/bin/spark-class"
    started, url = [], f"spark://127.0.0.1:{port}"

    def start(name, *words):
        place = folder / name
        (place / "local").mkdir(parents=True)
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *words], env=env | {"SPARK_LOCAL_DIRS": str(place / "local")},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        started.append(Worker(process, place))
        return started[-1]

    try:
        start(
            "master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1",
            "--port", str(port), "--webui-port", "0",
        )  # fmt: skip
        mine = [
            start(
                f"worker-{k}", "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0",
                "--cores", "1", "--memory", memory, "--work-dir", str(folder / f"worker-{k}" / "work"), url,
            )
            for k in range(workers)
        ]  # fmt: skip
        _registered(started[0], workers)
        yield Standalone(url, env, mine, folder)
    finally:
        for one in started:
            if one.process.poll() is None:
                one.kill()


def _registered(master, workers, limit=120):
    end = time.monotonic() + limit
    while time.monotonic() < end and master.process.poll() is None:
        said = (master.folder / "log").read_text("utf-8", "replace")
        if len(re.findall("Registering worker", said)) == workers:
            return
        time.sleep(0.5)
    pytest.fail(
        "the cluster did not start: " + (master.folder / "log").read_text("utf-8", "replace")[-SHOWN:]
    )
