"""The leader has every task run once that counts, whoever is lost and whatever the host says."""

from __future__ import annotations

from collections import deque

import pytest
from tests.unit.enclave.test_task_runner import cluster

from mc2.enclave.task_leader import TaskLeader
from mc2.errors import EngineError, JobError
from mc2.formats.worker_tasks import Ended


class Hands:
    """The members of a cluster, each doing its task at once; `fate` may decide otherwise."""

    def __init__(self, run, fate=lambda _number, ended: ended):
        self.run, self.fate = run, fate
        self.given: list[str] = []
        self.queue: deque[Ended] = deque()

    def assign(self, worker, task):
        self.given.append(worker)
        number = int(worker.removeprefix("member_"))
        receipt = self.run.runners[number].run(task.order, self.run.host())
        self.queue.append(self.fate(len(self.given), Ended(worker=worker, receipt=receipt)))

    def ended(self, *, wait):
        return self.queue.popleft() if self.queue else Ended()


def lead(run, fate=lambda _number, ended: ended):
    hands = Hands(run, fate)
    names = [f"member_{i}" for i in range(1, run.members)]
    return TaskLeader(run.runners[0], run.host(), hands, names).run(), hands


def answer(finished):
    return finished.outputs["top"].table


def test_members_and_leader_share_the_tasks():
    run = cluster(members=3)
    finished, hands = lead(run)
    assert answer(finished).equals(answer(cluster().run()))
    assert {"member_1", "member_2"} == set(hands.given)
    assert len(hands.given) < len(run.stages.tasks())


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_a_lost_member_costs_its_task_alone(lost):
    def fate(number, ended):
        return (
            Ended(worker=ended.worker, code="worker", message="gone") if number == lost else ended
        )

    run = cluster(members=3)
    finished, hands = lead(run, fate)
    assert answer(finished).equals(answer(cluster().run()))
    gone = hands.given[lost - 1]
    assert gone not in hands.given[lost:]


def test_with_nobody_left_the_leader_goes_on_alone():
    run = cluster(members=3)
    finished, hands = lead(run, lambda _, e: Ended(worker=e.worker, code="worker"))
    assert answer(finished).equals(answer(cluster().run()))
    assert hands.given == ["member_1", "member_2"]


def test_a_refusal_ends_the_job_by_its_name():
    with pytest.raises(EngineError, match="too large"):
        lead(cluster(), lambda _, e: Ended(worker=e.worker, code="engine", message="too large"))


def test_a_receipt_of_another_task_is_refused():
    first: list[bytes] = []

    def fate(number, ended):
        first.append(ended.receipt)
        return Ended(worker=ended.worker, receipt=first[0]) if number == 2 else ended

    with pytest.raises(JobError, match="another task"):
        lead(cluster(), fate)


def test_an_end_of_nothing_is_refused():
    with pytest.raises(JobError, match="nobody was given"):
        lead(cluster(), lambda _, e: Ended(worker="stranger", receipt=e.receipt))
