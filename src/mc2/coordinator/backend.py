"""Backends carry the tasks of one attempt to its workers, and their blocks between.

`TaskBackend` is what a job asks of any; `LocalBackend` uses threads of this process. Blocks are
ciphertext that only the attempt's enclaves open; they stand in a folder of their own and go with
the attempt. Nothing here can make a task count that its worker did not sign.
Spec: docs/spec/task.md, section "Who runs what".
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol

from mc2.crypto.digest import Digest, digest, parse_digest
from mc2.errors import DatasetError, JobError, Mc2Error, WorkerError
from mc2.formats.worker_tasks import Ended, Task, TrainStep

_log = logging.getLogger(__name__)

_NO_END: Final = Ended()
_PREFIX: Final = "mc2-blocks-"


class TaskWorker(Protocol):
    """A member, as `mc2.coordinator.workers` has it."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNeeds:
    """What the tasks of one attempt need: the job's bundle, and the chunks of its inputs.

    `chunk_file` is where a chunk stands on this host. A leader waits for a task no longer than
    `timeout_seconds`.
    """

    bundle: bytes
    read_chunk: Callable[[Digest], bytes]
    chunk_file: Callable[[Digest], Path]
    timeout_seconds: float


class TaskBackend(Protocol):
    """Carries the tasks of one attempt. One thread assigns and waits."""

    def read(self, name: Digest) -> bytes:
        """A block, a receipt, or a chunk of an input."""
        ...

    def keep(self, name: Digest, raw: bytes) -> None:
        """Keep a block or a receipt. Raises: JobError if it has another digest."""
        ...

    def assign(self, name: str, task: Task | TrainStep, workers: Mapping[str, Any]) -> None:
        """Have the epoch's workers run a task, in the background, under the name of one.

        A step of a training is for that worker alone, which has its rows.
        """
        ...

    def ended(self, *, wait: bool) -> Ended:
        """Which task has ended; an empty name if none has. Raises: JobError."""
        ...

    @property
    def busy(self) -> tuple[str, ...]:
        """The workers that are at a task, and must be ended before `close`."""
        ...

    def close(self) -> None:
        """Wait until no worker is at a task, and remove all blocks."""
        ...


@dataclass(frozen=True, slots=True)
class BlockRoom:
    """Where the blocks of attempts stand, and how many bytes each attempt may keep.

    Without a folder they stand among the machine's temporary files.
    """

    folder: Path | None = None
    most_bytes: int = 1 << 40

    def prepare(self) -> None:
        """Make the folder, and remove what a coordinator left there that did not end well.

        Only the one coordinator that the folder belongs to may call it, before its attempts.
        """
        if self.folder is not None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self.folder.glob(f"{_PREFIX}*"):
                shutil.rmtree(left, ignore_errors=True)


