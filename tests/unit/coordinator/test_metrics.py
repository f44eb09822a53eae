"""A host counts what passes through it, and takes no number of an enclave for more than words."""

import os
import secrets
from types import SimpleNamespace

import pytest

from mc2.coordinator.metrics import CountedBackend, Counter, peak_bytes
from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.errors import WorkerError
from mc2.formats.block import BlockRef, TaskName
from mc2.formats.job_metrics import JobMetrics
from mc2.formats.release import JobContext
from mc2.formats.task import TaskOrder, TaskReceipt
from mc2.formats.worker_progress import RoundTrained, StageBegun, StageHead, StagesCut
from mc2.formats.worker_tasks import Ended, Task


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Backend:
    """Runs a task at once, in this thread, as a local backend does it in another one."""

    def __init__(self, runs=None):
        self.kept = {}
        self.runs = runs
        self.found = []

    def read(self, name):
        return self.kept[name]

    def keep(self, name, raw):
        self.kept[name] = raw

    def assign(self, name, task, workers):
        if self.runs is None:
            self.found.append(Ended(worker=name, receipt=b"x"))
            return
        try:
            receipt = workers[name].task(task, self.read, self.keep, timeout_seconds=1)
        except WorkerError as error:
            self.found.append(Ended(worker=name, code=error.code))
        else:
            self.found.append(Ended(worker=name, receipt=receipt))

    def ended(self, *, wait):
        return self.found.pop(0)

    @property
    def busy(self):
        return ("a",)

    def close(self):
        self.kept.clear()


class Member:
    """A worker that reads some blocks and writes one."""

    process_id = None

    def __init__(self, reads, writes, lost=False):
        self.reads, self.writes, self.lost = reads, writes, lost

    def task(self, task, read, keep, *, timeout_seconds):
        for name in self.reads:
            read(name)
        if self.lost:
            raise WorkerError("gone")
        for raw in self.writes:
            keep(digest(raw), raw)
        return b"receipt"


TWO = StagesCut((StageHead(("filter", "aggregate"), 2), StageHead(("sort",), 1)))


ZERO = digest(b"")
CONTEXT = JobContext(contract=ZERO, policy=ZERO, plan=ZERO, job_id="0" * 32, attempt=1)


def task_name(stage, partition, attempt=1, **more):
    return TaskName(
        context=CONTEXT,
        epoch=1,
        stages=ZERO,
        stage=stage,
        partition=partition,
        attempt=attempt,
        **more,
    )


def signed_receipt(task, blocks):
    return TaskReceipt(
        task=task,
        member=0,
        salt="00" * 32,
        inputs=(),
        scanned=(),
        written=((tuple(blocks),),),
    ).sign(SigningKey.generate())


def order(stage, partition, attempt=1):
    return TaskOrder(task_name(stage, partition, attempt), ()).encode()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counter(clock):
    found = Counter(clock)
    found.hear(TWO)
    return found


def test_nothing_is_counted_before_there_are_stages():
    assert Counter().metrics() == JobMetrics()
    counter = Counter()
    counter.reading(lambda _: b"x")(digest(b"x"))
    counter.hear(StageBegun(3))
    counter.finish()
    assert counter.metrics() == JobMetrics()


def test_reads_writes_and_losses_belong_to_the_stage_of_their_task(counter, clock):
    chunk, block = secrets.token_bytes(100), secrets.token_bytes(30)
    backend = CountedBackend(made := Backend(runs=True), counter, local=True)
    made.keep(digest(chunk), chunk)
    workers = {"a": Member([digest(chunk)], [block]), "b": Member([digest(chunk)], [], lost=True)}
    backend.assign("a", Task(2, order(0, 0)), workers)
    backend.assign("b", Task(2, order(0, 1)), workers)
    clock.now = 2.0
    assert backend.ended(wait=True).worker == "a"
    receipt = signed_receipt(task_name(0, 0), [BlockRef(digest(block), 30, 1)])
    backend.keep(digest(receipt), receipt)
    assert backend.ended(wait=True).code == WorkerError.code
    first, second = counter.metrics().stages
    assert (first.done, first.lost) == (1, 1)
    assert (first.blocks_in, first.bytes_in) == (2, 200)
    assert (first.blocks_out, first.bytes_out) == (1, 30)
    assert first.milliseconds == 2000
    assert (second.done, second.blocks_in, second.milliseconds) == (0, 0, 0)
    assert backend.busy == ("a",)


