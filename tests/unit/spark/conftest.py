"""Keepers in this process, each with a real enclave, and a pretended Spark over them."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support.spark_jobs import (
    MEMORY,
    Attempt,
    ThreadJobs,
    enclave_command,
    make_large_job,
    make_root,
    make_settings,
    start_leader,
)

from mc2.coordinator.worker_pool import WorkerCommand
from mc2.coordinator.workers import Worker
from mc2.spark.backend import SparkBackend
from mc2.spark.keeper import Keeper
from mc2.spark.settings import KeeperSettings
from mc2.storage import open_storage


@dataclass
class Fleet:
    """Some keepers, the leader's enclave, and the backend over them."""

    folder: Path
    root: Path
    settings: KeeperSettings
    leader: Worker
    keepers: list[Keeper]
    jobs: ThreadJobs
    backend: SparkBackend

    def attempt(self, **more: object) -> Attempt:
        job = make_large_job(self.root, self.leader.ready.code)
        return Attempt(job, self.leader, self.backend, self.folder, **more)  # type: ignore[arg-type]  # a test's own

    @property
    def blocks(self) -> list[Path]:
        return [p for p in (self.folder / "blocks").rglob("*") if p.is_file()]


def serve(keeper: Keeper, stack: ExitStack) -> str:
    """Have a keeper listen; its address."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=keeper.serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()

    def end() -> None:
        stopping.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join()
        keeper.end()

    stack.callback(end)
    host, port = listener.getsockname()
    return f"tcp:{host}:{port}"


class Machines:
    """Enclaves that tests of a module share: starting one takes seconds of a processor.

    A job that fails ends in its enclaves, and one that was killed is started again.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.root = make_root(folder)
        self.settings = make_settings(folder, self.root)
        self._leaders: dict[int, Worker] = {}
        self._keepers: dict[int, list[tuple[Keeper, str]]] = {}

    def leader(self, memory: int) -> Worker:
        if memory not in self._leaders:
            self._leaders[memory] = start_leader(self.root, self.folder, memory)
            self._stack.callback(self._leaders[memory].kill)
        self._leaders[memory].close()
        return self._leaders[memory]

    def keepers(self, count: int, memory: int) -> list[tuple[Keeper, str]]:
        there = self._keepers.setdefault(memory, [])
        while len(there) < count:
            there.append(self.start(self.root, self.settings, memory))
        return there[:count]

    def start(self, root: Path, settings: KeeperSettings, memory: int) -> tuple[Keeper, str]:
        """A keeper of its own."""
        log = self.folder / f"enclave-{secrets.token_hex(4)}.log"
        source = WorkerCommand(enclave_command(root, memory), log, {})
        keeper = Keeper(source, open_storage(settings.storage), settings.token)
        address = serve(keeper, self._stack)
        keeper.start()
        return keeper, address


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with ExitStack() as stack:
        yield Machines(tmp_path_factory.mktemp("machines"), stack)


@pytest.fixture
def make_fleet(machines: Machines, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """`make_fleet(2)`: a leader and so many keepers; the one of number `other` is a stranger's."""
    with ExitStack() as stack:

        def make(count: int, other: int = -1, storage: str = "", memory: int = MEMORY) -> Fleet:
            settings = machines.settings
            if storage:
                settings = replace(settings, storage=storage)
                found = [machines.start(machines.root, settings, memory) for _ in range(count)]
            else:
                found = machines.keepers(count - (other >= 0), memory)
            if other >= 0:  # an enclave of another deployment
                found.insert(other, machines.start(make_root(tmp_path), settings, memory))
            jobs = ThreadJobs([address for _, address in found])
            backend = stack.enter_context(SparkBackend(jobs, settings))
            leader, keepers = machines.leader(memory), [keeper for keeper, _ in found]
            return Fleet(machines.folder, machines.root, settings, leader, keepers, jobs, backend)

        yield make
