"""Runs attempts: takes a worker for each, and walks it through the phases.

::

    waiting ──▶ challenge ──▶ attest ──▶ grant ──▶ compute ──▶ done
    a worker    owners        worker     owners    worker

One dispatcher thread gives waiting attempts to free workers and watches over those under way; one
thread for each attempt under way talks to its worker. A worker that dies, or people who do not
answer in time, cost the attempt: the next one begins by itself while contract and approvals allow
one. A refusal by the enclave ends the job: nothing that this side could do would change it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from mc2.coordinator.backend import BlockRoom, LocalBackend, TaskBackend, TaskNeeds
from mc2.coordinator.cluster import (
    AtHome,
    Backend,
    Cluster,
    ClusterWorker,
    Introduction,
    Pool,
)
from mc2.coordinator.job_rules import parties_at_home
from mc2.coordinator.jobs import AttemptRecord
from mc2.coordinator.metrics import CountedBackend, Counter
from mc2.coordinator.running import LateError
from mc2.coordinator.service import Service
from mc2.crypto.digest import Digest
from mc2.errors import DropoutError, JobError, Mc2Error, WorkerError
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.worker import JobOutcome
from mc2.formats.worker_progress import Said

_log = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.5  # how late a missed deadline or a cancelled job is noticed
_PROGRESS_SECONDS: Final = 0.5  # between two progress texts that are kept


class Worker(ClusterWorker, Protocol):
    """An enclave, as `mc2.coordinator.workers` has it. Calls block.

    They raise the error that the enclave refused with, or WorkerError if it is gone or the time
    is over. `kill` may come from any thread and ends a call under way.
    """

    def attest(self, challenges: Mapping[str, bytes], *, timeout_seconds: float) -> bytes:
        """Hand over the challenges; the signed evidence."""
        ...

    def run(
        self,
        grants: Mapping[str, bytes],
        read_chunk: Callable[[Digest], bytes],
        write_chunk: Callable[[Digest, bytes], None],
        progress: Callable[[str], None],
        others: OtherWorkers | None = None,
        *,
        timeout_seconds: float,
    ) -> JobOutcome:
        """Hand over the grants, serve chunks and other workers; the receipt and the results."""
        ...

    def kill(self) -> None:
        """End the worker, whatever it does."""
        ...


W = TypeVar("W", bound=Worker)

_HelpFor: TypeAlias = Callable[
    [AttemptRecord, Introduction, Counter], tuple[TaskBackend, Cluster[Any]]
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each phase may last, in seconds."""

    waiting: float = 24 * 3600  # for a free worker
    challenge: float = 3600  # for the owners, or their agents
    attest: float = 300
    grant: float = 1200  # a little longer than a challenge holds
    compute: float = 24 * 3600
    home: float = 300  # for the enclaves at the homes of parties


