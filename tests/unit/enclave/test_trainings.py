"""Sessions train together: the model of one enclave, over a host that may lie and lose workers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from tests.support.shared_trainings import SETTINGS, Hosted, together_job

from mc2.crypto.digest import digest
from mc2.enclave import trainings
from mc2.errors import CryptoError, EngineError, FormatError, JobError, Mc2Error
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.task import digest_of_receipts
from mc2.formats.training_receipt import TrainingReceipt


@pytest.fixture(autouse=True)
def all_shared(monkeypatch):
    """Whatever can be shared is."""
    monkeypatch.setattr(trainings, "WORTH_SHARING", 1)


def alone(job):
    return Hosted(job, []).run()


@pytest.mark.parametrize("others", [1, 2, 4])
@pytest.mark.parametrize(
    "change", [{}, {"max_bin": 200}, {"split_search": "refined", "max_bin": 64}]
)
def test_several_enclaves_train_the_model_of_one(others, change):
    job = together_job(settings={**SETTINGS, **change})
    model, history, receipt = alone(job)
    assert receipt.tasks is None
    host = Hosted(job, [f"w{i}" for i in range(others)])
    found, metrics, together = host.run()
    assert found == model
    assert metrics == history
    assert together.tasks == digest_of_receipts([digest(raw) for raw in host.kept.values()])
    assert len(host.kept) == others + 1


def test_every_attempt_trains_the_same_model():
    job = together_job()
    model, history, _ = alone(job)
    job.attempt = 2
    assert alone(job)[:2] == (model, history)
    assert Hosted(job, ["b"]).run()[:2] == (model, history)


def test_everybody_reads_its_own_chunks_alone():
    host = Hosted(together_job(), ["b", "c"])
    host.run()
    chunks = {n for d in host.job.datasets.values() for n in d.chunks}
    reads = [name for names in host.reads.values() for name in names]
    assert sorted(reads) == sorted(chunks)
    assert all(host.reads.values())


def test_more_enclaves_than_chunks_are_left_alone():
    host = Hosted(together_job((9, 5), places=14), ["b", "c"])
    model, _, _ = host.run()
    assert {worker for worker, _ in host.steps} == {"b"}
    assert model == alone(host.job)[0]


@pytest.mark.parametrize(
    ("others", "gaps"),
    [
        (0, (4, None)),  # one enclave sees both chunks
        (1, (4, None)),  # the last chunk of one enclave, before the first one of the next
        (4, (1, None)),  # ada's chunks are read by three
        (4, (None, 1)),
        (1, (0, 0)),  # in the midst of one enclave's chunks
    ],
)
def test_rows_behind_a_chunk_that_was_not_full_are_refused_whoever_reads_them(others, gaps):
    host = Hosted(together_job(gaps=gaps), [f"w{i}" for i in range(others)])
    with pytest.raises(EngineError, match="outside of its declared domain"):
        host.run()
    assert bool(host.steps) is bool(others)


def test_a_gap_shows_in_no_message():
    lengths = []
    for gaps in ((None, None), (4, None)):
        host = Hosted(together_job(gaps=gaps), ["b"])
        with suppress(EngineError):
            host.run()
        lengths.append(host.lengths[:-1])  # the receipt is signed, and public
    assert lengths[0] == lengths[1]


@pytest.mark.parametrize("lost", [1, 2, 7, 15])
def test_the_rows_of_a_lost_worker_go_to_the_leader(lost):
    job = together_job()
    host = Hosted(job, ["b", "c"])
    host.lose_at = lost
    model, history, _ = host.run()
    assert (model, history) == alone(job)[:2]
    missing = host.steps[lost - 1][0]
    assert all(worker != missing for worker, _ in host.steps[lost + 1 :])
    members = {
        TrainingReceipt.parse(
            Envelope.parse(raw, PayloadType.TRAINING_RECEIPT, TrainingReceipt.LIMIT).payload
        ).member
        for raw in host.kept.values()
    }
    assert len(members) == 2


def test_equal_shapes_give_messages_of_equal_lengths():
    lengths = []
    for seed, rows in ((0, (90, 60)), (5, (90, 60))):
        host = Hosted(together_job(rows, seed=seed), ["b", "c"])
        host.run()
        lengths.append(host.lengths[:-2])  # receipts at the end are signed, and public
    assert lengths[0] == lengths[1]


class Lying(Hosted):
    """A host that changes a step, or the answer to it."""

    def __init__(self, job, step=lambda s: s, answer=lambda a, _: a, at=3):
        super().__init__(job, ["b", "c"])
        self.change, self.answer, self.at = step, answer, at
        self.old = b""

    def carried(self, worker, step):
        lies = len(self.steps) == self.at
        found = super().carried(worker, self.change(step) if lies else step)
        changed = self.answer(found, self.old) if lies else found
        self.old = found
        return changed


def flipped(raw):
    return raw[:-1] + bytes([raw[-1] ^ 1])


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda s: replace(s, message=flipped(s.message)), JobError, "altered"),
        (lambda s: replace(s, message=s.message[:40]), FormatError, "cut off"),
        (lambda s: replace(s, partition=2), JobError, "another step"),
        (lambda s: replace(s, partition=0), JobError, "another step"),
        (lambda s: replace(s, partitions=2), JobError, "another step"),
        (lambda s: replace(s, partition=60), JobError, "no such partition"),
        (lambda s: replace(s, node=0), JobError, "no training there"),
    ],
)
def test_a_member_refuses_what_is_not_its_next_step(change, error, says):
    host = Lying(together_job(), step=change)
    with pytest.raises(error, match=says):
        host.run()


def test_a_first_step_for_another_partition_gives_no_answer_in_its_place():
    host = Lying(together_job(), step=lambda s: replace(s, partition=2), at=1)
    with pytest.raises(JobError, match="partition 2 is there twice"):
        host.run()
    host = Lying(together_job(), step=lambda s: replace(s, partitions=2), at=1)
    with pytest.raises(JobError, match="altered"):
        host.run()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda answer, _: flipped(answer), "partition 0 was altered|partition 1 was altered"),
        (lambda _, old: old, "to another step|is there twice"),
        (lambda _, __: b"", "cut off"),
    ],
)
def test_the_leader_refuses_what_is_no_answer_to_its_step(change, says):
    host = Lying(together_job(), answer=change)
    with pytest.raises(Mc2Error, match=says) as caught:
        host.run()
    assert not isinstance(caught.value, EngineError)


def test_a_receipt_that_the_host_alters_or_swaps_ends_the_job():
    job = together_job()
    steps = len((honest := Hosted(job, ["b", "c"])).run() and honest.steps)
    for change in (lambda a, _: flipped(a), lambda _, old: old):
        with pytest.raises((Mc2Error, CryptoError)):
            Lying(job, answer=change, at=steps).run()


def test_an_end_that_nobody_was_given_is_refused():
    host = Hosted(together_job(), ["b"])
    host.ended = lambda **_: replace(host.ends[-1], worker="zed")
    with pytest.raises(JobError, match="nobody was given"):
        host.run()


def test_steps_are_for_members():
    host = Hosted(together_job(), ["b"])
    host.run()
    with pytest.raises(JobError, match="members"):
        host.leader.train(host.steps[0][1], None)
