"""Keeps one enclave beside one Spark executor: starts it, hands it messages, ends with it.

::

    driver ─── attach: hello, open, join, enter, steps ────▶ ┌────────┐  socket pair   ┌─────────┐
    Spark task ──── task: an order ────────────────────────▶ │ keeper │ ◀────────────▶ │ enclave │
    storage ◀──── sealed chunks and blocks, by digest ─────▶ └────────┘                └─────────┘

A keeper lives as long as its executor. It is part of the untrusted side: it sees orders, receipts
and ciphertext. Spec: docs/spec/spark.md.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from mc2.coordinator.worker_pool import WorkerAddress, WorkerCommand, WorkerSource
from mc2.coordinator.workers import HELLO_SECONDS, Worker
from mc2.crypto.digest import Digest, digest
from mc2.errors import DatasetError, FormatError, JobError, Mc2Error, WorkerError
from mc2.formats.frames import Frame
from mc2.formats.worker import (
    Close,
    Closed,
    FromEnclave,
    FromHost,
    Hello,
    Open,
    Refused,
    parse_from_host,
)
from mc2.formats.worker_cluster import Enter, Entered, Join, Prove
from mc2.formats.worker_tasks import Task
from mc2.spark.processes import ProcessWatch
from mc2.spark.settings import KeeperSettings
from mc2.spark.wire import (
    BUSY,
    STEP,
    STRANGER,
    AskStep,
    AskTask,
    Attach,
    TaskAnswer,
    knows_token,
    parse_request,
    receive,
    send,
    watch_peer,
)
from mc2.storage import BlobStorage, open_storage

_log = logging.getLogger(__name__)

_STEP_SECONDS: Final = 300.0  # an enclave checks signatures, makes keys, collects evidence
_FIRST_SECONDS: Final = 20.0  # until a connection says what it is for
_IDLE_SECONDS: Final = 7 * 24 * 3600.0  # a job may think this long between two of its steps
_PASSED_ON: Final = (Hello, Open, Join, Prove, Enter, Close)


class Keeper:
    """One enclave, and who may use it: one driver's connection, and one task at a time."""

    def __init__(self, source: WorkerSource, storage: BlobStorage, token: str) -> None:
        self._source = source
        self._storage = storage
        self._token = token
        self._lock = threading.Lock()  # who talks to the enclave
        self._attached = threading.Lock()
        self._worker: Worker | None = None
        self._joined: Digest | None = None
        self._epoch: Digest | None = None

    def start(self) -> None:
        """Start the enclave. Raises: WorkerError."""
        with self._lock:
            self._usable()

    def end(self) -> None:
        """End the enclave, whatever it does."""
        if self._worker is not None:
            self._worker.kill()

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection to its end. Never raises what another side can cause."""
        try:
            with connection:
                self._serve(connection)
        except (OSError, FormatError, WorkerError) as error:
            _log.info("a connection ended: %s", error or type(error).__name__)

    def _serve(self, connection: socket.socket) -> None:
        deadline = time.monotonic() + _FIRST_SECONDS
        asked = parse_request(receive(connection, deadline))
        if not knows_token(asked, self._token):
            _log.warning("refused a connection with another token")
            return
        if isinstance(asked, Attach):
            self._serve_driver(connection)
        else:
            answer = self._run(asked).frame()
            send(connection, answer, time.monotonic() + _STEP_SECONDS)

    # --- the driver's side

    def _serve_driver(self, connection: socket.socket) -> None:
        if not self._attached.acquire(blocking=False):
            send(connection, Frame({"type": BUSY}), time.monotonic() + _FIRST_SECONDS)
            return
        try:
            send(connection, Frame({"type": "attached"}), time.monotonic() + _FIRST_SECONDS)
            while True:
                frame = receive(connection, time.monotonic() + _IDLE_SECONDS)
                if frame.header.get("type") == STEP:
                    self._begin(connection, AskStep.parse(frame))
                    continue
                message = parse_from_host(frame)
                if not isinstance(message, _PASSED_ON):
                    return
                answer = self._pass_on(message).frame()
                send(connection, answer, time.monotonic() + _STEP_SECONDS)
        finally:
            # Whoever drove the job is gone, and its keys must not wait for the next one.
            with suppress(Mc2Error):
                self._pass_on(Close())
            self._attached.release()

    def _pass_on(self, message: FromHost) -> FromEnclave:
        if isinstance(message, Close) and not self._lock.acquire(blocking=False):
            # It is at a task that nobody waits for any more.
            self._epoch = None
            self.end()
            return Closed()
        if not isinstance(message, Close):
            self._lock.acquire()
        try:
            return self._step(message)
        finally:
            self._lock.release()

    def _step(self, message: FromHost) -> FromEnclave:
        """One step of the worker protocol; the enclave's refusal is an answer as well."""
        if not isinstance(message, Enter):
            self._epoch = None
        deadline = time.monotonic() + _STEP_SECONDS
        worker = self._usable()
        try:
            worker.send(message, deadline)
            answer = worker.receive(deadline)
        except WorkerError:
            raise
        except Mc2Error as error:
            return Refused(error.code, str(error), error.hint)
        if isinstance(message, Join):
            self._joined = digest(message.invitation)
        if isinstance(answer, Entered):
            self._epoch = self._joined
        return answer

    def _usable(self) -> Worker:
        if self._worker is None or not self._worker.usable:
            self._epoch = None
            self._worker = self._source.start()
            self._worker.hello(timeout_seconds=HELLO_SECONDS)
            _log.info("an enclave is ready (process %s)", self._worker.process_id)
        return self._worker

    # --- steps of trainings

    def _begin(self, connection: socket.socket, asked: AskStep) -> None:
        """Answer a step from a thread of its own, so that a driver that hangs up is noticed."""

        def answer() -> None:
            with self._lock:
                worker = self._worker
                if worker is None or not worker.usable or self._epoch is None:
                    found = TaskAnswer(code=STRANGER)
                else:
                    found = self._train_in(worker, asked)
            with suppress(OSError):  # nobody waits for it any more
                send(connection, found.frame(), time.monotonic() + _STEP_SECONDS)

        threading.Thread(target=answer, name="step of a training", daemon=True).start()

    def _train_in(self, worker: Worker, asked: AskStep) -> TaskAnswer:
        read, seconds = self._reader(asked.folder), float(asked.seconds)
        return self._answered(
            worker, lambda: worker.train(asked.step, read, timeout_seconds=seconds)
        )

    # --- the side of Spark's tasks

    def _run(self, asked: AskTask) -> TaskAnswer:
        if not self._lock.acquire(blocking=False):
            return TaskAnswer(code=BUSY)
        try:
            worker = self._worker
            if worker is None or not worker.usable or self._epoch != asked.epoch:
                return TaskAnswer(code=STRANGER)
            return self._run_in(worker, asked)
        finally:
            self._lock.release()

    def _run_in(self, worker: Worker, asked: AskTask) -> TaskAnswer:
        def keep(name: Digest, raw: bytes) -> None:
            if digest(raw) != name:
                raise JobError("an enclave named a block by another digest than it has")
            self._storage.put(asked.folder, name, raw)

        task = Task(asked.partitions, asked.order)
        read, seconds = self._reader(asked.folder), float(asked.seconds)
        return self._answered(
            worker, lambda: worker.task(task, read, keep, timeout_seconds=seconds)
        )

    def _reader(self, folder: str) -> Callable[[Digest], bytes]:
        def read(name: Digest) -> bytes:
            found = self._storage.find(folder, name)
            if found is None:
                raise DatasetError(f"there is no {name} in the storage of blocks")
            return found

        return read

    def _answered(self, worker: Worker, ask: Callable[[], bytes]) -> TaskAnswer:
        """What an enclave gives, or what it or the storage refuses with."""
        try:
            receipt = ask()
        except Mc2Error as error:
            self._epoch = None  # an enclave that refuses has left the job
            return TaskAnswer(code=error.code, message=str(error), hint=error.hint)
        except Exception as error:  # noqa: BLE001  the storage's own errors are of any type
            self._epoch = None
            worker.kill()
            return TaskAnswer(
                code=DatasetError.code,
                message=f"the storage of blocks failed with {type(error).__name__}",
                hint="see the keeper's log beside the executor",
            )
        return TaskAnswer(receipt=receipt)


