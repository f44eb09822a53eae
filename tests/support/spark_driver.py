"""A Spark driver for tests, run by an environment that has Spark: what happened, as JSON.

    build/spark/bin/python -m tests.support.spark_driver MASTER FOLDER SCENARIO

`DRIVER_HOST` in its environment is the driver's own address in a cluster of several hosts, and
`FAULT` the command by which such a cluster loses one.
Stock PySpark and its client share a package name, so tests themselves run without Spark.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mc2.coordinator.backend import TaskBackend
from mc2.coordinator.workers import Worker
from mc2.errors import Mc2Error
from mc2.spark import backend
from mc2.spark.session import start_spark
from mc2.spark.shipping import SHIPPED_PYTHON, pack, shipped_command, shipped_settings
from tests.support.spark_jobs import (
    MARKER,
    MEMORY,
    Attempt,
    answer,
    chunk_names,
    enclave_command,
    expected,
    make_large_job,
    make_root,
    start_leader,
)

Found = dict[str, Any]


class Disturbed:
    """A backend that disturbs the cluster once, when a task was assigned."""

    def __init__(self, honest: TaskBackend, disturb: Callable[[], None]) -> None:
        self._honest = honest
        self._disturb: Callable[[], None] | None = disturb

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)

    def assign(self, *arguments: Any) -> None:
        self._honest.assign(*arguments)
        if self._disturb is not None:
            disturb, self._disturb = self._disturb, None
            disturb()


def keepers(application: str) -> dict[int, int]:
    """An application's keepers on this machine by the executor (a JVM) that they belong to."""
    return {
        int(words[3]): pid
        for pid, words in _commands()
        if words[1:3] == _KEEPER and f"-{application}-" in words[4]
    }


_KEEPER = ["-m", "mc2.spark.keeper"]


def enclaves_of(keeper: int) -> list[int]:
    """The enclave processes that a keeper started."""
    return [pid for pid, words in _commands() if "mc2.enclave" in words and _parent(pid) == keeper]


def _commands() -> list[tuple[int, list[str]]]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append((int(path.parent.name), path.read_text().split("\0")))
        except OSError:
            continue
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _network() -> dict[str, str]:
    """For several hosts: the driver's own address, and how soon a lost one is missed."""
    host = os.environ.get("DRIVER_HOST")
    if host is None:
        return {}
    return {
        "spark.driver.host": host,
        "spark.driver.bindAddress": host,
        "spark.network.timeout": "20s",
        "spark.network.timeoutInterval": "5s",
        "spark.executor.heartbeatInterval": "5s",
    }


SPILLING = {"spark.memory.fraction": "0.0001", "spark.task.maxDirectResultSize": "1"}
"""No memory for blocks, and answers of tasks are blocks: Spark has to put all of them on disks."""


