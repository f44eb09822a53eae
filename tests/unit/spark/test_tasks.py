"""Jobs whose tasks Spark schedules, over real enclaves; Spark itself is pretended.

Faults must cost time alone, or end the job by name; a lying Spark never changes an answer.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.spark_jobs import (
    MARKER,
    Attempt,
    ThreadJobs,
    answer,
    chunk_names,
    expected,
    make_settings,
)

from mc2.coordinator.backend import TaskBackend, TaskNeeds
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import SigningKey
from mc2.errors import DatasetError, JobError, Mc2Error
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.limits import LIMITS
from mc2.formats.task import TaskOrder
from mc2.formats.worker_tasks import Ended, Task, TrainStep
from mc2.spark.backend import SparkBackend
from mc2.storage import open_storage

Workers = Mapping[str, Any]
RECEIPT = PayloadType.TASK_RECEIPT.encode()


def right(attempt: Attempt) -> None:
    """The job gives what it must."""
    assert answer(attempt.job, attempt.run()) == expected(attempt.job)


def test_a_job_gives_the_right_answer_and_leaves_nothing_behind(make_fleet) -> None:
    fleet = make_fleet(2)
    attempt = fleet.attempt()
    seen: set[bytes] = set()
    fleet.jobs.on_run = lambda _: seen.update(p.read_bytes() for p in fleet.blocks)
    right(attempt)
    assert len(attempt.members) == 2
    assert [len(epoch) for epoch in attempt.receipt.epochs] == [3]
    assert attempt.receipt.tasks is not None
    assert fleet.jobs.runs
    assert all(name.startswith("mc2 5e5e5e5e/1: stage ") for name in fleet.jobs.runs)
    assert seen
    assert not any(MARKER.encode() in raw for raw in seen)
    assert not any(d.key in raw for raw in seen for d in attempt.job.datasets.values())
    assert fleet.blocks == []


def test_blocks_may_stand_in_a_bucket(make_fleet) -> None:
    """Any storage of fsspec's; this one is in the memory of the process that all keepers share."""
    place = f"memory://{secrets.token_hex(8)}"
    fleet = make_fleet(1, storage=place)
    storage, attempt = open_storage(place), fleet.attempt()
    seen: set[str] = set()
    fleet.jobs.on_run = lambda _: seen.update(storage.folders())
    right(attempt)
    assert len(seen) == 1
    assert storage.folders() == []
    assert fleet.blocks == []


def test_an_enclave_that_dies_at_a_task_costs_that_run_alone(make_fleet) -> None:
    fleet = make_fleet(2)
    attempt = fleet.attempt()
    fleet.jobs.on_run = lambda n: fleet.keepers[0].end() if n == 2 else None
    right(attempt)
    # The enclave is started again, and takes part in the next job.
    fleet.leader.close()
    again = fleet.attempt()
    right(again)
    assert len(again.members) == 2


@pytest.mark.slow
def test_without_any_enclave_left_the_leader_runs_all_tasks(make_fleet) -> None:
    fleet = make_fleet(1)
    fleet.jobs.on_run = lambda n: fleet.keepers[0].end() if n == 1 else None
    attempt = fleet.attempt()
    right(attempt)
    assert any("was lost" in text for text in attempt.said)


def test_an_enclave_that_the_policy_does_not_accept_gets_no_key(make_fleet) -> None:
    fleet = make_fleet(2, other=1)
    attempt = fleet.attempt()
    right(attempt)
    assert [len(epoch) for epoch in attempt.receipt.epochs] == [2]
    assert any("LEFT OUT" in text for text in attempt.receipt.warnings)


class Hostile:
    """Spark that lies: every message of the backend may be replaced."""

    def __init__(self, honest: TaskBackend, lie: Lie) -> None:
        self.honest = honest
        self.lie = lie

    def read(self, name: Digest) -> bytes:
        return self.lie.read(name, self.honest.read(name))

    def keep(self, name: Digest, raw: bytes) -> None:
        self.lie.kept(raw)
        self.honest.keep(name, raw)

    def assign(self, name: str, task: Task, workers: Workers) -> None:
        self.lie.hand_out(self.honest, name, task, workers)

    def ended(self, *, wait: bool) -> Ended:
        found = self.lie.collect(self.honest, wait=wait)
        return self.lie.ended(found) if found.receipt else found

    @property
    def busy(self) -> tuple[str, ...]:
        return self.honest.busy

    def close(self) -> None:
        self.honest.close()


