"""Keepers in this process, each with a real enclave, and a pretended Spark over them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
from mc2.spark.storage import open_storage


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


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """`make_fleet(2)`: a leader and so many keepers."""
    with ExitStack() as stack:

        def make(count: int, other: int = -1, storage: str = "", memory: int = MEMORY) -> Fleet:
            root = make_root(tmp_path)
            settings = make_settings(tmp_path, root)
            if storage:
                settings = replace(settings, storage=storage)
            keepers, addresses = [], []
            for i in range(count):
                own = root
                if i == other:  # an enclave of another deployment
                    (tmp_path / "other").mkdir()
                    own = make_root(tmp_path / "other")
                source = WorkerCommand(
                    enclave_command(own, memory), tmp_path / f"enclave-{i}.log", {}
                )
                keeper = Keeper(source, open_storage(settings.storage), settings.token)
                keepers.append(keeper)
                addresses.append(serve(keeper, stack))
            with ThreadPoolExecutor() as together:
                started = [together.submit(keeper.start) for keeper in keepers]
                leader = start_leader(root, tmp_path, memory)
            stack.callback(leader.kill)
            for each in started:
                each.result()
            jobs = ThreadJobs(addresses)
            backend = stack.enter_context(SparkBackend(jobs, settings))
            return Fleet(tmp_path, root, settings, leader, keepers, jobs, backend)

        yield make