class Driver:
    """One Spark application, its leader, and the job."""

    def __init__(
        self,
        master: str,
        folder: Path,
        more: dict[str, str],
        memory: int = MEMORY,
        *,
        ship: bool = False,
        storage: str = "",
    ) -> None:
        self.folder = folder
        self.root = make_root(folder)
        (folder / "events").mkdir()
        self.spark = start_spark(
            master,
            {
                "spark.driver.memory": "512m",
                "spark.executor.memory": "512m",
                "spark.eventLog.enabled": "true",
                "spark.eventLog.compress": "false",
                "spark.eventLog.dir": str(folder / "events"),
                "spark.local.dir": str(folder / "local"),
                **_network(),
                **(shipped_settings(pack(folder / "mc2.tar.gz")) if ship else {}),
                **more,
            },
            python=SHIPPED_PYTHON if ship else "",
        )
        command = enclave_command(self.root, memory)
        self.backend = backend(
            self.spark,
            storage=storage or str(folder / "blocks"),
            enclave=shipped_command(command) if ship else command,
            task_seconds=20,
        )
        self.leader: Worker = start_leader(self.root, folder, memory)

    def job(
        self,
        disturb: Callable[[], None] | None = None,
        wrap: Callable[[TaskBackend, set[str]], Any] | None = None,
    ) -> Found:
        """One job. `wrap` is given the backend of its tasks, and the file names of its inputs."""
        job = make_large_job(self.root, self.leader.ready.code)
        inputs = {name.removeprefix("sha256:") for name in chunk_names(job)}

        def around(tasks: TaskBackend) -> Any:
            if disturb is not None:
                return Disturbed(tasks, disturb)
            return tasks if wrap is None else wrap(tasks, inputs)

        attempt = Attempt(job, self.leader, self.backend, self.folder, wrap=around)
        begun = time.monotonic()
        try:
            outcome = attempt.run()
        except Mc2Error as error:
            return {"error": error.code, "message": str(error)}
        finally:
            self.leader.close()
        return {
            "right": answer(job, outcome) == expected(job),
            "members": len(attempt.members),
            "epochs": [len(e) for e in attempt.receipt.epochs] if attempt.receipt else [],
            "left_out": [w for w in attempt.receipt.warnings if "LEFT OUT" in w]
            if attempt.receipt
            else [],
            "seconds": time.monotonic() - begun,
            "left": [p.name for p in (self.folder / "blocks").rglob("*") if p.is_file()],
            "keys": [d.key.hex() for d in job.datasets.values()],
        }

    @property
    def application(self) -> str:
        return str(self.spark.sparkContext.applicationId)

    def one_keeper(self) -> tuple[int, int]:
        """An executor and its keeper, the same one each time."""
        return min(keepers(self.application).items())

    def of_executors(self) -> set[int]:
        """The executors' processes, all that run below them, and keepers; but no enclave."""
        found = set(keepers(self.application))
        for _ in range(3):
            found |= {pid for pid, _ in _commands() if _parent(pid) in found}
        kept = set(keepers(self.application).values())
        return (found | kept) - {e for keeper in kept for e in enclaves_of(keeper)}

    def spilled(self) -> list[Path]:
        """What Spark's managers of blocks have on disks."""
        places = self.folder.parent.rglob("blockmgr-*/*/*")
        return [path for path in places if path.is_file()]

    def stop(self) -> None:
        self.leader.kill()
        self.backend.members.stop()
        self.spark.stop()


def plain(driver: Driver) -> Found:
    """Two jobs, one after the other, and what Spark then holds in memory and in spilled files."""
    first, second = driver.job(), driver.job()
    marks = [MARKER.encode()]
    for job in (first, second):
        marks += [m for key in job["keys"] for m in (bytes.fromhex(key), key.encode())]
    title = b"mc2 5e5e5e5e/1: stage "
    held = _held(driver.spark.sparkContext._gateway.proc.pid, [*marks, title])
    beside = [_held(pid, [*marks, _ERRAND]) for pid in driver.of_executors()]
    spilled = [p.read_bytes() for p in driver.spilled()]
    return {
        "first": first,
        "second": second,
        "marker": MARKER,
        "scan_works": title in held,
        "in_memory": len(held - {title}),
        "executors_work": sum(_ERRAND in found for found in beside),
        "in_executors": sum(bool(found - {_ERRAND}) for found in beside),
        "spilled": len(spilled),
        "in_spilled": sum(any(mark in raw for mark in marks) for raw in spilled),
    }


_ERRAND = b"mc2.spark.on_executor"
"""Stands in what Spark hands to executors."""


def _held(pid: int, marks: list[bytes]) -> set[bytes]:
    """Which marks stand in the writable memory of a process, in pieces that overlap."""
    found: set[bytes] = set()
    piece, overlap = 1 << 26, max(map(len, marks))
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            begin, end = (int(text, 16) for text in span.split("-"))
            if not rights.startswith("rw"):
                continue
            for at in range(begin, end, piece):
                try:
                    memory.seek(at)
                    raw = memory.read(min(piece + overlap, end - at))
                except (OSError, ValueError, OverflowError):
                    continue
                found |= {mark for mark in marks if mark in raw}
    return found


def host_lost(driver: Driver) -> Found:
    """One of three hosts is lost in mid-stage; the next job has those that are left."""
    before = _again(driver, 3)
    command = shlex.split(os.environ["FAULT"])
    first = driver.job(lambda: subprocess.run(command, check=True))
    return {"before": before, "first": first, "second": _again(driver, 2)}


