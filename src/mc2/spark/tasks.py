"""The tasks of one attempt as Spark jobs: each is one Spark task, which Spark may run again.

Running one twice is harmless: an order names its task and the receipts that it reads, every run
salts its keys, and the leader takes one receipt. Which attempt Spark hands back is therefore its
own choice. What the enclave refuses is told at once and not tried again.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

from mc2.coordinator.backend import TaskNeeds
from mc2.crypto.digest import Digest, digest
from mc2.errors import DatasetError, JobError, Mc2Error, WorkerError
from mc2.formats.bundle import JobBundle
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest
from mc2.formats.task import TaskOrder
from mc2.formats.worker_tasks import Ended, Task, TrainStep
from mc2.spark.fleet import Member
from mc2.spark.jobs import SparkJobs
from mc2.spark.on_executor import Errand, run_task
from mc2.spark.settings import KeeperSettings
from mc2.spark.wire import STRANGER, AskStep, AskTask, TaskAnswer
from mc2.storage import BlobStorage

_log = logging.getLogger(__name__)

ATTEMPT: Final = "attempt-"
"""How the names of attempts' folders begin."""

_NO_END: Final = Ended()


class SparkTasks:
    """Carries the tasks of one attempt; what `mc2.coordinator.cluster` asks of a backend.

    One thread, which serves the leader, assigns and waits. `task_seconds`: how long one run of a
    task may take before its enclave is taken for dead.
    """

    def __init__(
        self,
        jobs: SparkJobs,
        storage: BlobStorage,
        settings: KeeperSettings,
        needs: TaskNeeds,
        *,
        task_seconds: int,
    ) -> None:
        self._jobs = jobs
        self._storage = storage
        self._settings = settings
        self._needs = needs
        self._task_seconds = task_seconds
        self.folder = f"{ATTEMPT}{secrets.token_hex(16)}"
        """Where its blocks stand in the storage; the group of its jobs in Spark as well."""
        self._ended: SimpleQueue[Ended] = SimpleQueue()
        self._under_way: dict[str, threading.Thread] = {}
        self._at_steps: set[str] = set()
        self._published = False

    def read(self, name: Digest) -> bytes:
        """A block, a receipt, or a chunk of an input. Raises: what the coordinator's store does."""
        found = self._storage.find(self.folder, name)
        return self._needs.read_chunk(name) if found is None else found

    def keep(self, name: Digest, raw: bytes) -> None:
        """Keep a block or a receipt of the leader's. Raises: JobError, OSError."""
        if digest(raw) != name:
            raise JobError("an enclave named a block by another digest than it has")
        self._storage.put(self.folder, name, raw)

    def assign(self, name: str, task: Task | TrainStep, workers: Mapping[str, Any]) -> None:
        """Have some enclave of the epoch run a task: whose name it is, matters to nobody.

        Steps of trainings go to the enclave of that name alone, past Spark: it has the rows.

        Raises: JobError; OSError if the inputs cannot be laid out.
        """
        if name in self._under_way:
            raise JobError(f"{name} has a task already")
        if isinstance(task, TrainStep):
            self._assign_step(name, task, workers.get(name))
            return
        members = [m for m in workers.values() if isinstance(m, Member) and m.epoch is not None]
        epochs = {m.epoch for m in members if m.epoch is not None}
        if len(epochs) != 1:
            self._ended.put(_lost(name, "no enclave has joined"))
            return
        self._publish()
        ask = AskTask(
            token=self._settings.token,
            epoch=epochs.pop(),
            folder=self.folder,
            seconds=self._task_seconds,
            partitions=task.partitions,
            order=task.order,
        )
        errand = Errand(
            settings=self._settings, ask=ask, members=tuple(sorted(m.address for m in members))
        )
        self._under_way[name] = self._jobs.run_in_thread(
            f"task at {name}", lambda: self._run(name, errand)
        )

    def ended(self, *, wait: bool) -> Ended:
        """Which task has ended; an empty name if none has. Raises: JobError."""
        if wait and not self._under_way and self._ended.empty():
            raise JobError("the leader waits for a task that nobody was given")
        try:
            found = self._ended.get(
                block=wait, timeout=self._needs.timeout_seconds if wait else None
            )
        except Empty:
            return _NO_END
        thread = self._under_way.pop(found.worker, None)
        if thread is not None:
            thread.join()
        self._at_steps.discard(found.worker)
        return found

    @property
    def busy(self) -> tuple[str, ...]:
        """The enclaves that are at a step of a training.

        Of tasks, names do not tell which enclave is at one; keepers end those that still are.
        """
        return tuple(n for n in self._at_steps if n in self._under_way)

    def close(self) -> None:
        """Cancel what still runs, and remove all blocks."""
        if self._under_way:
            self._jobs.cancel(self.folder)
        for thread in self._under_way.values():
            thread.join()
        self._under_way.clear()
        self._at_steps.clear()
        while not self._ended.empty():
            self._ended.get()
        self._storage.clear(self.folder)
        self._published = False

    # --- a step of a training

    def _assign_step(self, name: str, step: TrainStep, member: Any) -> None:
        if not isinstance(member, Member) or member.epoch is None:
            self._ended.put(_lost(name, "it has not joined"))
            return
        self._publish()
        asked = AskStep(folder=self.folder, seconds=self._task_seconds, step=step)
        thread = threading.Thread(
            target=self._train, args=(name, member, asked), name=f"step at {name}", daemon=True
        )
        self._under_way[name] = thread
        self._at_steps.add(name)
        thread.start()

    def _train(self, name: str, member: Member, asked: AskStep) -> None:
        try:
            answer = member.take_step(asked)
        except WorkerError as error:
            self._ended.put(_lost(name, str(error)))
        except Exception:  # noqa: BLE001  the leader must hear of it, or it waits for ever
            _log.exception("a step at %s failed unexpectedly", name)
            self._ended.put(_failed(name))
        else:
            self._ended.put(_ended(name, answer))

    # --- one task

    def _run(self, name: str, errand: Errand) -> None:
        title = _title(errand.ask.order)
        try:
            (answer,) = self._jobs.run(run_task, [errand], group=self.folder, name=title)
        except WorkerError as error:
            self._ended.put(_lost(name, str(error)))
        except Exception:  # noqa: BLE001  the leader must hear of it, or it waits for ever
            _log.exception("%s failed unexpectedly", title)
            self._ended.put(_failed(name))
        else:
            self._ended.put(_ended(name, answer))

    def _publish(self) -> None:
        """Lay out the sealed inputs where all hosts read, once."""
        if self._published:
            return
        for name in _chunks(self._needs.bundle):
            source = self._needs.chunk_file(name)
            self._storage.link(self.folder, name, source, partial(self._needs.read_chunk, name))
        self._published = True


