"""The last task runs again after a shared training has ended: for a block that the host lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import pytest
from tests.support.collectives import Together, Trainers, worth_sharing
from tests.support.plans import Job
from tests.support.task_cluster import cluster_of
from tests.support.training import Training, source
from tests.unit.enclave.test_task_leader import blocks_of

from mc2.crypto.digest import Digest
from mc2.enclave.collective import LedCollectives
from mc2.enclave.task_leader import TaskLeader
from mc2.enclave.task_runner import Finished, Host
from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import ModelOutput, TableOutput
from mc2.errors import JobError
from mc2.formats.worker_tasks import Ended, Task
from mc2.plan.models import Predict

LIMITS = EngineLimits(memory_bytes=512 * 1024 * 1024, threads=1)

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with worth_sharing(10):
        yield


class Led(Together):
    """A job from its first task to its outputs; members do what they are given at once."""

    def assign(self, worker: str, step: Any) -> None:
        if isinstance(step, Task):
            runner = self.cluster.runners[int(worker.removeprefix("w"))]
            receipt = runner.run(step.order, self.cluster.host())
            self._ended.append(Ended(worker=worker, receipt=receipt))
        else:
            super().assign(worker, step)

    def ended(self, *, wait: bool) -> Ended:
        return self._ended.pop(0) if self._ended else Ended()

    def lead(self, *lost: int) -> tuple[Finished, LedCollectives, list[str]]:
        """Run the job; the host loses the blocks of some stages once a training has ended."""
        honest, said, gone = self.cluster.host(), list[str](), set[str]()

        def write(name: Digest, raw: bytes) -> None:
            if self.steps and not gone:
                gone.update(*(blocks_of(self.cluster, stage) for stage in lost))
                for block in gone:
                    del self.cluster.blobs[block]
            honest.write(name, raw)

        host, led = Host(honest.read, write, said.append), list[LedCollectives]()

        def sharing(names: Collection[str]) -> LedCollectives:
            led.append(self.led(host, names))
            return led[-1]

        leader = TaskLeader(self.cluster.runners[0], host, self, list(self.members), sharing)
        try:
            return leader.run(), led[-1], said
        finally:
            for member in self.members.values():
                member.close()


TRAINED, ASKED = 0, 1
"""The stages whose tasks hand on the rows to train on, and those to predict."""


def job(trainers: Trainers) -> Led:
    """A model of the rows of `t`, and what it says of those of `u`."""
    made = Training.__new__(Training)
    Job.__init__(made, t=source(1, 600), u=source(2, 150))
    t, u = made.scan("t"), made.scan("u")
    model = made.train({"max_depth": 2}, 2, made.matrix(t))
    said = made.add(Predict(model, made.matrix(u, label=None), keep=("id",)))
    outputs = {"model": model, "said": said}
    cluster = cluster_of(made, outputs, chunk=100, members=3, partitions=3, limits=LIMITS)
    return Led(cluster, trainers.some(3))


def begun(run: Led) -> int:
    """How many members were told to begin a training, however often."""
    return sum(int.from_bytes(s.message[:4], "big") < 64 for s in run.steps)


def test_the_attempt_goes_on_with_the_model_that_was_trained(trainers: Trainers) -> None:
    run = job(trainers)
    found, led, said = run.lead(ASKED)
    assert any("is run again" in text for text in said)
    assert begun(run) == 2
    whole, first, _ = (again := job(trainers)).lead()
    assert begun(again) == 2
    assert len(led.receipts) == len(first.receipts) == 3
    model, expected = found.outputs["model"], whole.outputs["model"]
    assert isinstance(model, ModelOutput)
    assert isinstance(expected, ModelOutput)
    assert model.raw == expected.raw
    said_of = [f.outputs["said"] for f in (found, whole)]
    assert [a.table.num_rows for a in said_of if isinstance(a, TableOutput)] == [150, 150]
    assert said_of[0] == said_of[1]


def test_rows_of_an_ended_training_are_not_lost_unnoticed(trainers: Trainers) -> None:
    run = job(trainers)
    with pytest.raises(JobError, match="lost rows of a training that had ended") as caught:
        run.lead(TRAINED, ASKED)
    assert "run the job again" in caught.value.hint
    assert begun(run) == 2
