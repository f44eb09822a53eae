"""The workers beside the one that leads a job: borrowed, introduced to it, given back.

The coordinator passes signed messages between enclaves and decides which workers there are. It
cannot make one of them a member that the owners' policy does not accept.
Spec: docs/spec/cluster.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from mc2.coordinator.backend import TaskBackend, TaskNeeds
from mc2.crypto.digest import Digest
from mc2.errors import JobError, Mc2Error, WorkerError
from mc2.formats.limits import LIMITS
from mc2.formats.worker import OpenedJob
from mc2.formats.worker_tasks import Ended, Task, TrainStep

_log = logging.getLogger(__name__)

LARGEST_CLUSTER: Final = LIMITS.cluster_members
_LONGEST_NAME: Final = 63


class ClusterWorker(Protocol):
    """A worker that can join another one's cluster, as `mc2.coordinator.workers` has it."""

    @property
    def name(self) -> str:
        """What people and receipts call it."""
        ...

    def open(self, bundle: bytes, *, timeout_seconds: float) -> OpenedJob:
        """Hand over a job."""
        ...

    def join(
        self,
        challenges: Mapping[str, bytes],
        evidence: bytes,
        invitation: bytes,
        *,
        timeout_seconds: float,
    ) -> bytes:
        """Hand on a leader's invitation; the member evidence."""
        ...

    def prove(self, probe: bytes, *, timeout_seconds: float) -> bytes:
        """Hand on the leader's probe; the token."""
        ...

    def enter(self, admission: bytes, *, timeout_seconds: float) -> None:
        """Hand on the leader's admission."""
        ...

    def task(
        self,
        task: Task,
        read: Callable[[Digest], bytes],
        keep: Callable[[Digest, bytes], None],
        *,
        timeout_seconds: float,
    ) -> bytes:
        """Have a task run; its receipt."""
        ...

    def train(
        self, step: TrainStep, read: Callable[[Digest], bytes], *, timeout_seconds: float
    ) -> bytes:
        """Hand on a message of a training; the answer."""
        ...

    def kill(self) -> None:
        """End the worker, whatever it does."""
        ...


W = TypeVar("W", bound=ClusterWorker)


class Pool(Protocol[W]):
    """Lends workers out. Thread-safe."""

    def acquire(self, *, timeout_seconds: float) -> W:
        """Borrow a free worker. Raises: WorkerError if none comes free in time."""
        ...

    def release(self, worker: W) -> None:
        """Give a worker back, dead or alive, whatever it was doing."""
        ...


class Backend(Protocol):
    """Where the tasks of jobs run. Thread-safe.

    Without one a coordinator has them run by workers of the pool that its leaders come from.
    """

    @property
    def members(self) -> Pool[Any]:
        """Lends out the workers that may join a leader's cluster."""
        ...

    def tasks(self, needs: TaskNeeds) -> TaskBackend:
        """What carries the tasks of one attempt."""
        ...


class Homes(Protocol):
    """Lends out the enclaves at the homes of parties. Thread-safe."""

    def borrow(self, party: str, *, timeout_seconds: float) -> Any:
        """Borrow a party's enclave. Raises: WorkerError if none is there in time."""
        ...

    def release(self, worker: Any) -> None:
        """Give it back."""
        ...