def _chunks(bundle: bytes) -> Iterator[Digest]:
    """The chunks that a job's manifests list. Raises: FormatError."""
    for raw in JobBundle.parse(bundle).manifests.values():
        envelope = Envelope.parse(raw, PayloadType.MANIFEST, LIMITS.manifest_bytes)
        for chunk in Manifest.parse(envelope.payload).chunks:
            yield chunk.digest


def _title(order: bytes) -> str:
    """What Spark's pages and its event log say of a task: no more than the host knows anyway."""
    try:
        task = TaskOrder.parse(order).task
    except Mc2Error:
        return "mc2: a task"
    job = f"{task.context.job_id[:8]}/{task.context.attempt}"
    shared = f", piece {task.piece} of {task.pieces}" if task.pieces else ""
    return f"mc2 {job}: stage {task.stage}, task {task.partition}{shared}, attempt {task.attempt}"


def _ended(name: str, answer: TaskAnswer) -> Ended:
    if answer.code == STRANGER:
        return _lost(name, "it is not in this epoch any more")
    return Ended(
        worker=name,
        receipt=answer.receipt,
        code=answer.code,
        message=answer.message,
        hint=answer.hint,
    )


def _failed(name: str) -> Ended:
    code = DatasetError.code
    return Ended(worker=name, code=code, message="the host cannot serve a task")


def _lost(name: str, why: str) -> Ended:
    return Ended(worker=name, code=WorkerError.code, message=f"{name} was lost: {why}")
