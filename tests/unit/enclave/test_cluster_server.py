"""A host has so long to bring a member's turn in a training: then the leader gives it up."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.collectives import Together, Trainers, worth_sharing
from tests.support.plans import Job
from tests.support.task_cluster import cluster_of
from tests.support.training import Training, source

from mc2.enclave.cluster_server import HostedWorkers
from mc2.engine.limits import EngineLimits
from mc2.errors import WorkerError
from mc2.formats.training_receipt import TrainingReceipt
from mc2.formats.worker import Stored
from mc2.formats.worker_tasks import Assign, AssignTraining, Await, Ended, Task, TrainStep

LIMIT = 60
STEP = TrainStep(0, 1, 2, b"message")


class Slow:
    """A host whose answers take as long as `takes` says; from then on there are none."""

    def __init__(self, *takes: tuple[str, float]) -> None:
        self.now = 0.0
        self.takes = list(takes)

    def clock(self) -> float:
        return self.now

    def ask(self, message: Any, seconds: float | None = None) -> Any:
        if not isinstance(message, Await):
            return Stored()
        worker, took = self.takes.pop(0) if self.takes else ("", float("inf"))
        if seconds is not None and took > seconds:
            self.now += seconds
            raise TimeoutError
        self.now += took
        return Ended(worker=worker, receipt=b"answer")

    def workers(self) -> HostedWorkers:
        channel: Any = self
        return HostedWorkers(channel, LIMIT, self.clock)


def test_an_answer_that_never_comes_is_waited_for_so_long() -> None:
    host = Slow()
    workers = host.workers()
    workers.assign("w1", STEP)
    with pytest.raises(WorkerError, match="w1 kept a training waiting for more than 60 seconds"):
        workers.ended(wait=True)
    assert host.now == LIMIT


def test_answers_of_others_do_not_hide_who_is_starved() -> None:
    host = Slow(("w1", 25), ("w1", 25), ("w1", 25))
    workers = host.workers()
    workers.assign("w2", STEP)
    for _ in range(2):
        workers.assign("w1", STEP)
        assert workers.ended(wait=True).worker == "w1"
    workers.assign("w1", STEP)
    with pytest.raises(WorkerError, match="w2 kept a training waiting"):
        workers.ended(wait=True)
    assert host.now == LIMIT


def test_what_the_leader_computes_meanwhile_does_not_count() -> None:
    host = Slow(("w1", LIMIT))
    workers = host.workers()
    workers.assign("w1", STEP)
    host.now += 100 * LIMIT
    assert workers.ended(wait=True).worker == "w1"


def test_tasks_take_as_long_as_they_take() -> None:
    host = Slow(("w1", 100 * LIMIT), ("w1", LIMIT))
    workers = host.workers()
    workers.assign("w1", Task(1, b"order"))
    assert workers.ended(wait=True).worker == "w1"
    workers.assign("w1", STEP)
    assert workers.ended(wait=True).worker == "w1"


# --- in mid-training


class Starving(Slow):
    """Three enclaves that train; from a step on, the host brings one of them nothing, or late."""

    def __init__(self, run: Together, at: int, late: float) -> None:
        super().__init__()
        self.run, self.at, self.late = run, at, late

    def ask(self, message: Any, seconds: float | None = None) -> Any:
        assert not isinstance(message, Assign)
        if isinstance(message, AssignTraining):
            self.run.assign(message.worker, message.step)
            return Stored()
        assert seconds is not None
        if len(self.run.steps) < self.at:
            return self.run.ended(wait=True)
        if self.late > seconds:
            self.now += seconds
            raise TimeoutError
        self.now += self.late
        return self.run.ended(wait=True)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("late", [LIMIT + 1, float("inf")])
def test_a_host_that_starves_a_member_gets_nothing_of_the_training(
    trainers: Trainers, late: float
) -> None:
    made = Training.__new__(Training)
    Job.__init__(made, t=source(1, 600))
    model = made.train({"max_depth": 2}, 2, made.matrix(made.scan("t")))
    limits = EngineLimits(memory_bytes=512 << 20, threads=1)
    cluster = cluster_of(made, {"m": model}, chunk=100, members=3, partitions=3, limits=limits)
    run = Together(cluster, trainers.some(3))
    host = Starving(run, 7, late)
    run.workers = host.workers()
    with worth_sharing(10), pytest.raises(WorkerError, match="kept a training waiting"):
        run.run()
    assert host.now == LIMIT
    assert run.process.ended == {}
    said = [*run.answers, *cluster.blobs.values()]
    assert not any(TrainingReceipt.PAYLOAD_TYPE.encode() in raw for raw in said)