@dataclass(frozen=True, slots=True)
class AtHome:
    """Whose enclaves at home a job needs, and how long it waits for one."""

    homes: Homes
    parties: tuple[str, ...]
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What a worker is shown of a job before it joins: the job, and what proves the leader."""

    bundle: bytes
    challenges: Mapping[str, bytes]
    evidence: bytes


class Cluster(Generic[W]):
    """The workers of one attempt but its leader. One thread uses it, while the leader runs.

    At most `most` workers are borrowed, and only while `may_borrow` says that nobody else waits
    for one. `keep` is handed the evidence of those that the leader admits.
    """

    def __init__(  # noqa: PLR0913  # all but two are what a job may do with workers
        self,
        pool: Pool[W],
        introduction: Introduction,
        *,
        most: int,
        may_borrow: Callable[[], bool],
        keep: Callable[[Iterable[bytes]], None],
        timeout_seconds: float,
        backend: TaskBackend | None = None,
        homes: AtHome | None = None,
    ) -> None:
        self._pool, self._homes = pool, homes
        self._at_home: dict[str, Any] = {}
        self._introduction = introduction
        self._most = min(most, LARGEST_CLUSTER - 1)
        self._may_borrow = may_borrow
        self._keep = keep
        self._timeout = timeout_seconds
        self._backend = backend
        self._workers: dict[str, W] = {}
        self._joined: dict[str, bytes] = {}

    @property
    def workers(self) -> Mapping[str, W]:
        """The workers of the present epoch, by name: whom tasks can be sent to."""
        return dict(self._workers)

    def gather(self, invitation: bytes) -> Mapping[str, bytes]:
        """Invite free workers: the member evidence of those that joined, by name.

        Whoever was there before joins anew. A worker that fails is given back, and not named.
        """
        self.release()
        while len(self._workers) < self._most and self._may_borrow():
            try:
                worker = self._pool.acquire(timeout_seconds=0)
            except WorkerError:
                break
            self._workers[_free_name(worker.name, self._workers)] = worker
        self._borrow_homes()
        self._joined = self._ask_all(self._workers, lambda _, w: self._join(w, invitation))
        return dict(self._joined)

    def _borrow_homes(self) -> None:
        """Wait for the enclaves at parties' homes. Whoever does not come, the leader will miss."""
        if self._homes is None:
            return
        until = time.monotonic() + self._homes.timeout_seconds
        for party in self._homes.parties:
            left = max(0.0, until - time.monotonic())
            try:
                worker = self._homes.homes.borrow(party, timeout_seconds=left)
            except WorkerError as error:
                _log.warning("%s", error)
                continue
            name = _free_name(worker.name, self._workers)
            self._workers[name] = self._at_home[name] = worker

    def probe(self, probes: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Hand on the leader's probes: the tokens of those that answered.

        Whoever was asked and did not is given back.
        """
        asked = {name: w for name, w in self._workers.items() if name in probes}
        return self._ask_all(asked, lambda name, w: self._prove(w, probes[name]))

    def admit(self, admissions: Mapping[str, bytes]) -> Collection[str]:
        """Hand on the leader's admissions; who entered. The others are given back.

        Raises: what `keep` raises.
        """
        admitted = {name: admissions[name] for name in admissions if name in self._joined}
        self._keep(self._joined[name] for name in admitted)
        for name in self._workers.keys() - admitted.keys():
            self._give_back(name)
        entered = self._ask_all(self._workers, lambda name, w: self._enter(w, admitted[name]))
        return sorted(entered)

    def assign(self, worker: str, task: Task | TrainStep) -> None:
        """Have a worker of the epoch run a task, or take a step of a training. Raises: JobError."""
        self._tasks.assign(worker, task, self._workers)

    def ended(self, *, wait: bool) -> Ended:
        """Which task has ended. Raises: JobError if there is none to wait for."""
        return self._tasks.ended(wait=wait)

    def keep(self, name: Digest, raw: bytes) -> None:
        """Keep a block for the epoch's tasks. Raises: JobError."""
        self._tasks.keep(name, raw)

    @property
    def _tasks(self) -> TaskBackend:
        if self._backend is None:
            raise JobError("this host runs no tasks")
        return self._backend

    def release(self) -> None:
        """Give all workers back; one that is still at a task is ended."""
        if self._backend is not None:
            for name in self._backend.busy:
                self._workers[name].kill()
            self._backend.close()
        for name in tuple(self._workers):
            self._give_back(name)

    # --- workers

    def _join(self, worker: W, invitation: bytes) -> bytes:
        shown = self._introduction
        worker.open(shown.bundle, timeout_seconds=self._timeout)
        return worker.join(
            shown.challenges, shown.evidence, invitation, timeout_seconds=self._timeout
        )

    def _prove(self, worker: W, probe: bytes) -> bytes:
        return worker.prove(probe, timeout_seconds=self._timeout)

    def _enter(self, worker: W, admission: bytes) -> bytes:
        worker.enter(admission, timeout_seconds=self._timeout)
        return b""

    def _ask_all(
        self, workers: Mapping[str, W], ask: Callable[[str, W], bytes]
    ) -> dict[str, bytes]:
        """The answers of those that gave one; the others are given back."""
        if not workers:
            return {}
        found: dict[str, bytes] = {}
        with ThreadPoolExecutor(len(workers), thread_name_prefix="cluster") as threads:
            asked = {name: threads.submit(ask, name, w) for name, w in workers.items()}
        for name, answer in asked.items():
            error = answer.exception()
            if error is None:
                found[name] = answer.result()
                continue
            if not isinstance(error, Mc2Error):
                raise error
            _log.warning("%s does not take part: %s", name, error)
            self._give_back(name)
        return found

    def _give_back(self, name: str) -> None:
        self._joined.pop(name, None)
        worker, at_home = self._workers.pop(name), self._at_home.pop(name, None)
        if at_home is not None and self._homes is not None:
            self._homes.homes.release(at_home)
        else:
            self._pool.release(worker)


def _free_name(wanted: str, taken: Collection[str]) -> str:
    """A name that nobody has: two workers elsewhere may be called alike.

    It stays a name: a leader ends the job of a host that calls workers otherwise.
    """
    numbered = (f"_{i}" for i in range(2, len(taken) + 3))
    names = (wanted, *(wanted[: _LONGEST_NAME - len(end)] + end for end in numbered))
    return next(name for name in names if name not in taken)