class Scheduler(Generic[W]):
    """Runs the attempts of a service on some workers, from `start` to `stop`.

    Each attempt has one worker, which leads, and up to `workers_per_job` in all. The others come
    from the same pool, or from `backend` if there is one. Blocks of attempts stand in `room`.
    """

    def __init__(
        self,
        service: Service,
        workers: Pool[W],
        timeouts: Timeouts | None = None,
        *,
        workers_per_job: int = 1,
        backend: Backend | None = None,
        room: BlockRoom | None = None,
    ) -> None:
        self._service = service
        self._workers = workers
        self._backend = backend
        self._room = room or BlockRoom()
        self._timeouts = timeouts or Timeouts()
        self._most_others = workers_per_job - 1
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], _Attempt[W]] = {}
        self._dispatcher = threading.Thread(target=self._dispatch, name="scheduler", daemon=True)

    def start(self) -> None:
        """Take up what a crash or a stop left behind, and begin to run attempts."""
        self._room.prepare()
        self._service.running.recover()
        self._dispatcher.start()

    def stop(self) -> None:
        """Stop now: attempts under way are lost, and their jobs go on after the next start."""
        self._stopping.set()
        self._service.bell.ring()
        if self._dispatcher.ident is not None:
            self._dispatcher.join()
        with self._lock:  # nobody adds to them any more
            attempts = tuple(self._under_way.values())
        for attempt in attempts:
            attempt.worker.kill()
        self._service.homes.stop()
        for attempt in attempts:
            attempt.thread.join()

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            rung = self._service.bell.rung
            try:
                self._watch()
                busy = self._give_out_work()
            except Exception:  # noqa: BLE001  one broken job must not stop all others
                _log.exception("the scheduler met an unexpected error")
                busy = False
            if not busy:
                self._service.bell.wait(rung, _TICK_SECONDS)

    def _watch(self) -> None:
        """End calls for jobs that went on without them: cancelled or rejected."""
        with self._lock:
            attempts = tuple(self._under_way.values())
        for attempt in attempts:
            if attempt.calling and self._service.running.job_of(attempt.record) is None:
                attempt.worker.kill()
        for record in self._service.jobs.table.open_attempts():
            if record.phase != "waiting" and (record.job_id, record.attempt) not in self._under_way:
                # Its thread could not even say how it ended: a full disk, most likely.
                self._service.running.lost(record, WorkerError("the coordinator lost track of it"))

    def _give_out_work(self) -> bool:
        """Give one waiting attempt to a free worker; whether there may be more to give."""
        waiting = self._waiting()
        for record in waiting:
            if self._service.clock().timestamp() - record.since > self._timeouts.waiting:
                self._service.running.fail(record, WorkerError.code, "no enclave worker came free")
                return True
        if not waiting:
            return False
        try:
            worker = self._workers.acquire(timeout_seconds=_TICK_SECONDS)
        except WorkerError as trouble:
            if waiting[0].progress != str(trouble):
                self._service.running.say(waiting[0], str(trouble))
            return False
        self._begin(waiting[0], worker)
        return True

    def _waiting(self) -> list[AttemptRecord]:
        waiting = [a for a in self._service.jobs.table.open_attempts() if a.phase == "waiting"]
        return [a for a in waiting if (a.job_id, a.attempt) not in self._under_way]

    def _tasks(self, bundle: bytes) -> TaskBackend:
        """What carries an attempt's tasks."""
        store, seconds = self._service.store, self._timeouts.compute
        if self._backend is None:
            return LocalBackend(store.read_blob, room=self._room, timeout_seconds=seconds)
        needs = TaskNeeds(
            bundle=bundle,
            read_chunk=store.read_blob,
            chunk_file=store.blobs.path,
            timeout_seconds=seconds,
        )
        return self._backend.tasks(needs)

    def _others(
        self, record: AttemptRecord, shown: Introduction, backend: TaskBackend
    ) -> Cluster[Any]:
        """Who may help an attempt: free workers that no other attempt waits for."""
        return Cluster(
            self._workers if self._backend is None else self._backend.members,
            shown,
            most=self._most_others,
            may_borrow=lambda: not self._stopping.is_set() and not self._waiting(),
            keep=lambda evidence: self._service.running.put_members(record, evidence),
            timeout_seconds=self._timeouts.attest,
            backend=backend,
            homes=AtHome(self._service.homes, parties_at_home(shown.bundle), self._timeouts.home),
        )

    def _help(
        self, record: AttemptRecord, shown: Introduction, counter: Counter
    ) -> tuple[TaskBackend, Cluster[Any]]:
        backend = CountedBackend(self._tasks(shown.bundle), counter, local=self._backend is None)
        return backend, self._others(record, shown, backend)

    def _begin(self, record: AttemptRecord, worker: W) -> None:
        attempt = _Attempt(
            self._service, record, worker, self._timeouts, self._stopping, self._help
        )
        attempt.thread = threading.Thread(
            target=self._run, args=(attempt,), name=f"job {record.job_id[:8]}", daemon=True
        )
        with self._lock:
            self._under_way[record.job_id, record.attempt] = attempt
        attempt.thread.start()

    def _run(self, attempt: _Attempt[W]) -> None:
        try:
            attempt.run()
        finally:
            self._workers.release(attempt.worker)
            with self._lock:
                del self._under_way[attempt.record.job_id, attempt.record.attempt]
            self._service.bell.ring()


