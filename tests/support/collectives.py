"""Some enclaves of one epoch that train together, each with a process for trainings.

All enclaves are in this process; their trainings are not. The host between them may lie.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from mc2.crypto.digest import Digest
from mc2.enclave import collective
from mc2.enclave.cluster_member import Membership
from mc2.enclave.collective import LedCollectives, Process
from mc2.enclave.collective_member import MemberCollectives
from mc2.enclave.release import Lease
from mc2.enclave.task_runner import Finished, Host
from mc2.engine.collective.apart import Trainer
from mc2.errors import Mc2Error
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.worker_tasks import Ended, TrainStep
from tests.support.task_cluster import TaskCluster

LEASE_SECONDS = 600


def _still() -> float:
    """A clock that stands: tests share enclaves for as long as a slow machine takes."""
    return 0.0


class Trainers:
    """Processes for trainings, which several tests use one after the other."""

    def __init__(self) -> None:
        self._started: list[Trainer] = []

    def some(self, count: int) -> list[Trainer]:
        """So many that are free."""
        for broken in [t for t in self._started if not t.usable]:
            broken.close()
            self._started.remove(broken)
        while len(self._started) < count:
            self._started.append(Trainer.start())
        return self._started[:count]

    def close(self) -> None:
        """End them all."""
        for trainer in self._started:
            trainer.close()


class Together:
    """A cluster whose members share trainings; `lie` may change what the host carries."""

    def __init__(self, cluster: TaskCluster, trainers: list[Trainer]) -> None:
        self.cluster = cluster
        self.trainers = trainers
        self.steps: list[TrainStep] = []
        self.answers: list[bytes] = []
        self.lie: Callable[[str, TrainStep], TrainStep | Ended] = lambda _, step: step
        self.lie_back: Callable[[str, bytes], bytes] = lambda _, raw: raw
        self.workers: OtherWorkers = self
        self.process = Process(trainers[0])
        self._ended: list[Ended] = []
        self.members = {
            f"w{i}": MemberCollectives(
                self._membership(i), cluster.limits, trainers[i], self._runner_of(i)
            )
            for i in range(1, cluster.members)
        }

    def _membership(self, number: int) -> Membership:
        runner = self.cluster.runners[number]
        ciphers = {n: t.cipher for n, t in self.cluster.tables.items()}
        return Membership(runner.work.epoch, ciphers, Lease(LEASE_SECONDS, _still))

    def _runner_of(self, number: int) -> Callable[[int], Any]:
        return lambda _: self.cluster.runners[number]

    # the host

    def assign(self, worker: str, step: Any) -> None:
        self.steps.append(step)
        carried = self.lie(worker, step)
        if isinstance(carried, Ended):
            self._ended.append(carried)
            return
        try:
            raw = self.members[worker].answer(carried, self.cluster.host())
        except Mc2Error as error:
            self._ended.append(Ended(worker=worker, code=error.code, message=str(error)))
        else:
            self.answers.append(raw)
            self._ended.append(Ended(worker=worker, receipt=self.lie_back(worker, raw)))

    def ended(self, *, wait: bool) -> Ended:
        assert wait
        return self._ended.pop(0)

    # the job

    def led(self, host: Host, names: Collection[str]) -> LedCollectives:
        """The leader's side of all trainings, over the members of such names."""
        return LedCollectives(
            self._membership(0),
            self.cluster.limits,
            host,
            self.workers,
            list(names),
            self.process,
        )

    def run(self) -> tuple[Finished, list[Digest]]:
        """All tasks, then the last one; what names the receipts of trainings."""
        self.cluster.tasks()
        led = self.led(self.cluster.host(), self.members)
        try:
            receipts = list(self.cluster.receipts.values())
            return self.cluster.runners[0].finish(receipts, self.cluster.host(), led), led.receipts
        finally:
            for member in self.members.values():
                member.close()


@contextmanager
def worth_sharing(rows: int) -> Iterator[None]:
    """From so many rows on trainings are shared."""
    before = collective.WORTH_SHARING
    collective.WORTH_SHARING = rows  # type: ignore[misc]
    try:
        yield
    finally:
        collective.WORTH_SHARING = before  # type: ignore[misc]
