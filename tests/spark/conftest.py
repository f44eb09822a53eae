"""A Spark standalone cluster of processes on this machine: a master and two workers."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.spark_plans import SparkPlans

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "build" / "spark" / "bin" / "python"
SECONDS = 600


@dataclass
class Standalone:
    """The cluster, and where everything of it is written."""

    master: str
    folder: Path
    environment: dict[str, str]
    inside: tuple[str, ...] = ()
    python: Path = PYTHON

    def run(self, scenario: str) -> dict[str, Any]:
        """Run a driver; what it says. Its log is beside."""
        return self.start("spark_driver", scenario)

    def start(self, module: str, *words: str, seconds: float = SECONDS) -> dict[str, Any]:
        """Run a module of `tests.support` as a driver."""
        folder = self.folder / words[0]
        folder.mkdir()
        command = [str(self.python), "-m", f"tests.support.{module}", self.master, str(folder)]
        with (folder / "driver.log").open("wb") as log:
            done = subprocess.run(
                [*self.inside, *command, *words],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
                timeout=seconds,
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
    with cluster(tmp_path) as found:
        yield found


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Standalone]:
    """The same, on hosts that have Python and Spark but no mc2."""
    python = Path(sys.base_prefix) / "bin"
    with cluster(tmp_path, PATH=f"{python}:{os.defpath}") as found:
        yield found


@contextmanager
def cluster(tmp_path: Path, **hosts: str) -> Iterator[Standalone]:
    """The processes of a cluster; what is else in the environment of its `hosts`."""
    assert PYTHON.exists(), "run `make build/spark/.installed`"
    names = environment(tmp_path)
    start = [f"{names['SPARK_HOME']}/bin/spark-class"]
    with ExitStack() as stack:
        run = _starter(stack, names | hosts, tmp_path)
        master = "org.apache.spark.deploy.master.Master"
        log = run("master", [*start, master, "--host", "127.0.0.1", "--port", "0"])
        address = _await(log, r"Starting Spark master at (spark://\S+)")
        for name in ("worker-1", "worker-2"):
            worker = "org.apache.spark.deploy.worker.Worker"
            sizes = ["--cores", "1", "--memory", "700m", "--host", "127.0.0.1", "--webui-port", "0"]
            _await(run(name, [*start, worker, *sizes, address]), r"Successfully registered")
        yield Standalone(address, tmp_path, names)


@contextmanager
def started_plans(
    master: str, folder: Path, names: dict[str, str] | None = None
) -> Iterator[SparkPlans]:
    """An application that runs plans of tests."""
    assert PYTHON.exists(), "run `make build/spark/.installed`"
    command = [str(PYTHON), "-m", "tests.support.spark_plans_driver", master]
    found = SparkPlans(command, names or environment(folder), folder, ROOT)
    try:
        yield found
    finally:
        found.end()


@pytest.fixture(scope="module")
def plans_of_a_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkPlans]:
    """An application on a cluster of two executors that runs plans of tests."""
    with cluster(tmp_path_factory.mktemp("cluster")) as place:
        folder = place.folder / "plans"
        folder.mkdir()
        with started_plans(place.master, folder, place.environment) as found:
            yield found


@dataclass(frozen=True)
class Hosts:
    """Network namespaces, each with an address of its own, beside one that has the switch.

    The first one is the driver's and the master's.
    """

    mark: str
    count: int

    def name(self, number: int) -> str:
        return f"mc2-{self.mark}-{number}"

    def inside(self, number: int) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name(number))

    @staticmethod
    def address(number: int) -> str:
        return f"10.87.0.{number + 1}"

    @staticmethod
    def port(number: int) -> str:
        """The switch's port that a host hangs on."""
        return f"host{number}"

    def make(self) -> None:
        switch = ("-n", self.name(0))
        for number in range(self.count):
            _ip("netns", "add", self.name(number))
            _ip("-n", self.name(number), "link", "set", "lo", "up")
        _ip(*switch, "link", "add", "switch", "type", "bridge")
        _ip(*switch, "addr", "add", f"{self.address(0)}/24", "dev", "switch")
        _ip(*switch, "link", "set", "switch", "up")
        for number in range(1, self.count):
            own, port = ("-n", self.name(number)), self.port(number)
            other = ("peer", "name", "eth0", "netns", self.name(number))
            _ip(*switch, "link", "add", port, "type", "veth", *other)
            _ip(*switch, "link", "set", port, "master", "switch", "up")
            _ip(*own, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            _ip(*own, "link", "set", "eth0", "up")

    def remove(self) -> None:
        for number in range(self.count):
            subprocess.run(["ip", "netns", "del", self.name(number)], check=False)

    def processes(self, number: int) -> list[int]:
        found = subprocess.run(
            ["ip", "netns", "pids", self.name(number)], stdout=subprocess.PIPE, check=True
        )
        return [int(word) for word in found.stdout.split()]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@dataclass
class Networked(Standalone):
    """A cluster whose hosts have addresses of their own."""

    hosts: Hosts = Hosts("", 0)

    def lose(self, fault: str) -> dict[str, Any]:
        """Run the scenario in which the last host is `cut` off or `killed` in mid-stage."""
        last = self.hosts.count - 1
        cut = f"ip link set {self.hosts.port(last)} down"
        killed = f"sh -c 'kill -9 $(ip netns pids {self.hosts.name(last)})'"
        self.environment["FAULT"] = {"cut": cut, "killed": killed}[fault]
        return self.run("host_lost")


@pytest.fixture
def networked(tmp_path: Path) -> Iterator[Networked]:
    """A master and three workers of one processor each, on four hosts of one switch."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root can make network namespaces, with `ip` of iproute2")
    hosts = Hosts(secrets.token_hex(3), 4)
    names = environment(tmp_path) | {
        "DRIVER_HOST": hosts.address(0),
        "SPARK_DAEMON_JAVA_OPTS": "-Dspark.worker.timeout=15",
        "SPARK_DAEMON_MEMORY": "256m",
    }
    start = [f"{names['SPARK_HOME']}/bin/spark-class"]
    with ExitStack() as stack:
        stack.callback(hosts.remove)
        hosts.make()
        address = ""
        for number in range(hosts.count):
            own = {**names, "SPARK_LOCAL_IP": hosts.address(number)}
            run = _starter(stack, own, tmp_path)
            place = ["--host", hosts.address(number)]
            command = [*hosts.inside(number), *start]
            if number == 0:
                master = ["org.apache.spark.deploy.master.Master", "--port", "0"]
                log = run("master", [*command, *master, *place])
                address = _await(log, r"Starting Spark master at (spark://\S+)")
                continue
            worker = ["org.apache.spark.deploy.worker.Worker", "--cores", "1", "--memory", "700m"]
            log = run(f"worker-{number}", [*command, *worker, "--webui-port", "0", *place, address])
            _await(log, r"Successfully registered")
        names["SPARK_LOCAL_IP"] = hosts.address(0)
        yield Networked(address, tmp_path, names, hosts.inside(0), hosts)
        for number in range(hosts.count):
            for process in hosts.processes(number):
                os.kill(process, signal.SIGKILL)


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
