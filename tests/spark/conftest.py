"""A Spark standalone cluster of processes on this machine: a master and two workers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "build" / "spark" / "bin" / "python"
SECONDS = 240


@dataclass
class Standalone:
    """The cluster, and where everything of it is written."""

    master: str
    folder: Path
    environment: dict[str, str]

    def run(self, scenario: str) -> dict[str, Any]:
        """Run a driver; what it says. Its log is beside."""
        folder = self.folder / scenario
        folder.mkdir()
        command = [str(PYTHON), "-m", "tests.support.spark_driver", self.master, str(folder)]
        with (folder / "driver.log").open("wb") as log:
            done = subprocess.run(
                [*command, scenario],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
                timeout=SECONDS,
            )
        assert done.returncode == 0, (folder / "driver.log").read_text()[-4000:]
        found: dict[str, Any] = json.loads(done.stdout.decode().strip().splitlines()[-1])
        return found


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the test's own process but where programs are."""
    home = next((ROOT / "build/spark/lib").glob("python*/site-packages/pyspark"))
    kept = {n: os.environ[n] for n in ("PATH", "JAVA_HOME", "LANG") if n in os.environ}
    temporary = folder / "tmp"
    temporary.mkdir()
    return kept | {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_NO_DAEMONIZE": "1",
        "PYSPARK_PYTHON": str(PYTHON),
        "SPARK_WORKER_DIR": str(folder / "work"),
        "TMPDIR": str(temporary),
        "HOME": str(folder),
    }


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[Standalone]:
    """A master and two workers of one processor each."""
    assert PYTHON.exists(), "run `make build/spark/.installed`"
    names = environment(tmp_path)
    start = [f"{names['SPARK_HOME']}/bin/spark-class"]
    with ExitStack() as stack:
        run = _starter(stack, names, tmp_path)
        master = "org.apache.spark.deploy.master.Master"
        log = run("master", [*start, master, "--host", "127.0.0.1", "--port", "0"])
        address = _await(log, r"Starting Spark master at (spark://\S+)")
        for name in ("worker-1", "worker-2"):
            worker = "org.apache.spark.deploy.worker.Worker"
            sizes = ["--cores", "1", "--memory", "700m", "--host", "127.0.0.1", "--webui-port", "0"]
            _await(run(name, [*start, worker, *sizes, address]), r"Successfully registered")
        yield Standalone(address, tmp_path, names)


def _starter(
    stack: ExitStack, names: dict[str, str], folder: Path
) -> Callable[[str, list[str]], Path]:
    def run(name: str, command: list[str]) -> Path:
        log = folder / f"{name}.log"
        out = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(command, env=names, stdout=out, stderr=out)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return log

    return run


def _await(log: Path, pattern: str) -> str:
    until = time.monotonic() + SECONDS
    while (found := re.search(pattern, log.read_text())) is None:
        assert time.monotonic() < until, log.read_text()[-2000:]
        time.sleep(0.1)
    return found[1] if found.groups() else found[0]