def _again(driver: Driver, members: int = 2) -> Found:
    """Jobs until so many executors take part again: Spark brings a lost one back in its own time.

    An enclave that a leader left out is told at once: the code on the disk was changed since the
    leader began, and more jobs would change nothing.
    """
    until = time.monotonic() + 120
    while (found := driver.job()).get("members") != members and time.monotonic() < until:
        if found.get("left_out"):
            break
        time.sleep(1)
    return found


def executor_killed(driver: Driver) -> Found:
    driver.job()
    executor, _ = driver.one_keeper()
    first = driver.job(lambda: os.kill(executor, signal.SIGKILL))
    until = time.monotonic() + 120
    while executor in keepers(driver.application) and time.monotonic() < until:
        time.sleep(0.2)
    gone = executor not in keepers(driver.application)
    return {"first": first, "second": _again(driver), "gone": gone}


def enclave_killed(driver: Driver) -> Found:
    driver.job()
    enclave = enclaves_of(driver.one_keeper()[1])[0]
    return {"first": driver.job(lambda: os.kill(enclave, signal.SIGKILL)), "second": _again(driver)}


def enclave_hung(driver: Driver) -> Found:
    driver.job()
    enclave = enclaves_of(driver.one_keeper()[1])[0]
    return {"first": driver.job(lambda: os.kill(enclave, signal.SIGSTOP)), "second": _again(driver)}


def python_killed(driver: Driver) -> Found:
    driver.job()
    executors = keepers(driver.application)

    def kill() -> None:
        for pid, words in _commands():
            if "pyspark.daemon" in words and _parent(pid) in executors:
                os.kill(pid, signal.SIGKILL)

    return {"first": driver.job(kill), "second": _again(driver)}


def block_lost(driver: Driver) -> Found:
    driver.job()
    until = time.monotonic() + 60

    def lose() -> None:
        """Wait for the first blocks that tasks handed on, and remove them; inputs are links."""
        while time.monotonic() < until:
            files = [p for p in (driver.folder / "blocks").rglob("*") if p.is_file()]
            blocks = [p for p in files if p.stat().st_nlink == 1 and not p.suffix]
            for path in blocks:
                path.unlink(missing_ok=True)
            if blocks:
                return
            time.sleep(0.005)

    return {"first": driver.job(lose), "second": _again(driver)}


def dynamic(driver: Driver) -> Found:
    """Spark gives executors back when they idle, and gets others for the next job."""
    first, before = driver.job(), keepers(driver.application)
    until = time.monotonic() + 600
    while keepers(driver.application) and time.monotonic() < until:
        time.sleep(0.2)
    left = keepers(driver.application)
    second = driver.job()
    while not second.get("members") and time.monotonic() < until:
        second = driver.job()
    return {
        "first": first,
        "second": second,
        "before": len(before),
        "kept": len(left),
        "same": len(before.keys() & keepers(driver.application).keys()),
    }


DYNAMIC = {
    "spark.executor.cores": "1",
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.minExecutors": "0",
    "spark.dynamicAllocation.maxExecutors": "2",
    "spark.dynamicAllocation.executorIdleTimeout": "15s",
}


def shipped(driver: Driver) -> Found:
    """A job beside executors that got mc2 with it."""

    def places(_: int) -> list[str]:
        import mc2
        from mc2 import _native

        return [
            str(Path(mc2.__file__).resolve()),
            str(Path(next(iter(_native.__path__))).resolve()),
        ]

    (found,) = driver.spark.sparkContext.parallelize([0], 1).map(places).collect()
    return {"first": driver.job(), "places": found}


SCENARIOS: dict[str, Callable[[Driver], Found]] = {
    f.__name__: f
    for f in (
        plain,
        executor_killed,
        enclave_killed,
        enclave_hung,
        python_killed,
        block_lost,
        host_lost,
        dynamic,
        shipped,
    )
}


def main() -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    master, folder, scenario = sys.argv[1:]
    more = {"plain": SPILLING, "dynamic": DYNAMIC}.get(scenario, {})
    driver = Driver(master, Path(folder), more, ship=scenario == "shipped")
    try:
        found = SCENARIOS[scenario](driver)
    finally:
        driver.stop()
    print("\n" + json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