def source_of(settings: KeeperSettings, log: Path) -> WorkerSource:
    """How the enclave comes to be: by a command, or it listens somewhere already."""
    first, *rest = settings.enclave
    if not rest and first.startswith(("tcp:", "vsock:", "unix:")):
        return WorkerAddress(first)
    return WorkerCommand(settings.enclave, log, {})


def listen(driver: str) -> socket.socket:
    """Listen where the driver reaches this host: on loopback alone without one."""
    if not driver:
        return socket.create_server(("127.0.0.1", 0))
    family, kind, protocol, _, address = socket.getaddrinfo(driver, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)  # sends nothing: it only looks up the way
        own = probe.getsockname()[0]
    return socket.create_server((own, 0), family=family)


def main() -> int:
    """Keep an enclave until the executor's process ends, whose number is the argument.

    Settings come on standard input; the address goes to standard output, once.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    executor = ProcessWatch.of(int(sys.argv[1]))
    folder = Path(sys.argv[2])
    settings = KeeperSettings.parse(sys.stdin.buffer.read())
    keeper = Keeper(
        source_of(settings, folder / "enclave.log"), open_storage(settings.storage), settings.token
    )
    try:
        keeper.start()
    except Mc2Error as error:
        sys.stdout.write(f"error {error}\n")
        return error.exit_code
    with listen(settings.driver) as listener:
        host, port = listener.getsockname()[:2]
        sys.stdout.write(f"tcp:{f'[{host}]' if ':' in host else host}:{port}\n")
        sys.stdout.flush()
        threading.Thread(target=_accept, args=(listener, keeper), daemon=True).start()
        executor.wait()
        _log.info("the executor has ended")
        keeper.end()
    shutil.rmtree(folder, ignore_errors=True)  # nobody looks for this executor's keeper again
    return 0


def _accept(listener: socket.socket, keeper: Keeper) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        watch_peer(connection)
        threading.Thread(target=keeper.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # threads that serve a connection must not hold it up
