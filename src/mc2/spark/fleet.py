"""The enclaves beside the executors of one Spark application: found anew for every epoch.

Executors come and go as Spark decides. The fleet asks Spark which there are, has each start its
keeper, and lends the enclaves out to jobs. A late enclave takes part from the next epoch on, and
is appraised like all others before it sees a key: that is the leader's business, not this side's.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import ExitStack
from typing import Any, Final

from mc2.coordinator.workers import Worker
from mc2.crypto.digest import Digest, digest
from mc2.errors import FormatError, Mc2Error, WorkerError
from mc2.spark.jobs import SparkJobs
from mc2.spark.on_executor import GRACE_SECONDS, connect, muster
from mc2.spark.settings import KeeperSettings
from mc2.spark.wire import BUSY, AskStep, Attach, TaskAnswer, receive, send

_log = logging.getLogger(__name__)

GROUP: Final = "mc2-muster"
_ATTACH_SECONDS: Final = 60.0
_BUSY_SECONDS: Final = 10.0
_BUSY_PAUSE_SECONDS: Final = 0.1
_AGAIN_SECONDS: Final = 5.0  # between two looks at which executors there are


class Member(Worker):
    """An enclave beside an executor, through its keeper."""

    def __init__(self, connection: socket.socket, address: str) -> None:
        super().__init__(connection)
        self.address = address
        self.epoch: Digest | None = None
        """The digest of the invitation that it answered last."""

    def join(self, *arguments: Any, **more: Any) -> bytes:
        """Hand on a leader's invitation. Raises: as `Worker.join`."""
        evidence = super().join(*arguments, **more)
        self.epoch = digest(arguments[2])
        return evidence

    def take_step(self, asked: AskStep) -> TaskAnswer:
        """Hand on a message of a training, to this enclave and no other: it has the rows.

        Raises: WorkerError if its keeper is gone, or does not answer.
        """
        deadline = time.monotonic() + asked.seconds + GRACE_SECONDS
        try:
            send(self._connection, asked.frame(), deadline)
            return TaskAnswer.parse(receive(self._connection, deadline))
        except (OSError, FormatError) as error:
            raise self.broken(f"is lost with its keeper: {type(error).__name__}") from None


class SparkFleet:
    """Lends out the enclaves beside executors, each to one job at a time. Thread-safe.

    `seconds` is how long Spark may take to have its executors start their enclaves.
    """

    def __init__(self, jobs: SparkJobs, settings: KeeperSettings, *, seconds: float) -> None:
        self._jobs = jobs
        self._settings = settings
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._lent: dict[str, Member] = {}
        self._names: dict[str, str] = {}
        self._looked = float("-inf")

    @property
    def known(self) -> tuple[str, ...]:
        """Where enclaves are, as far as is known."""
        with self._lock:
            return tuple(sorted(self._known))

    def acquire(self, *, timeout_seconds: float) -> Member:
        """Borrow an enclave. Raises: WorkerError if none is free.

        It waits for Spark to answer, and no longer: `timeout_seconds` is not used, since waiting
        gives no new executors.
        """
        del timeout_seconds
        with self._lock:
            while True:
                free = sorted(self._known - self._lent.keys())
                if not free:
                    if time.monotonic() - self._looked < _AGAIN_SECONDS:
                        raise WorkerError("no enclave beside an executor is free")
                    self._look()
                    continue
                if (member := self._attach(free[0])) is not None:
                    return member

    def release(self, worker: Member) -> None:
        """Give an enclave back, dead or alive. Its keeper drops the job."""
        try:
            worker.close()
        except Mc2Error as error:
            _log.info("the enclave at %s is lost: %s", worker.address, error)
        worker.kill()  # the connection: a keeper serves one driver's job at a time
        with self._lock:
            if self._lent.get(worker.address) is worker:
                del self._lent[worker.address]

    def stop(self) -> None:
        """Let go of all enclaves."""
        with self._lock:
            for member in self._lent.values():
                member.kill()
            self._lent.clear()
            self._known.clear()

    # --- who is there

    def _look(self) -> None:
        """Ask Spark which executors there are; each task sees to the keeper of its own."""
        late = threading.Timer(self._seconds, self._jobs.cancel, (GROUP,))
        late.daemon = True
        late.start()
        try:
            items = [self._settings] * self._jobs.slots
            found = self._jobs.run(muster, items, group=GROUP, name="mc2: look for enclaves")
        except WorkerError as error:
            raise WorkerError(
                f"Spark brings no enclave up: {error}", hint="see the logs of its executors"
            ) from None
        finally:
            late.cancel()
            self._looked = time.monotonic()
        if new := set(found) - self._known:
            _log.info("enclaves beside executors: %s", ", ".join(sorted(new)))
        self._known |= set(found)

    def _attach(self, address: str) -> Member | None:
        """Take an enclave, if it is there and nobody else's."""
        try:
            connection = self._greeted(address)
        except (OSError, FormatError) as error:
            _log.info("no keeper at %s any more: %s", address, type(error).__name__)
            self._known.discard(address)
            return None
        member = Member(connection, address)
        try:
            member.hello()
        except Mc2Error as error:
            _log.warning("the enclave at %s does not answer: %s", address, error)
            member.kill()
            self._known.discard(address)
            return None
        self._names[address] = self._names.get(address) or f"executor_{len(self._names) + 1}"
        member.name = self._names[address]
        self._lent[address] = member
        return member

    def _greeted(self, address: str) -> socket.socket:
        """A keeper's connection. It may still be at the end of the job before this one."""
        until = time.monotonic() + _BUSY_SECONDS
        while (connection := self._greet(address)) is None:
            if time.monotonic() > until:
                raise FormatError("the enclave serves another driver")
            time.sleep(_BUSY_PAUSE_SECONDS)
        return connection

    def _greet(self, address: str) -> socket.socket | None:
        with ExitStack() as stack:
            connection = stack.enter_context(connect(address))
            deadline = time.monotonic() + _ATTACH_SECONDS
            send(connection, Attach(self._settings.token).frame(), deadline)
            if receive(connection, deadline).header.get("type") == BUSY:
                return None
            stack.pop_all()
        return connection