class Lie:
    """Nothing is replaced; a lie overrides one of these. `chunks`: the sealed inputs."""

    def __init__(self, chunks: set[Digest]) -> None:
        self.chunks = chunks

    def is_block(self, name: Digest, raw: bytes) -> bool:
        return name not in self.chunks and RECEIPT not in raw

    def read(self, name: Digest, raw: bytes) -> bytes:
        return raw

    def kept(self, raw: bytes) -> None:
        pass

    def assign(self, task: Task) -> Task:
        return task

    def hand_out(self, honest: TaskBackend, name: str, task: Task, workers: Workers) -> None:
        honest.assign(name, self.assign(task), workers)

    def collect(self, honest: TaskBackend, *, wait: bool) -> Ended:
        return honest.ended(wait=wait)

    def ended(self, found: Ended) -> Ended:
        return found


class Altered(Lie):
    """One bit of everything that the leader reads is another one."""

    def read(self, name: Digest, raw: bytes) -> bytes:
        return raw[:-1] + bytes([raw[-1] ^ 1])


class AlteredBlocks(Altered):
    """Inputs and receipts are served as they are; blocks are not."""

    def read(self, name: Digest, raw: bytes) -> bytes:
        return super().read(name, raw) if self.is_block(name, raw) else raw


class AlteredReceipts(Altered):
    """Receipts of tasks alone are served with another bit."""

    def read(self, name: Digest, raw: bytes) -> bytes:
        return super().read(name, raw) if RECEIPT in raw else raw


class Swapped(Lie):
    """Something else is served that was asked for before."""

    def __init__(self, chunks: set[Digest]) -> None:
        super().__init__(chunks)
        self.before: dict[Digest, bytes] = {}

    def read(self, name: Digest, raw: bytes) -> bytes:
        self.before[name] = raw
        return next((r for n, r in self.before.items() if n != name), raw)


class SwappedBlocks(Swapped):
    """The same, of blocks alone."""

    def read(self, name: Digest, raw: bytes) -> bytes:
        return super().read(name, raw) if self.is_block(name, raw) else raw


class Replayed(Lie):
    """A receipt of the leader's own is handed back for every task."""

    first: bytes = b""

    def kept(self, raw: bytes) -> None:
        if RECEIPT in raw:
            self.first = self.first or raw

    def ended(self, found: Ended) -> Ended:
        return Ended(worker=found.worker, receipt=self.first)


class AnotherTask(Lie):
    """Another task of the stage runs than the one that was ordered."""

    def assign(self, task: Task) -> Task:
        order = TaskOrder.parse(task.order)
        moved = (order.task.partition + 1) % task.partitions
        wrong = replace(order.task, partition=moved)
        return replace(task, order=TaskOrder(wrong, order.inputs).encode())


class OtherCut(Lie):
    """The member is told another number of partitions."""

    def assign(self, task: Task) -> Task:
        return Task(task.partitions + 1, task.order)


def _envelope(receipt: bytes) -> Envelope:
    return Envelope.parse(receipt, PayloadType.TASK_RECEIPT, LIMITS.task_bytes)


def _stage(receipt: bytes) -> int:
    return int(json.loads(_envelope(receipt).payload)["task"]["stage"])


class Invented(Lie):
    """A receipt that says what it must, signed by nobody in the epoch."""

    def ended(self, found: Ended) -> Ended:
        honest = _envelope(found.receipt)
        forged = Envelope.sign(honest.payload_type, honest.payload, SigningKey.generate())
        return Ended(worker=found.worker, receipt=forged.encode())