class Blocks:
    """The blocks and receipts of one attempt, by digest, until `clear`. Thread-safe."""

    def __init__(self, room: BlockRoom) -> None:
        self._room = room
        self._folder: Path | None = None
        self._lock = threading.Lock()
        self.kept_bytes = 0

    def keep(self, name: Digest, raw: bytes) -> None:
        """Keep some bytes under their digest.

        Raises: JobError if it is not theirs, or there is no room for so many.
        """
        if digest(raw) != name:
            raise JobError("an enclave named a block by another digest than it has")
        path = self._path(name)
        if path.exists():
            return
        with self._lock:
            if self.kept_bytes + len(raw) > self._room.most_bytes:
                raise JobError(
                    f"the tasks of the job hand on more than {self._room.most_bytes} bytes",
                    hint="join and group less at once, or let the operator raise the quota",
                )
            self.kept_bytes += len(raw)
        part = path.with_suffix(f".{threading.get_ident()}")
        part.write_bytes(raw)
        part.replace(path)

    def find(self, name: Digest) -> bytes | None:
        """What is kept under a digest, if anything is."""
        if self._folder is None:
            return None
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def clear(self) -> None:
        """Remove all of it."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _path(self, name: Digest) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._room.folder))
            return self._folder / parse_digest(name).removeprefix("sha256:")


class LocalBackend:
    """The tasks of one attempt. `read_chunk` gives the chunks of inputs.

    One thread, which serves the leader, assigns and waits; each task has a thread of its own.
    """

    def __init__(
        self,
        read_chunk: Callable[[Digest], bytes],
        *,
        room: BlockRoom | None = None,
        timeout_seconds: float,
    ) -> None:
        self._read_chunk = read_chunk
        self._timeout = timeout_seconds
        self._blocks = Blocks(room or BlockRoom())
        self._ended: SimpleQueue[Ended] = SimpleQueue()
        self._under_way: dict[str, threading.Thread] = {}

    def read(self, name: Digest) -> bytes:
        """A block, a receipt, or a chunk of an input. Raises: what `read_chunk` raises."""
        found = self._blocks.find(name)
        return self._read_chunk(name) if found is None else found

    def keep(self, name: Digest, raw: bytes) -> None:
        """Keep a block or a receipt. Raises: JobError."""
        self._blocks.keep(name, raw)

    def assign(self, name: str, task: Task | TrainStep, workers: Mapping[str, TaskWorker]) -> None:
        """Have a worker run a task, or take a step, in the background. Raises: JobError."""
        if name in self._under_way:
            raise JobError(f"{name} has a task already")
        worker = workers.get(name)
        if worker is None:
            self._ended.put(_lost(name, "it is not there"))
            return
        thread = threading.Thread(
            target=self._run, args=(name, worker, task), name=f"task at {name}", daemon=True
        )
        self._under_way[name] = thread
        thread.start()

    def ended(self, *, wait: bool) -> Ended:
        """Which task has ended; an empty name if none has.

        Raises: JobError if it would wait for nothing.
        """
        if wait and not self._under_way and self._ended.empty():
            raise JobError("the leader waits for a task that nobody was given")
        try:
            found = self._ended.get(block=wait, timeout=self._timeout if wait else None)
        except Empty:
            return _NO_END
        thread = self._under_way.pop(found.worker, None)
        if thread is not None:
            thread.join()
        return found

    def close(self) -> None:
        """Wait until no worker is at a task, and remove all blocks; first end the workers."""
        for thread in self._under_way.values():
            thread.join()
        self._under_way.clear()
        while not self._ended.empty():
            self._ended.get()
        self._blocks.clear()

    @property
    def busy(self) -> tuple[str, ...]:
        """The workers that are at a task."""
        return tuple(n for n, thread in self._under_way.items() if thread.is_alive())

    def _run(self, name: str, worker: TaskWorker, task: Task | TrainStep) -> None:
        try:
            receipt = self._ask(worker, task)
        except WorkerError as error:
            _log.warning("%s was lost at a task: %s", name, error)
            self._ended.put(_lost(name, str(error)))
        except Mc2Error as error:
            self._ended.put(
                Ended(worker=name, code=error.code, message=str(error), hint=error.hint)
            )
        except Exception:  # noqa: BLE001  the leader must hear of it, or it waits for ever
            _log.exception("a task at %s failed unexpectedly", name)
            code = DatasetError.code
            self._ended.put(Ended(worker=name, code=code, message="the host cannot serve a task"))
        else:
            self._ended.put(Ended(worker=name, receipt=receipt))

    def _ask(self, worker: TaskWorker, task: Task | TrainStep) -> bytes:
        if isinstance(task, TrainStep):
            return worker.train(task, self.read, timeout_seconds=self._timeout)
        return worker.task(task, self.read, self.keep, timeout_seconds=self._timeout)


def _lost(name: str, why: str) -> Ended:
    return Ended(worker=name, code=WorkerError.code, message=f"{name} was lost: {why}")
