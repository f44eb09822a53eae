"""Trainings over joins and groups: one enclave computes the rows, and deals them out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.support.shared_trainings import (
    SETTINGS,
    Hosted,
    joined_rows,
    rows_of_inputs,
    together_job,
)

from mc2.crypto.digest import digest
from mc2.enclave import spread, trainings
from mc2.enclave.dealt_rows import Deal, framed, unframed
from mc2.errors import CryptoError, FormatError, JobError
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.training_receipt import TrainingReceipt
from mc2.formats.worker_tasks import Task, TrainStep
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.training import Controls


@pytest.fixture(autouse=True)
def all_shared(monkeypatch):
    """Whatever can be shared is."""
    monkeypatch.setattr(trainings, "WORTH_SHARING", 1)


def joined_job(**changes):
    return together_job(matrices=joined_rows, **changes)


def alone(job):
    return Hosted(job, []).run()


def receipts(host):
    found = []
    for raw in host.kept.values():
        if raw[:1] == b"{" and PayloadType.TRAINING_RECEIPT.encode() in raw:
            payload = Envelope.parse(raw, PayloadType.TRAINING_RECEIPT, TrainingReceipt.LIMIT)
            found.append(TrainingReceipt.parse(payload.payload))
    return found


@pytest.mark.parametrize("others", [1, 2, 4])
@pytest.mark.parametrize("change", [{}, {"split_search": "refined", "max_bin": 64}])
def test_several_enclaves_train_the_model_of_one(others, change):
    job = joined_job(settings={**SETTINGS, **change})
    model, history, receipt = alone(job)
    assert receipt.tasks is None
    host = Hosted(job, [f"w{i}" for i in range(others)])
    found, metrics, together = host.run()
    assert (found, metrics) == (model, history)
    assert together.tasks is not None
    assert {worker for worker, _ in host.steps} == {f"w{i}" for i in range(others)}
    assert len(json.loads(model)["learner"]["gradient_booster"]["model"]["trees"]) == 3
    names = {r.training.dealt for r in receipts(host)}
    assert len(receipts(host)) == others + 1
    assert len(names) == 1
    assert None not in names


def test_rules_on_leaves_hold_for_the_rows_of_all():
    rules = Controls(leaf_rows=2, public_thresholds=False)
    job = joined_job(settings={"objective": "binary:logistic", "max_depth": 2}, controls=rules)
    assert Hosted(job, ["b"]).run()[:2] == alone(job)[:2]


def test_edges_are_drawn_where_all_rows_are():
    noisy = tuple(NoisyEdges(n, "0.0", "200.0", 64, 9, "0.5") for n in ("age", "glucose"))

    def matrices(builder):
        return tuple(replace(m, noisy=noisy) for m in rows_of_inputs(builder))

    settings = {"objective": "binary:logistic", "max_depth": 2}
    rules = Controls(public_thresholds=True)
    job = together_job(matrices=matrices, settings=settings, controls=rules)
    host = Hosted(job, ["b", "c"])
    assert host.run()[:2] == alone(job)[:2]
    assert {worker for worker, _ in host.steps} == {"b", "c"}


def test_rows_that_tasks_compute_give_the_model_of_one_enclave(monkeypatch):
    job = joined_job()
    model, history, _ = alone(job)
    monkeypatch.setattr(spread, "_OBLIVIOUS_BYTES", 0)
    monkeypatch.setattr(spread, "OBLIVIOUS_BROADCAST_ROWS", 1)
    host = Hosted(job, ["b", "c"])
    found, metrics, together = host.run()
    assert (found, metrics) == (model, history)
    kinds = [type(step) for _, step in host.steps]
    assert Task in kinds
    assert TrainStep in kinds
    assert together.tasks is not None
    assert len(receipts(host)) == 3


@pytest.mark.parametrize("lost", [1, 2, 9])
def test_the_leader_takes_the_rows_of_a_lost_worker_back(lost):
    job = joined_job()
    host = Hosted(job, ["b", "c"])
    host.lose_at = lost
    assert host.run()[:2] == alone(job)[:2]
    missing = host.steps[lost - 1][0]
    assert all(worker != missing for worker, _ in host.steps[lost + 1 :])


def test_equal_shapes_give_messages_and_blocks_of_equal_lengths():
    found = []
    for seed in (0, 5):
        host = Hosted(joined_job(seed=seed), ["b", "c"])
        host.run()
        blocks = [len(raw) for raw in host.kept.values() if raw[:1] != b"{"]
        found.append((host.lengths[:-2], blocks))
    assert found[0] == found[1]


class Lying(Hosted):
    """A host that changes the first step of a member, or a block."""

    def __init__(self, step=lambda s: s, block=lambda raw: raw):
        super().__init__(joined_job(), ["b", "c"])
        self.change, self.block = step, block

    def carried(self, worker, step):
        first = len(self.steps) == 1
        return super().carried(worker, self.change(step) if first else step)

    def reader(self, who):
        read = super().reader(who)
        return lambda name: self.block(read(name)) if name in self.kept else read(name)


def dealt_otherwise(change):
    def changed(step):
        deal, message = unframed(step.message)
        return replace(step, message=framed(change(deal).encode(), message))

    return changed


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda s: replace(s, message=s.message[:9]), FormatError, "cut off"),
        (lambda s: replace(s, partition=0), JobError, "deals no rows"),
        (lambda s: replace(s, partition=60), JobError, "deals no rows"),
        (lambda s: replace(s, partitions=2), JobError, "another number of members"),
        (lambda s: replace(s, node=0), JobError, "no training there"),
        (dealt_otherwise(lambda d: replace(d, salt=bytes(32))), CryptoError, "altered"),
        (dealt_otherwise(lambda d: replace(d, blocks=(d.blocks[0],) * 2)), JobError, "altered"),
        (
            dealt_otherwise(lambda d: replace(d, places=(d.places[0], 1, *d.places[2:]))),
            JobError,
            "other rows than it says",
        ),
        (
            dealt_otherwise(lambda d: replace(d, places=(d.places[0] + 1, *d.places[1:]))),
            JobError,
            "altered",
        ),
    ],
)
def test_a_member_refuses_another_deal_than_the_leaders(change, error, says):
    host = Lying(step=change)
    with pytest.raises(error, match=says):
        host.run()


def test_a_member_refuses_another_block_than_the_deal_names():
    with pytest.raises(JobError, match="a training ended: a block is not the one"):
        Lying(block=lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])).run()


def test_a_first_step_of_another_member_gives_no_answer_in_its_place():
    with pytest.raises(JobError, match="partition 2 is there twice"):
        Lying(step=lambda s: replace(s, partition=2)).run()


@pytest.mark.parametrize(
    "change",
    [
        {"places": [1]},
        {"places": [1, 0]},
        {"blocks": [[]] * 70},
        {"blocks": [3]},
        {"salt": "00"},
        {"all_rows": 0},
        {"more": 1},
    ],
)
def test_a_deal_has_one_form(change):
    name = digest(b"a block")
    block = {"digest": name, "bytes": 90, "rows": 2}
    value = {
        "type": "mc2/dealt-rows/v1",
        "salt": "ab" * 32,
        "all_rows": 5,
        "places": [3, 2],
        "blocks": [[[block]]],
    }
    raw = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    assert Deal.parse(raw).encode() == raw
    wrong = json.dumps({**value, **change}, separators=(",", ":"), sort_keys=True).encode()
    with pytest.raises(FormatError):
        Deal.parse(wrong)