class Resigned(Lie):
    """A receipt whose rows were counted anew, below the signature that it had."""

    def ended(self, found: Ended) -> Ended:
        honest = _envelope(found.receipt)
        other = re.sub(rb'"rows":(\d+)', rb'"rows":\g<1>0', honest.payload, count=1)
        assert other != honest.payload
        return Ended(worker=found.worker, receipt=replace(honest, payload=other).encode())


class Skipped(Lie):
    """A task is said to be done, without a receipt of its own."""

    def ended(self, found: Ended) -> Ended:
        return Ended(worker=found.worker, receipt=b"")


class TwoRuns(Lie):
    """Tasks run twice: the leader hears of one run, readers are sent the receipt of the other."""

    def __init__(self, chunks: set[Digest]) -> None:
        super().__init__(chunks)
        self.other: dict[Digest, Digest] = {}

    def hand_out(self, honest: TaskBackend, name: str, task: Task, workers: Workers) -> None:
        order = TaskOrder.parse(task.order)
        inputs = tuple(tuple(self.other.get(n, n) for n in names) for names in order.inputs)
        honest.assign(name, replace(task, order=TaskOrder(order.task, inputs).encode()), workers)
        if not order.task.stage:
            honest.assign(f"{name}_again", task, workers)

    def collect(self, honest: TaskBackend, *, wait: bool) -> Ended:
        found = honest.ended(wait=wait)
        if not found.receipt or _stage(found.receipt):
            return found
        again = honest.ended(wait=True)
        if again.worker < found.worker:
            found, again = again, found
        # The leader keeps the receipt that it hears of; readers must find the other one as well.
        honest.keep(digest(again.receipt), again.receipt)
        self.other[digest(found.receipt)] = digest(again.receipt)
        return found


class Lost(Lie):
    """The storage loses what a task handed on, once its receipt is there."""

    folder: Path

    def ended(self, found: Ended) -> Ended:
        names = re.findall(rb'"digest":"sha256:([0-9a-f]{64})"', _envelope(found.receipt).payload)
        for path in self.folder.rglob("*"):
            if path.name.encode() in names:
                path.unlink()
        return found


class LostOnce:
    """A storage that loses all blocks and receipts once, before a task is given out."""

    def __init__(self, honest: Any, inputs: set[str], fleet: Any) -> None:
        self.honest, self.inputs, self.fleet = honest, inputs, fleet
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def assign(self, *arguments: Any) -> None:
        found = [p for p in self.fleet.blocks if p.name not in self.inputs and not p.suffix]
        if found and not self.lost:
            self.lost = len(found)
            for path in found:
                path.unlink()
        self.honest.assign(*arguments)


def test_lost_blocks_are_written_anew(make_fleet) -> None:
    fleet = make_fleet(1)
    attempt = fleet.attempt()
    inputs = {name.removeprefix("sha256:") for name in chunk_names(attempt.job)}
    made: list[LostOnce] = []
    attempt.wrap = lambda tasks: made.append(LostOnce(tasks, inputs, fleet)) or made[0]
    assert answer(attempt.job, attempt.run()) == expected(attempt.job)
    assert made[0].lost > 0
    assert any("which is run again" in text for text in attempt.said)
    assert fleet.blocks == []


def test_a_storage_that_loses_all_that_a_member_writes_gives_the_right_answer_or_none(
    make_fleet,
) -> None:
    """Who comes to read what is lost first decides: tasks run again, or the job ends."""
    fleet = make_fleet(1)
    Lost.folder = fleet.folder / "blocks"
    attempt = fleet.attempt()
    chunks = chunk_names(attempt.job)
    attempt.wrap = lambda tasks: Hostile(tasks, Lost(chunks))
    answers = []
    with suppress(DatasetError):
        answers.append(answer(attempt.job, attempt.run()))
    assert answers in ([], [expected(attempt.job)])


class Dropped(Lie):
    """The host says that it has nothing under that name."""

    def read(self, name: Digest, raw: bytes) -> bytes:
        raise DatasetError(f"there is no blob {name}")


