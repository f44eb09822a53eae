"""Counts what a coordinator sees of one attempt: tasks, sealed blocks, time, memory.

The enclave says which stages there are and which of them its leader is at; the rest is counted on
the way. A wrong number misleads people who look at a job, and nobody else.
Spec: docs/spec/coordinator-api.md, section "Metrics".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mc2.coordinator.backend import TaskBackend, TaskWorker
from mc2.crypto.digest import Digest
from mc2.errors import FormatError, Mc2Error, WorkerError
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.job_metrics import (
    MOST_TRAININGS,
    JobMetrics,
    StageMetrics,
    TrainingMetrics,
    WorkerMetrics,
)
from mc2.formats.limits import LIMITS
from mc2.formats.task import TaskOrder, TaskReceipt
from mc2.formats.worker_progress import Counted, RoundTrained, StageBegun, StageHead, StagesCut
from mc2.formats.worker_tasks import Ended, Task, TrainStep

_LEADER: Final = "leader"
_KIB: Final = 1024

Read = Callable[[Digest], bytes]
Keep = Callable[[Digest, bytes], None]


@dataclass(slots=True)
class _Stage:
    head: StageHead
    done: set[int] = field(default_factory=set)
    pieces: dict[int, set[int]] = field(default_factory=dict)
    lost: int = 0
    blocks_in: int = 0
    bytes_in: int = 0
    blocks_out: int = 0
    bytes_out: int = 0
    begun: float | None = None
    ended: float | None = None

    def milliseconds(self, now: float) -> int:
        if self.begun is None:
            return 0
        return round(1000 * ((now if self.ended is None else self.ended) - self.begun))

    def metrics(self, now: float) -> StageMetrics:
        return StageMetrics(
            head=self.head,
            done=len(self.done),
            lost=self.lost,
            blocks_in=self.blocks_in,
            bytes_in=self.bytes_in,
            blocks_out=self.blocks_out,
            bytes_out=self.bytes_out,
            milliseconds=self.milliseconds(now),
        )


@dataclass(slots=True)
class _Training:
    done: int
    of: int
    begun: float
    newest: float


class Counter:
    """The numbers of one attempt, from any thread. `clock`: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stages: list[_Stage] = []
        self._at: int = 0
        self._trainings: dict[int, _Training] = {}
        self._peaks: dict[str, int] = {}
        self._tasks: dict[str, int] = {}
        self._receipts: set[Digest] = set()
        self._outside: set[str] = set()

    # --- what the leader says

    def hear(self, said: Counted) -> None:
        """Take in what the enclave that leads tells."""
        with self._lock:
            match said:
                case StagesCut():
                    self._stages = [_Stage(head) for head in said.stages]
                    self._begin(0 if len(self._stages) == 1 else None)
                case StageBegun():
                    self._begin(said.stage)
                case RoundTrained():
                    self._trained(said)

    def _begin(self, stage: int | None) -> None:
        if stage is None or stage >= len(self._stages):
            return
        self._at = stage
        if self._stages[stage].begun is None:
            self._stages[stage].begun = self._clock()

    def _trained(self, said: RoundTrained) -> None:
        now = self._clock()
        found = self._trainings.get(said.node)
        if found is not None:
            found.done, found.of, found.newest = said.done, said.of, now
        elif len(self._trainings) < MOST_TRAININGS:
            self._trainings[said.node] = _Training(said.done, said.of, now, now)

    # --- what passes through this host

    def reading(self, read: Read, stage: int | None = None) -> Read:
        """The same reads, counted: of a stage, or of that which the leader is at."""

        def counted(name: Digest) -> bytes:
            raw = read(name)
            with self._lock:
                at = self._stage(stage)
                if at is not None and name not in self._receipts:
                    at.blocks_in += 1
                    at.bytes_in += len(raw)
            return raw

        return counted

    def keeping(self, keep: Keep, stage: int | None = None) -> Keep:
        """The same writes, counted; a receipt says that its task is done instead."""

        def counted(name: Digest, raw: bytes) -> None:
            receipt = None if stage is not None else _receipt(raw)
            keep(name, raw)
            with self._lock:
                if receipt is not None and name not in self._receipts:
                    self._receipts.add(name)
                    self._done(receipt)
                elif receipt is not None:
                    pass  # one that this host had lost
                elif (at := self._stage(stage)) is not None:
                    at.blocks_out += 1
                    at.bytes_out += len(raw)

        return counted

    def _stage(self, stage: int | None) -> _Stage | None:
        place = self._at if stage is None else stage
        return self._stages[place] if place < len(self._stages) else None

    def _done(self, receipt: TaskReceipt) -> None:
        at = self._stage(receipt.task.stage)
        if at is None or receipt.task.partition >= at.head.tasks:
            return
        task = receipt.task
        at.pieces.setdefault(task.partition, set()).add(task.piece)
        if len(at.pieces[task.partition]) >= task.pieces:
            at.done.add(task.partition)
        if len(at.done) == at.head.tasks:
            at.ended = self._clock()
        if receipt.task.digest in self._outside:  # its blocks never passed here: its receipt tells
            blocks = [b for parts in receipt.written for part in parts for b in part]
            at.blocks_out += len(blocks)
            at.bytes_out += sum(b.size for b in blocks)

    def assigned(self, worker: str, task: Task | TrainStep, *, passes_here: bool) -> None:
        """A task begins at another worker; whether its blocks pass through this host."""
        if isinstance(task, TrainStep):
            return
        with suppress(FormatError):
            named = TaskOrder.parse(task.order).task
            with self._lock:
                self._tasks[worker] = named.stage
                if not passes_here:
                    self._outside.add(named.digest)
                at = self._stage(named.stage)
                if at is not None and at.begun is None:
                    at.begun = self._clock()

    def ended(self, found: Ended) -> None:
        """A task ended at another worker, with a receipt or without."""
        with self._lock:
            stage = self._tasks.pop(found.worker, None)
            at = None if stage is None else self._stage(stage)
            if at is not None and found.code == WorkerError.code:
                at.lost += 1

    def seen(self, leader: object, others: Mapping[str, object]) -> None:
        """Look at the memory of the attempt's workers, as far as this host sees it."""
        peaks = {_name(leader): peak_bytes(leader)}
        peaks |= {name: peak_bytes(worker) for name, worker in others.items()}
        with self._lock:
            for name, peak in peaks.items():
                if name in self._peaks or len(self._peaks) < LIMITS.cluster_members:
                    self._peaks[name] = max(peak, self._peaks.get(name, 0))

    def finish(self) -> None:
        """The outputs are there: whatever the leader was at is done."""
        with self._lock:
            for stage in self._stages[-1:]:
                stage.done = set(range(stage.head.tasks))
                stage.ended = self._clock()

    def metrics(self) -> JobMetrics:
        """The numbers so far."""
        with self._lock:
            now = self._clock()
            return JobMetrics(
                stages=tuple(s.metrics(now) for s in self._stages),
                trainings=tuple(
                    TrainingMetrics(
                        node=node,
                        done=t.done,
                        of=t.of,
                        milliseconds=round(1000 * (t.newest - t.begun)),
                    )
                    for node, t in sorted(self._trainings.items())
                ),
                workers=tuple(WorkerMetrics(name=n, peak_bytes=p) for n, p in self._peaks.items()),
            )


