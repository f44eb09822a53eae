"""A party's process at home: orders for approved jobs alone, and answers to whatever comes."""

from __future__ import annotations

import pytest
from tests.support.home_trainings import home_job

from mc2.client.home_worker import HomeWorker
from mc2.crypto.digest import digest
from mc2.errors import (
    ApprovalError,
    CoordinatorError,
    DatasetError,
    FormatError,
    JobError,
    SignatureError,
    WorkerError,
)
from mc2.formats.home import HomeEvidence
from mc2.formats.home_line import NO_TURN, HomeTurn
from mc2.formats.worker import Close, Closed, Open, OpenedJob, Refused, Run, parse_from_enclave
from mc2.formats.worker_cluster import Enter, Entered, Join, Joined, Prove, Proved
from mc2.formats.worker_tasks import Task, TrainDone, TrainStep

JOB = home_job()
TOKEN = bytes(32)


def raw(message):
    return b"".join(message.frame().encode())


class Line:
    """A coordinator that gives its orders one by one, or fails as it is told to."""

    def __init__(self, *orders):
        self.orders = list(orders)
        self.heard, self.left = [], []

    def exchange(self, said, seconds):
        if not seconds:  # a sign of life
            raise SignatureError("the clock is wrong")
        self.heard.append(said)
        order = self.orders.pop(0)
        if isinstance(order, Exception):
            raise order
        turn, frame = order if isinstance(order, tuple) else (said.turn + 1, raw(order))
        return HomeTurn(said.session, turn, frame)

    def leave_home(self, session):
        self.left.append(session)
        raise FormatError("this is no answer")


class Enclave:
    """Does what it is told, and notes it."""

    def __init__(self):
        self.calls = []

    def open(self, bundle, *, timeout_seconds):
        self.calls.append("open")
        return OpenedJob(("ada",))

    def join(self, challenges, evidence, invitation, *, timeout_seconds):
        self.calls.append("join")
        return b'{"evidence":1}'

    def prove(self, probe, *, timeout_seconds):
        return TOKEN

    def enter(self, admission, *, timeout_seconds):
        self.calls.append("enter")

    def train(self, step, read, *, timeout_seconds):
        return read(digest(step.message))

    def close(self, *, timeout_seconds):
        self.calls.append("close")


class Chunks:
    def __init__(self, *chunks):
        self.chunks = {digest(c): c for c in chunks}

    def get(self, name):
        if name not in self.chunks:
            raise DatasetError("it is not here")
        return self.chunks[name]


def serve(*orders, approved=(JOB.job_id,), enclave=None):
    """What a process said to so many orders; the line."""
    line = Line(*orders)
    pauses = []
    worker = HomeWorker(
        party="ada",
        signer=JOB.parties["ada"].signing,
        line=line,
        chunks=Chunks(b"a message"),
        enclave=enclave or Enclave(),
        approved=lambda: list(approved),
        tell=lambda _: None,
    )
    worker.serve(lambda: not line.orders, pauses.append)
    return worker, line


def answered(order, **changes):
    """What is answered to one order."""
    line = serve(order, (NO_TURN, b""), **changes)[1]
    return parse_from_enclave(HomeTurn.frame_of(line.heard[1].frame))


def step(message=b"a message"):
    return TrainStep(2, 1, 3, message)


def test_orders_of_a_training_are_taken():
    assert answered(Open(JOB.bundle())) == OpenedJob(("ada",))
    assert answered(Prove(b"a probe")) == Proved(TOKEN)
    assert answered(Enter(b"an admission")) == Entered()
    assert answered(step()) == TrainDone(b"a message")
    assert answered(Close()) == Closed()


def test_evidence_is_signed_for_by_the_party():
    found = answered(Join({}, b"{}", b"{}"))
    assert isinstance(found, Joined)
    said = HomeEvidence.verify(found.evidence, JOB.contract.key_of).value
    assert said == HomeEvidence(party="ada", evidence=b'{"evidence":1}')


def test_a_job_that_nobody_approved_here_never_reaches_the_enclave():
    enclave = Enclave()
    found = answered(Open(JOB.bundle()), approved=("0" * 32,), enclave=enclave)
    assert (found.code, enclave.calls) == (ApprovalError.code, [])


@pytest.mark.parametrize("bundle", [b"", b"{}", b"nothing of that kind"])
def test_what_is_no_job_is_refused(bundle):
    assert answered(Open(bundle)).code == FormatError.code


@pytest.mark.parametrize("order", [Task(1, b"{}"), Run({})])
def test_no_other_order_is_taken(order):
    assert answered(order).code == JobError.code


def test_chunks_that_are_not_at_home_are_refused():
    assert answered(step(b"of others")).code == DatasetError.code


def test_a_frame_that_is_none_is_refused():
    found = serve((1, b"no frame"), (NO_TURN, b""))[1].heard[1]
    assert isinstance(parse_from_enclave(HomeTurn.frame_of(found.frame)), Refused)


@pytest.mark.parametrize(
    "trouble",
    [CoordinatorError("gone"), FormatError("no turn"), SignatureError("late"), WorkerError("said")],
)
def test_an_answer_is_handed_in_until_it_arrives(trouble):
    """Whatever a coordinator answers with: an error of any name, or no turn at all."""
    heard = serve(Close(), trouble, trouble, (NO_TURN, b""))[1].heard
    assert [t.turn for t in heard] == [0, 1, 1, 1]
    assert heard[1] == heard[2] == heard[3]
    assert heard[3].frame == raw(Closed())


def test_an_order_that_comes_again_is_taken_once():
    enclave = Enclave()
    heard = serve((1, raw(Close())), (1, raw(Close())), (NO_TURN, b""), enclave=enclave)[1].heard
    assert enclave.calls == ["close"]
    assert [bool(t.frame) for t in heard] == [False, True, False]


def test_an_enclave_that_has_ended_ends_the_process_and_the_line():
    class Gone(Enclave):
        def close(self, *, timeout_seconds):
            raise WorkerError("it ended")

    line = Line(Close())
    worker = HomeWorker(
        party="ada",
        signer=JOB.parties["ada"].signing,
        line=line,
        chunks=Chunks(),
        enclave=Gone(),
        approved=list,
        tell=lambda _: None,
    )
    with pytest.raises(WorkerError, match="ended"):
        worker.serve(lambda: False, lambda _: None)
    assert line.left == [line.heard[0].session]