class SkippedStage(Lie):
    """The order of the first stage becomes one of the stage after it."""

    def assign(self, task: Task) -> Task:
        order = TaskOrder.parse(task.order)
        later = replace(order.task, stage=order.task.stage + 1)
        return replace(task, order=TaskOrder(later, order.inputs).encode())


class OtherInputs(Lie):
    """A task is to read a receipt of its own choosing instead of the one that was ordered."""

    def assign(self, task: Task) -> Task:
        order = TaskOrder.parse(task.order)
        inputs = tuple(tuple(reversed(names)) for names in order.inputs)
        return replace(task, order=TaskOrder(order.task, inputs).encode())


LIES: list[tuple[type[Lie], str, str]] = [
    (Altered, "dataset", "chunk .* is not the one that its manifest names"),
    (AlteredBlocks, "dataset", "a block is not the one that its task's receipt names"),
    (AlteredReceipts, "job", "a receipt is not the one that was named"),
    (Swapped, "dataset", "chunk .* is not the one that its manifest names"),
    (SwappedBlocks, "dataset", "a block is not the one that its task's receipt names"),
    (Dropped, "dataset", "there is no blob"),
    (Replayed, "job", "the receipt of another task came back"),
    (AnotherTask, "job", "the receipt of another task came back"),
    (SkippedStage, "job", "does not read exactly the tasks that it must"),
    (OtherInputs, "job", "a receipt stands in the place of another task's"),
    (OtherCut, "job", "the order is for another job, epoch or cut of the plan"),
    (Invented, "signature", "member 1 has not signed this"),
    (Resigned, "signature", "the signature in the name of member 1 is false"),
    (Skipped, "format", "task-receipt.* is not canonical JSON"),
    (TwoRuns, "job", "read another attempt than the others"),
]


def test_no_lie_of_spark_gives_an_answer(make_fleet) -> None:
    """Each is refused by a name of its own; the honest job after them gives the answer.

    A lie is told for certain: a member gets the first task of each stage, and the leader runs one
    of the first stage's itself.
    """
    fleet = make_fleet(1)
    for lie, code, words in LIES:
        attempt = fleet.attempt()
        chunks = chunk_names(attempt.job)
        attempt.wrap = lambda tasks, lie=lie, chunks=chunks: Hostile(tasks, lie(chunks))
        with pytest.raises(Mc2Error, match=words) as caught:
            attempt.run()
        assert caught.value.code == code, lie
        fleet.leader.close()
        assert fleet.blocks == []
    right(fleet.attempt())


@pytest.mark.slow
def test_a_task_that_runs_twice_changes_nothing(make_fleet) -> None:
    fleet = make_fleet(2)
    attempt = fleet.attempt()
    honest = fleet.jobs._run

    def twice(function: Any, item: Any, name: str) -> Any:
        honest(function, item, name)
        return honest(function, item, name)

    fleet.jobs._run = twice
    right(attempt)


def test_a_backend_without_members_says_so(tmp_path) -> None:
    needs = TaskNeeds(
        bundle=b"", read_chunk=lambda _: b"", chunk_file=lambda _: tmp_path, timeout_seconds=1.0
    )
    with SparkBackend(ThreadJobs([]), make_settings(tmp_path, tmp_path)) as backend:
        tasks = backend.tasks(needs)
        for asked in (Task(1, b""), TrainStep(0, 0, 1, b"")):
            tasks.assign("executor_1", asked, {})
            assert tasks.ended(wait=True).code == "worker"
        with pytest.raises(JobError, match="nobody was given"):
            tasks.ended(wait=True)
        with pytest.raises(JobError, match="another digest"):
            tasks.keep(Digest("sha256:" + "0" * 64), b"a block")
        tasks.close()


def test_what_a_dead_driver_left_is_removed(tmp_path) -> None:
    left, other = tmp_path / "blocks" / "attempt-1", tmp_path / "blocks" / "mine"
    for folder in (left, other):
        folder.mkdir(parents=True)
        (folder / "a").write_bytes(b"a block")
    with SparkBackend(ThreadJobs([]), make_settings(tmp_path, tmp_path)):
        assert not left.exists()
        assert other.exists()