class CountedBackend:
    """A backend whose tasks are counted. Fulfils `mc2.coordinator.backend.TaskBackend`.

    `local`: workers read and keep blocks through this process, by calls that can be counted.
    """

    def __init__(self, backend: TaskBackend, counter: Counter, *, local: bool) -> None:
        self._backend = backend
        self._counter = counter
        self._local = local
        self.read: Read = counter.reading(backend.read)
        self.keep: Keep = counter.keeping(backend.keep)

    def assign(self, name: str, task: Task | TrainStep, workers: Mapping[str, Any]) -> None:
        """Have a worker run a task. Raises: what the backend does."""
        self._counter.assigned(name, task, passes_here=self._local)
        if self._local:
            workers = {n: _CountedWorker(w, self._counter) for n, w in workers.items()}
        self._backend.assign(name, task, workers)

    def ended(self, *, wait: bool) -> Ended:
        """Which task has ended. Raises: JobError."""
        found = self._backend.ended(wait=wait)
        self._counter.ended(found)
        return found

    @property
    def busy(self) -> tuple[str, ...]:
        """The workers that are at a task."""
        return self._backend.busy

    def close(self) -> None:
        """Wait until no worker is at a task, and remove all blocks."""
        self._backend.close()


class _CountedWorker:
    """A member whose reads and writes are counted to the stage of its task."""

    def __init__(self, worker: TaskWorker, counter: Counter) -> None:
        self._worker = worker
        self._counter = counter

    def task(self, task: Task, read: Read, keep: Keep, *, timeout_seconds: float) -> bytes:
        stage = _stage_of(task)
        return self._worker.task(
            task,
            self._counter.reading(read, stage),
            self._counter.keeping(keep, stage),
            timeout_seconds=timeout_seconds,
        )

    def train(self, step: TrainStep, read: Read, *, timeout_seconds: float) -> bytes:
        return self._worker.train(
            step, self._counter.reading(read), timeout_seconds=timeout_seconds
        )


def peak_bytes(worker: object) -> int:
    """The most memory that a worker's process on this host has held; 0 if there is none to see."""
    process = getattr(worker, "process_id", None)
    if process is None:
        return 0
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return _peak_of(lines)


def _peak_of(lines: Iterable[str]) -> int:
    found = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(found[0][1]) * _KIB if found else 0  # the kernel counts in KiB


def _name(worker: object) -> str:
    return str(getattr(worker, "name", _LEADER))


def _stage_of(task: Task) -> int | None:
    try:
        return TaskOrder.parse(task.order).task.stage
    except FormatError:
        return None


def _receipt(raw: bytes) -> TaskReceipt | None:
    """A task's receipt, if these bytes are one; sealed blocks begin like noise."""
    if not raw.startswith(b"{") or len(raw) > 2 * LIMITS.task_bytes:
        return None
    try:
        envelope = Envelope.parse(raw, PayloadType.TASK_RECEIPT, LIMITS.task_bytes)
        return TaskReceipt.parse(envelope.payload)
    except Mc2Error:
        return None