def test_the_leaders_own_reads_belong_to_the_stage_that_it_is_at(counter, clock):
    backend = CountedBackend(Backend(), counter, local=True)
    block = secrets.token_bytes(10)
    counter.hear(StageBegun(0))
    backend.keep(digest(block), block)
    receipts = [signed_receipt(task_name(0, p), []) for p in (0, 1)]
    clock.now = 1.5
    for raw in receipts:
        backend.keep(digest(raw), raw)
    counter.hear(StageBegun(1))
    for raw in (*receipts, block):
        backend.read(digest(raw))  # receipts are read as well, and are no blocks
    clock.now = 4.0
    counter.finish()
    clock.now = 9.0
    first, second = counter.metrics().stages
    assert (first.done, first.blocks_out, first.bytes_out, first.milliseconds) == (2, 1, 10, 1500)
    assert (second.done, second.blocks_in, second.bytes_in) == (1, 1, 10)
    assert second.milliseconds == 2500


def test_a_partition_is_done_with_its_last_piece_and_a_receipt_counts_once(counter):
    backend = CountedBackend(Backend(), counter, local=True)
    receipts = [signed_receipt(task_name(0, 1, piece=i, pieces=3), []) for i in (1, 2, 3)]
    done = []
    for raw in (*receipts[:2], receipts[0], receipts[2]):
        backend.keep(digest(raw), raw)
        done.append(counter.metrics().stages[0].done)
    assert done == [0, 0, 0, 1]
    assert counter.metrics().stages[0].blocks_out == 0


def test_blocks_that_pass_elsewhere_are_counted_by_their_receipts(counter):
    backend = CountedBackend(Backend(), counter, local=False)
    backend.assign("a", Task(2, order(0, 1)), {})
    assert backend.ended(wait=True).worker == "a"
    receipt = signed_receipt(task_name(0, 1), [BlockRef(digest(b"x"), 77, 1)])
    backend.keep(digest(receipt), receipt)
    first, _ = counter.metrics().stages
    assert (first.done, first.blocks_out, first.bytes_out) == (1, 1, 77)


def test_what_is_no_receipt_of_a_task_there_is_counts_as_a_block_or_not_at_all(counter):
    backend = CountedBackend(Backend(), counter, local=True)
    for raw in (b"{", b'{"payload": 3}', signed_receipt(task_name(7, 0), [])):
        backend.keep(digest(raw), raw)
    assert [s.done for s in counter.metrics().stages] == [0, 0]
    counter.assigned("a", Task(2, b"no order"), passes_here=True)
    counter.ended(Ended(worker="nobody", code=WorkerError.code))
    assert [s.lost for s in counter.metrics().stages] == [0, 0]


def test_rounds_are_the_newest_that_were_told(counter, clock):
    counter.hear(RoundTrained(5, 1, 9))
    clock.now = 3.0
    counter.hear(RoundTrained(5, 4, 9))
    for node in range(200):
        counter.hear(RoundTrained(node, 1, 1))
    found = {t.node: t for t in counter.metrics().trainings}
    assert len(found) == 100
    assert (found[5].done, found[5].of) == (1, 1)
    assert JobMetrics.read(counter.metrics().json()) == counter.metrics()


def test_memory_is_the_most_that_was_seen(counter):
    own = SimpleNamespace(name="worker_1", process_id=os.getpid())
    counter.seen(own, {"worker_2": SimpleNamespace(process_id=None)})
    counter.seen(SimpleNamespace(name="worker_1"), {})
    first, second = counter.metrics().workers
    assert (first.name, second.name, second.peak_bytes) == ("worker_1", "worker_2", 0)
    assert first.peak_bytes > 1 << 20
    assert peak_bytes(SimpleNamespace(process_id=1 << 30)) == 0
