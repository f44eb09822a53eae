"""The leader has every task run once that counts, whoever is lost and whatever the host says."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import pytest
from tests.support.task_cluster import opened
from tests.unit.enclave.test_task_pieces import answer as pieces_answer
from tests.unit.enclave.test_task_pieces import cluster as skewed_cluster
from tests.unit.enclave.test_task_runner import cluster

from mc2.enclave.task_leader import TaskLeader
from mc2.enclave.task_runner import Host
from mc2.errors import DatasetError, EngineError, JobError, Mc2Error
from mc2.formats.task import TaskOrder
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
        try:
            receipt = self.run.runners[number].run(task.order, self.run.host())
            done = Ended(worker=worker, receipt=receipt)
        except Mc2Error as error:
            done = Ended(worker=worker, code=error.code, message=str(error))
        self.queue.append(self.fate(len(self.given), done))

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


# Blocks that the host loses.


def blocks_of(run, stage):
    """The digests of all blocks that tasks of a stage wrote, so far as is known."""
    found = set()
    for raw in list(run.blobs.values()):
        with suppress(Mc2Error):
            receipt = opened(raw)
            if receipt.task.stage == stage:
                found |= {b.digest for parts in receipt.written for part in parts for b in part}
    return found


class Forgetful:
    """A host that loses the blocks of a stage, once, when so many tasks were given out."""

    def __init__(self, run, when, lose):
        self.run, self.when, self.lose = run, when, lose

    def __call__(self, number, ended):
        if number == self.when:
            for name in self.lose(self.run):
                self.run.blobs.pop(name)
        return ended


@pytest.mark.parametrize("when", [2, 6])
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_lost_block_is_written_anew(stage, when):
    run = cluster(members=3)
    lose = Forgetful(run, when, lambda r: blocks_of(r, stage))
    finished, _ = lead(run, lose)
    assert answer(finished).equals(answer(cluster().run()))


@pytest.mark.parametrize("when", [3, 7])
@pytest.mark.parametrize("stage", [0, 2])
def test_a_lost_block_of_a_stage_with_pieces_is_written_anew(stage, when):
    run = skewed_cluster()
    finished, _ = lead(run, Forgetful(run, when, lambda r: blocks_of(r, stage)))
    assert pieces_answer(finished) == pieces_answer(skewed_cluster().run())


class NewestFirst(Hands):
    """Members of which the newest answer comes first; of two that read a lost block the second
    says so when the block is there again."""

    lost = False

    def assign(self, worker, task):
        stage = TaskOrder.parse(task.order).task.stage
        if stage == 2 and not self.lost:
            self.lost = True
            for name in blocks_of(self.run, 0):
                self.run.blobs.pop(name)
        super().assign(worker, task)

    def ended(self, *, wait):
        return self.queue.pop() if wait and self.queue else Ended()


def test_two_readers_of_lost_blocks_have_them_written_anew_once():
    run = cluster(members=3)
    hands = NewestFirst(run)
    finished = TaskLeader(run.runners[0], run.host(), hands, ["member_1", "member_2"]).run()
    assert hands.lost
    assert answer(finished).equals(answer(cluster().run()))


@pytest.mark.parametrize("kind", ["receipts", "all"])
def test_lost_receipts_are_given_to_the_host_again(kind):
    def lose(run):
        found = set(run.blobs) - {n for t in run.tables.values() for n in t.chunks}
        return found - (blocks_of(run, 0) | blocks_of(run, 1) if kind == "receipts" else set())

    run = cluster(members=3)
    finished, _ = lead(run, Forgetful(run, 4, lose))
    assert answer(finished).equals(answer(cluster().run()))


def test_a_lost_block_of_the_last_stages_is_written_anew_for_the_leader():
    """The last task finds out, which is the leader's own."""
    run = cluster(members=3)
    said: list[str] = []
    gone: list[str] = []
    honest = run.host()

    def write(name, raw):
        honest.write(name, raw)
        with suppress(Mc2Error):
            receipt = opened(raw)
            if receipt.task.stage == run.stages.last - 1 and not gone:
                gone.extend(b.digest for parts in receipt.written for part in parts for b in part)

    def progress(text):
        said.append(text)
        if f"stage {len(run.stages.stages)} of" in text:
            for name in gone:
                run.blobs.pop(name, None)

    host = Host(honest.read, write, progress)
    hands = Hands(run)
    finished = TaskLeader(run.runners[0], host, hands, ["member_1", "member_2"]).run()
    assert gone
    assert answer(finished).equals(answer(cluster().run()))


def test_an_input_that_is_lost_ends_the_job():
    run = cluster(members=3)
    del run.blobs[run.tables["a.t"].manifest.chunks[0].digest]
    with pytest.raises(DatasetError, match="the host did not give"):
        lead(run)


def test_a_host_that_always_loses_blocks_ends_the_job():
    run = cluster(members=3)
    lost: set[str] = set()
    honest = run.host()

    def read(name):
        if name in blocks_of(run, 0):
            lost.add(name)
            raise KeyError
        return honest.read(name)

    with pytest.raises(DatasetError, match="the host did not give"):
        TaskLeader(run.runners[0], Host(read, honest.write, honest.progress), Hands(run), []).run()
    assert len(lost) > 1
