"""A coordinator's operator that cheats: the same service, between it and the enclave a liar.

The scheduler takes workers from a pool; here each of them is wrapped in one that alters what
passes through. The enclaves behind it are the real processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mc2.coordinator.worker_pool import WorkerPool
from mc2.coordinator.workers import Worker
from mc2.crypto.digest import Digest
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.worker import JobOutcome, OpenedJob
from mc2.formats.worker_tasks import Task, TrainStep

ReadChunk = Callable[[Digest], bytes]


def _same_bundle(bundle: bytes) -> bytes:
    return bundle


def _same_grants(grants: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return grants


def _same_chunk(_name: Digest, read: ReadChunk) -> bytes:
    return read(_name)


@dataclass(frozen=True, slots=True)
class Lie:
    """What the operator alters on the way to the enclave; by default nothing."""

    bundle: Callable[[bytes], bytes] = _same_bundle
    grants: Callable[[Mapping[str, bytes]], Mapping[str, bytes]] = _same_grants
    chunk: Callable[[Digest, ReadChunk], bytes] = _same_chunk


@dataclass(slots=True)
class HostileWorkers:
    """A pool whose workers are lied to. Fulfils `mc2.coordinator.scheduler.Workers`."""

    pool: WorkerPool
    lie: Lie = field(default_factory=Lie)

    def acquire(self, *, timeout_seconds: float) -> LiedToWorker:
        """Borrow a worker. Raises: WorkerError."""
        return LiedToWorker(self.pool.acquire(timeout_seconds=timeout_seconds), self.lie)

    def release(self, worker: LiedToWorker) -> None:
        """Give a worker back."""
        self.pool.release(worker.worker)


@dataclass(slots=True)
class LiedToWorker:
    """A real worker behind a lie. Fulfils `mc2.coordinator.scheduler.Worker`."""

    worker: Worker
    lie: Lie

    def open(self, bundle: bytes, *, timeout_seconds: float) -> OpenedJob:
        """Hand over a job, perhaps another than the one that was signed."""
        return self.worker.open(self.lie.bundle(bundle), timeout_seconds=timeout_seconds)

    @property
    def name(self) -> str:
        """What people call the worker."""
        return self.worker.name

    def join(
        self,
        challenges: Mapping[str, bytes],
        evidence: bytes,
        invitation: bytes,
        *,
        timeout_seconds: float,
    ) -> bytes:
        """Hand on a leader's invitation."""
        return self.worker.join(challenges, evidence, invitation, timeout_seconds=timeout_seconds)

    def prove(self, probe: bytes, *, timeout_seconds: float) -> bytes:
        """Hand on a leader's probe."""
        return self.worker.prove(probe, timeout_seconds=timeout_seconds)

    def enter(self, admission: bytes, *, timeout_seconds: float) -> None:
        """Hand on a leader's admission."""
        self.worker.enter(admission, timeout_seconds=timeout_seconds)

    def attest(self, challenges: Mapping[str, bytes], *, timeout_seconds: float) -> bytes:
        """Hand over the challenges."""
        return self.worker.attest(challenges, timeout_seconds=timeout_seconds)

    def run(
        self,
        grants: Mapping[str, bytes],
        read_chunk: ReadChunk,
        write_chunk: Callable[[Digest, bytes], None],
        progress: Callable[[str], None],
        others: OtherWorkers | None = None,
        *,
        timeout_seconds: float,
    ) -> JobOutcome:
        """Hand over grants and chunks, perhaps others than the owners'."""
        return self.worker.run(
            self.lie.grants(grants),
            lambda name: self.lie.chunk(name, read_chunk),
            write_chunk,
            progress,
            others,
            timeout_seconds=timeout_seconds,
        )

    def task(
        self,
        task: Task,
        read: Callable[[Digest], bytes],
        keep: Callable[[Digest, bytes], None],
        *,
        timeout_seconds: float,
    ) -> bytes:
        """Hand on a leader's order."""
        return self.worker.task(task, read, keep, timeout_seconds=timeout_seconds)

    def train(
        self, step: TrainStep, read: Callable[[Digest], bytes], *, timeout_seconds: float
    ) -> bytes:
        """Hand on a leader's message of a training."""
        return self.worker.train(step, read, timeout_seconds=timeout_seconds)

    def kill(self) -> None:
        """End the worker."""
        self.worker.kill()
