"""Jobs whose tasks Spark schedules, over real enclaves; Spark itself is pretended.

Faults must cost time alone, or end the job by name; a lying Spark never changes an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from mc2.crypto.digest import Digest
from mc2.errors import DatasetError, JobError, Mc2Error
from mc2.formats.task import TaskOrder
from mc2.formats.worker_tasks import Ended, Task
from mc2.spark.backend import SparkBackend


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


def test_a_lost_block_ends_the_job_by_name(make_fleet) -> None:
    fleet = make_fleet(1)

    def lose(number: int) -> None:
        chunks = {name.removeprefix("sha256:") for name in chunk_names(attempt.job)}
        for path in fleet.blocks:
            if path.name not in chunks:
                path.unlink()

    fleet.jobs.on_run = lose
    attempt = fleet.attempt()
    with pytest.raises(DatasetError):
        attempt.run()
    assert fleet.blocks == []


class Hostile:
    """Spark that lies: every message of the backend may be replaced."""

    def __init__(self, honest: TaskBackend, lie: Lie) -> None:
        self.honest = honest
        self.lie = lie
        self.receipts: list[Ended] = []

    def read(self, name: Digest) -> bytes:
        return self.lie.read(name, self.honest.read(name))

    def keep(self, name: Digest, raw: bytes) -> None:
        self.honest.keep(name, raw)

    def assign(self, name: str, task: Task, workers: Mapping[str, Any]) -> None:
        self.honest.assign(name, self.lie.assign(task), workers)

    def ended(self, *, wait: bool) -> Ended:
        found = self.honest.ended(wait=wait)
        if found.receipt:
            found = self.lie.ended(found)
            self.receipts.append(found)
        return found

    @property
    def busy(self) -> tuple[str, ...]:
        return self.honest.busy

    def close(self) -> None:
        self.honest.close()


class Lie:
    """Nothing is replaced; a lie overrides one of these."""

    def read(self, name: Digest, raw: bytes) -> bytes:
        return raw

    def assign(self, task: Task) -> Task:
        return task

    def ended(self, found: Ended) -> Ended:
        return found


class Altered(Lie):
    def read(self, name: Digest, raw: bytes) -> bytes:
        return raw[:-1] + bytes([raw[-1] ^ 1])


class Swapped(Lie):
    def __init__(self) -> None:
        self.before: dict[Digest, bytes] = {}

    def read(self, name: Digest, raw: bytes) -> bytes:
        self.before[name] = raw
        return next((r for n, r in self.before.items() if n != name), raw)


class Replayed(Lie):
    """The first receipt of all is handed back for every task."""

    first: bytes = b""

    def ended(self, found: Ended) -> Ended:
        self.first = self.first or found.receipt
        return Ended(worker=found.worker, receipt=self.first)


class AnotherTask(Lie):
    """Another task of the stage runs than the one that was ordered."""

    def assign(self, task: Task) -> Task:
        order = TaskOrder.parse(task.order)
        moved = (order.task.partition + 1) % task.partitions
        wrong = order.task.__class__(
            context=order.task.context,
            epoch=order.task.epoch,
            stages=order.task.stages,
            stage=order.task.stage,
            partition=moved,
            attempt=order.task.attempt,
        )
        return Task(task.partitions, TaskOrder(wrong, order.inputs).encode())


class OtherCut(Lie):
    """The member is told another number of partitions."""

    def assign(self, task: Task) -> Task:
        return Task(task.partitions + 1, task.order)


class Invented(Lie):
    """A receipt that no member signed."""

    def ended(self, found: Ended) -> Ended:
        return Ended(worker=found.worker, receipt=found.receipt.replace(b"A", b"B", 1))


class Skipped(Lie):
    """A task is said to be done, without a receipt of its own."""

    def ended(self, found: Ended) -> Ended:
        return Ended(worker=found.worker, receipt=b"")


LIES: list[Callable[[], Lie]] = [
    Altered, Swapped, Replayed, AnotherTask, OtherCut, Invented, Skipped,
]  # fmt: skip


def test_no_lie_of_spark_gives_an_answer(make_fleet) -> None:
    fleet = make_fleet(1)
    for lie in LIES:
        attempt = fleet.attempt(wrap=lambda tasks, lie=lie: Hostile(tasks, lie()))
        with pytest.raises(Mc2Error) as caught:
            attempt.run()
        assert caught.type is not Mc2Error, lie
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
        tasks.assign("executor_1", Task(1, b""), {})
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