class _Attempt(Generic[W]):
    """One attempt under way, in its own thread."""

    thread: threading.Thread

    def __init__(
        self,
        service: Service,
        record: AttemptRecord,
        worker: W,
        timeouts: Timeouts,
        stopping: threading.Event,
        help_for: _HelpFor,
    ) -> None:
        self._service = service
        self._rules = service.running
        self.record = record
        self.worker = worker
        self._timeouts = timeouts
        self._stopping = stopping
        self._help_for = help_for
        self._said = 0.0
        self._counter = Counter()
        self._others: Cluster[Any] | None = None
        self.calling = False
        """Whether the worker is at it, so that only its end would end the wait."""

    def run(self) -> None:
        """Walk through the phases; end the attempt whatever happens."""
        name = f"job {self.record.job_id}, attempt {self.record.attempt}"
        try:
            self._walk()
        except (WorkerError, LateError, DropoutError) as error:
            self._lose(error)
        except Mc2Error as error:
            # A typed refusal: what was signed does not hold together. Another attempt would not
            # help, unless the job is over anyway.
            _log.warning("%s: refused: %s", name, error)
            said = f"{error} (next: {error.hint})" if error.hint else str(error)
            self._rules.fail(self.record, error.code, said)
        except Exception:  # noqa: BLE001  whatever it is, the job must not hang
            _log.exception("%s: unexpected error", name)
            self._lose(WorkerError("the coordinator met an unexpected error; its log says more"))
        else:
            _log.info("%s: succeeded", name)

    def _lose(self, error: Mc2Error) -> None:
        if self._stopping.is_set():
            return  # `recover` ends the attempt at the next start, as after a crash
        _log.warning("job %s, attempt %d: lost: %s", self.record.job_id, self.record.attempt, error)
        self._rules.lost(self.record, error)

    def _walk(self) -> None:
        bundle = self._rules.bundle(self.record)
        # From here on the attempt counts as used: a restart begins another one.
        self._rules.enter(self.record, "challenge")
        with self._call():
            self.worker.open(bundle, timeout_seconds=self._timeouts.attest)
        challenges = self._await(
            lambda: self._rules.collect_challenges(self.record), self._timeouts.challenge
        )
        with self._call():
            evidence = self.worker.attest(challenges, timeout_seconds=self._timeouts.attest)
        self._rules.put_evidence(self.record, evidence)
        grants = self._await(lambda: self._rules.collect_grants(self.record), self._timeouts.grant)
        shown = Introduction(bundle=bundle, challenges=challenges, evidence=evidence)
        backend, others = self._help_for(self.record, shown, self._counter)
        self._others = others
        try:
            with self._call():
                outcome = self.worker.run(
                    grants,
                    backend.read,
                    self._counter.keeping(self._write_chunk),
                    self._progress,
                    others,
                    timeout_seconds=self._timeouts.compute,
                )
        finally:
            try:
                self._count()
            finally:
                others.release()
        self._counter.finish()
        self._count()
        self._rules.succeed(self.record, outcome.receipt, outcome.results)

    @contextmanager
    def _call(self) -> Iterator[None]:
        self.calling = True
        try:
            yield
        finally:
            self.calling = False

    def _await(
        self, collect: Callable[[], Mapping[str, bytes] | None], seconds: float
    ) -> Mapping[str, bytes]:
        """Ask again at each change, until people have answered or the time is over."""
        until = time.monotonic() + seconds
        while True:
            rung = self._service.bell.rung
            found = collect()
            if found is not None:
                return found
            if self._stopping.is_set():
                raise WorkerError("the coordinator is stopping")
            if time.monotonic() > until:
                raise LateError(self._who_is_late())
            self._service.bell.wait(rung, _TICK_SECONDS)

    def _who_is_late(self) -> str:
        job = self._rules.job_of(self.record)
        status = job and self._service.jobs.status(job.proposer, job.job_id)
        if not status:
            return "the job went on"
        return f"no {status.phase} came from {', '.join(status.missing)} in time"

    def _write_chunk(self, name: Digest, raw: bytes) -> None:
        job = self._rules.job_of(self.record)
        if job is None:
            raise JobError("the job went on")
        self._service.store.put_result(job.proposer, name, raw, self._service.clock())

    def _progress(self, text: str) -> None:
        if isinstance(text, Said):
            self._counter.hear(text.counted)
        if text and time.monotonic() - self._said >= _PROGRESS_SECONDS:
            self._said = time.monotonic()
            self._count()
            self._rules.say(self.record, text)

    def _count(self) -> None:
        """Keep the numbers so far; the event that follows tells them."""
        others = {} if self._others is None else self._others.workers
        self._counter.seen(self.worker, others)
        self._rules.count(self.record, self._counter.metrics())
