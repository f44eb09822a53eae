"""A pool of enclave workers: starts them, watches them, starts them again, lends them out.

A worker that this host starts gets one end of a socket pair, so nobody else can speak to it, and
it ends when this process ends, however that happens. Workers that run elsewhere (in a
confidential virtual machine) are reached by their addresses.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mc2.coordinator.workers import HELLO_SECONDS, Worker
from mc2.errors import Mc2Error, WorkerError

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 30.0
_STEADY_SECONDS: Final = 30.0  # who lived as long did not fail at its start
_ALIVE_SECONDS: Final = 10.0
_LOG_BYTES: Final = 4 * 1024 * 1024
_KEPT_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """How a worker process is started: its command line, to which `--listen fd:N` is added.

    What it writes to its standard outputs is appended to `log`. Of this process's environment it
    sees only what programs need to run, and `environment`.
    """

    arguments: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]

    def start(self) -> Worker:
        """Start the process. Raises: WorkerError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            process = self._spawn(theirs.fileno())
        except OSError as error:
            ours.close()
            raise WorkerError(
                f"the worker {self.arguments[0]} does not start: {error.strerror}",
                hint="check the coordinator's worker command",
            ) from None
        finally:
            theirs.close()
        return Worker(ours, process)

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self.arguments, "--listen", f"fd:{descriptor}"],
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**kept, **self.environment},
                start_new_session=True,  # Ctrl-C at a terminal is for the coordinator
            )


@dataclass(frozen=True, slots=True)
class WorkerAddress:
    """A worker that runs elsewhere and listens."""

    address: str

    def start(self) -> Worker:
        """Connect to it. Raises: UsageError, WorkerError."""
        return Worker.connect(self.address)


WorkerSource = WorkerCommand | WorkerAddress


def worker_commands(
    size: int,
    command: Sequence[str],
    log_folder: Path,
    environment: Mapping[str, str] | None = None,
) -> tuple[WorkerCommand, ...]:
    """The same command `size` times, each with a log of its own: `worker-1.log` and so on."""
    return tuple(
        WorkerCommand(tuple(command), log_folder / f"worker-{i}.log", dict(environment or {}))
        for i in range(1, size + 1)
    )


class WorkerPool:
    """Lends out idle workers, each to one borrower at a time. All methods are thread-safe.

    `start` returns at once; workers come as they get ready. `events`, if given, is told in one
    sentence each time that a worker starts, fails or ends.
    """

    def __init__(
        self, sources: Sequence[WorkerSource], *, events: Callable[[str], None] | None = None
    ) -> None:
        self._sources = tuple(sources)
        self._tell = events or (lambda _: None)
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._idle: list[Worker] = []
        self._alive: set[Worker] = set()
        self._troubles: dict[int, str] = {}
        self._keepers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def size(self) -> int:
        """How many workers the pool keeps."""
        return len(self._sources)

    @property
    def ready_count(self) -> int:
        """How many workers are up, lent out or not; one that still starts does not count."""
        with self._changed:
            return sum(1 for worker in self._alive if worker.usable and worker.greeted)

    @property
    def idle_count(self) -> int:
        """How many workers wait for a job."""
        with self._changed:
            return len(self._idle)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What keeps workers from running at the moment, in the order of their sources."""
        with self._changed:
            return tuple(self._troubles[i] for i in sorted(self._troubles))

    def start(self) -> None:
        """Start all workers, in the background."""
        if self._keepers:
            raise RuntimeError("the pool was started before")
        for index, source in enumerate(self._sources):
            keeper = threading.Thread(
                target=self._keep, args=(index, source), name=f"worker-{index + 1}", daemon=True
            )
            self._keepers.append(keeper)
            keeper.start()

    def stop(self) -> None:
        """End all workers, lent out or not, and wait until they are gone."""
        self._stopping.set()
        with self._changed:
            workers = tuple(self._alive)
            self._changed.notify_all()
        for worker in workers:
            worker.kill()
        for keeper in self._keepers:
            keeper.join()

    def acquire(self, *, timeout_seconds: float) -> Worker:
        """Borrow an idle worker. Raises: WorkerError if none comes free in time."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            worker = self._take(deadline)
            try:
                worker.hello(timeout_seconds=_ALIVE_SECONDS)  # it may have died just now
            except Mc2Error:
                worker.kill()
            else:
                return worker

    def _take(self, deadline: float) -> Worker:
        with self._changed:
            while not self._idle:
                left = deadline - time.monotonic()
                if self._stopping.is_set() or left <= 0:
                    raise self._nobody()
                self._changed.wait(left)
            return self._idle.pop(0)

    def _nobody(self) -> WorkerError:
        trouble = "; ".join(self._troubles[i] for i in sorted(self._troubles))
        if self._stopping.is_set():
            return WorkerError("the coordinator is stopping", hint="start it again, then the job")
        if trouble:
            return WorkerError(f"no enclave worker runs: {trouble}", hint="see the worker's log")
        return WorkerError("all enclave workers are busy", hint="try again later")

    def release(self, worker: Worker) -> None:
        """Give a worker back. Its job is dropped; if that fails, the worker is replaced."""
        try:
            worker.close()
        except Mc2Error:
            worker.kill()
        with self._changed:
            if worker.usable and worker in self._alive and worker not in self._idle:
                self._idle.append(worker)
            self._changed.notify_all()

    def _keep(self, index: int, source: WorkerSource) -> None:
        """Keep one worker running until the pool stops; after failures pause ever longer."""
        failures = 0
        while not self._stopping.wait(_pause(failures)):
            begun = time.monotonic()
            try:
                worker = self._bring_up(source, f"worker_{index + 1}")
            except Mc2Error as error:
                failures += 1
                self._note(index, f"worker {index + 1}: {error}")
                continue
            self._note(index, "")
            self._tell(f"worker {index + 1} is ready")
            worker.wait_until_ended()
            self._forget(worker)
            if not self._stopping.is_set():
                self._tell(f"worker {index + 1} {worker.fate()}")
            failures = 0 if time.monotonic() - begun > _STEADY_SECONDS else failures + 1

    def _bring_up(self, source: WorkerSource, name: str) -> Worker:
        worker = source.start()
        worker.name = name
        with self._changed:
            self._alive.add(worker)
        # `stop` kills what is alive; what came too late for that ends here.
        if self._stopping.is_set():
            worker.kill()
        try:
            worker.hello(timeout_seconds=HELLO_SECONDS)
        except Mc2Error:
            worker.kill()
            self._forget(worker)
            raise
        with self._changed:
            self._idle.append(worker)
            self._changed.notify_all()
        return worker

    def _forget(self, worker: Worker) -> None:
        worker.kill()
        with self._changed:
            self._alive.discard(worker)
            if worker in self._idle:
                self._idle.remove(worker)
            self._changed.notify_all()

    def _note(self, index: int, trouble: str) -> None:
        if trouble:
            self._tell(trouble)
        with self._changed:
            if trouble:
                self._troubles[index] = trouble
            else:
                self._troubles.pop(index, None)


def _pause(failures: int) -> float:
    if failures == 0:
        return 0.0
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 16))
