"""Stock XGBoost over several enclaves: the metrics of one, and a host that may stop it, no more."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.collectives import Together, worth_sharing
from tests.support.plans import Job
from tests.support.task_cluster import cluster_of
from tests.support.training import Training, columns, source, stock, stock_matrix

from mc2.crypto.digest import digest
from mc2.enclave import collective
from mc2.enclave.collective_member import TRAINED, WAITS, MemberCollectives
from mc2.enclave.task_runner import TaskRunner
from mc2.engine.limits import EngineLimits
from mc2.errors import EngineError, JobError, WorkerError
from mc2.formats.training_receipt import TrainingReceipt
from mc2.formats.worker_tasks import Ended, TrainStep
from mc2.plan.models import History
from mc2.plan.training import Stopping

LIMITS = EngineLimits(memory_bytes=512 * 1024 * 1024, threads=1)
SQUARES = {"objective": "reg:squarederror", "max_depth": 3}
ROWS = (600, 150)

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with worth_sharing(10):
        yield


def together(trainers, settings=SQUARES, rounds=4, members=2, label="t", **options) -> Together:
    """Enclaves that train on the rows of `t`, and judge by those of `u`."""
    job = Training.__new__(Training)
    Job.__init__(job, t=source(1, ROWS[0]), u=source(2, ROWS[1]))
    job.t, job.u = job.scan("t"), job.scan("u")
    own, other = job.matrix(job.t, label=label), job.matrix(job.u, label=label)
    evals = [("train", own), ("test", other)]
    model = job.train(settings, rounds, own, evals=evals, **options)
    outputs = {"model": model, "history": job.add(History(model))}
    cluster = cluster_of(job, outputs, chunk=100, members=members, partitions=3, limits=LIMITS)
    return Together(cluster, trainers.some(members))


def history(finished) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for row in finished.outputs["history"].table.to_pylist():
        found.setdefault((row["evaluation"], row["metric"]), []).append(row["value"])
    return found


def alone(settings, rounds=4, label="t", **options):
    """The metrics that stock XGBoost has in one process, over all rows."""
    own, other = (stock_matrix(columns(s, n), label) for s, n in zip((1, 2), ROWS, strict=True))
    metrics: dict[str, dict[str, list[float]]] = {}
    evals = [(own, "train"), (other, "test")]
    stock(settings, own, rounds, evals=evals, evals_result=metrics, **options)
    return {(e, m): v for e, named in metrics.items() for m, v in named.items()}


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        (SQUARES, "t"),
        ({"objective": "multi:softprob", "num_class": 3, "tree_method": "approx"}, "cls"),
    ],
)
def test_the_metrics_are_those_of_one_process(trainers, settings, label):
    run = together(trainers, settings, label=label)
    finished, receipts = run.run()
    found, expected = history(finished), alone(settings, label=label)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0.02, err_msg=str(name))
    assert len(receipts) == 2


def test_three_train_and_stop_early_where_one_does(trainers):
    settings = {**SQUARES, "eval_metric": "rmse"}
    stopping = Stopping(rounds=2, evaluation="test", metric="rmse")
    run = together(trainers, settings, 40, members=3, stopping=stopping)
    finished, receipts = run.run()
    found = history(finished)
    expected = alone(settings, 40, early_stopping_rounds=2)
    assert 1 < len(found["test", "rmse"]) < 40
    least = min(found["test", "rmse"]), min(expected["test", "rmse"])
    assert least[0] == pytest.approx(least[1], rel=0.02)
    assert len(receipts) == 3


def test_receipts_say_who_trained_on_how_many_rows(trainers):
    run = together(trainers, rounds=1, members=3)
    _, names = run.run()
    raws = [run.cluster.blobs[n] for n in names]
    runner: TaskRunner = run.cluster.runners[0]
    found = [TrainingReceipt.verify(raw, runner.work.key_of).value for raw in raws]
    assert [r.partition for r in found] == [r.member for r in found] == [0, 1, 2]
    assert all(r.training.places == (200, 200, 200) for r in found)
    assert len({r.log for r in found}) == 3


# --- a host that lies

Step = TrainStep


class Liar:
    """Changes the message, or the answer, that is the `at`-th."""

    def __init__(self, run: Together, at: int) -> None:
        self.run, self.at = run, at
        self.seen: list[Step] = []
        self.heard: list[bytes] = []

    def alter(self, _: str, step: Step) -> Step:
        self.seen.append(step)
        if len(self.seen) != self.at:
            return step
        return replace(step, message=step.message[:-1] + bytes([step.message[-1] ^ 1]))

    def replay(self, _: str, step: Step) -> Step:
        self.seen.append(step)
        return self.seen[-2] if len(self.seen) == self.at else step

    def again(self, _: str, step: Step) -> Step:
        """The first message once more, when the training is under way."""
        self.seen.append(step)
        return self.seen[0] if len(self.seen) == self.at else step

    def alter_back(self, _: str, raw: bytes) -> bytes:
        self.heard.append(raw)
        return raw[:-1] + bytes([raw[-1] ^ 1]) if len(self.heard) == self.at else raw

    def replay_back(self, _: str, raw: bytes) -> bytes:
        self.heard.append(raw)
        return self.heard[-2] if len(self.heard) == self.at else raw


@pytest.mark.parametrize(
    ("how", "at", "said"),
    [
        ("alter", 1, "altered"),
        ("alter", 5, "altered"),
        ("replay", 6, "out of order"),
        ("again", 6, "cut off|not canonical|no canonical|message"),
    ],
)
def test_messages_that_the_host_falsifies_are_refused(trainers, how, at, said):
    run = together(trainers)
    run.lie = getattr(Liar(run, at), how)
    with pytest.raises(Exception, match=said) as caught:
        run.run()
    assert caught.type.__name__ in {"JobError", "FormatError"}


@pytest.mark.parametrize(
    ("how", "said"), [("alter_back", "altered"), ("replay_back", "out of order")]
)
def test_answers_that_the_host_falsifies_are_refused(trainers, how, said):
    run = together(trainers)
    run.lie_back = getattr(Liar(run, 5), how)
    with pytest.raises(JobError, match=said):
        run.run()


def test_messages_of_two_members_do_not_open_in_each_others_place(trainers):
    run = together(trainers, members=3)

    def swap(worker: str, step: Step) -> Step:
        if len(run.steps) < 2:
            return step
        other = next(s for s in run.steps if s.partition != step.partition)
        return replace(step, message=other.message)

    run.lie = swap
    with pytest.raises(JobError, match="another member's line"):
        run.run()


def test_answers_of_two_members_do_not_open_in_each_others_place(trainers):
    run = together(trainers, members=3)
    run.lie_back = lambda worker, raw: run.answers[0] if worker == "w2" else raw
    with pytest.raises(JobError, match="somebody else"):
        run.run()


def test_a_training_of_another_epoch_gets_no_rows(trainers):
    run = together(trainers)
    other = together(trainers)
    other.cluster.tasks()
    run.lie = lambda _, step: replace(step, message=made(other, step))

    def made(of: Together, step: Step) -> bytes:
        of.lie = lambda *_: Ended(worker="w1", code="worker", message="gone")
        with pytest.raises(WorkerError):
            of.run()
        return of.steps[0].message

    with pytest.raises(JobError, match="altered, or is of another training"):
        run.run()


def test_rows_are_those_that_tasks_signed(trainers):
    run = together(trainers)
    blocks = []

    def lie(name, raw):
        if run.steps and name not in set(run.cluster.receipts) and len(raw) > 2000:
            blocks.append(name)
            return raw[:-1] + bytes([raw[-1] ^ 1])
        return raw

    run.cluster.lie = lie
    with pytest.raises(Exception, match="block"):
        run.run()
    assert blocks


def test_a_lost_member_ends_the_attempt_by_name(trainers):
    run = together(trainers)
    gone = Ended(worker="w1", code="worker", message="gone")
    run.lie = lambda _, step: gone if len(run.steps) == 8 else step
    with pytest.raises(WorkerError, match="w1 was lost while it trained"):
        run.run()
    again, _ = together(trainers).run()  # the next attempt begins anew
    assert history(again)


def test_a_model_that_one_member_does_not_have_is_none(trainers, monkeypatch):
    run = together(trainers, rounds=1)
    said = MemberCollectives._said

    def other(self, own):
        found = said(self, own)
        trained = found[0] == TRAINED
        return found[:1] + digest(b"another model").encode() if trained else found

    monkeypatch.setattr(MemberCollectives, "_said", other)
    with pytest.raises(JobError, match="different models"):
        run.run()


@pytest.mark.parametrize("last", [False, True])
def test_a_step_of_nobody_is_refused(trainers, last):
    run = together(trainers, rounds=1)
    honest = run.ended

    def ended(*, wait: bool) -> Ended:
        found = honest(wait=wait)
        is_receipt = found.receipt.startswith(b"{")
        return replace(found, worker="w9") if is_receipt == last else found

    run.ended = ended  # type: ignore[method-assign]
    with pytest.raises(JobError, match="a step that nobody was given"):
        run.run()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"partition": 0}, "the receipt of another training"),
        ({"log": digest(b"other")}, "other messages than were sent"),
        ({"training": {"places": (1, 599)}}, "the receipt of another training"),
    ],
)
def test_a_receipt_is_of_this_training_and_its_messages(trainers, changes, said):
    run = together(trainers, rounds=1)

    def lie(_: str, raw: bytes) -> bytes:
        if not raw.startswith(b"{"):
            return raw
        key_of = run.cluster.runners[0].work.key_of
        receipt = TrainingReceipt.verify(raw, key_of).value
        new = {**changes}
        if "training" in new:
            new["training"] = replace(receipt.training, **new["training"])
        return replace(receipt, **new).sign(run.cluster.keys[1])

    run.lie_back = lie
    with pytest.raises(JobError, match=said):
        run.run()


def test_members_that_wait_for_one_another_for_good_are_given_up(trainers, monkeypatch):
    run = together(trainers, rounds=1)
    monkeypatch.setattr(collective, "SILENT_SECONDS", 0)
    said = MemberCollectives._said

    def nothing(self, own):
        said(self, own)
        return bytes((WAITS,))

    monkeypatch.setattr(MemberCollectives, "_said", nothing)
    with pytest.raises(EngineError, match="wait for one another"):
        run.run()


# --- the process for trainings


def children(of: int) -> list[int]:
    """The processes that a process has forked."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == of:
            found.append(int(place.parent.name))
    return found


def test_a_process_that_dies_costs_its_training_alone(trainers):
    run = together(trainers)

    def kill(_: str, step: Step) -> Step:
        if len(run.steps) == 6:
            for trainer in run.trainers:
                for process in children(trainer.process_id):
                    os.kill(process, signal.SIGKILL)
        return step

    run.lie = kill
    with pytest.raises(EngineError, match="ended its process"):
        run.run()
    assert all(t.usable for t in run.trainers)
    again, _ = together(trainers).run()
    assert history(again)


def test_a_process_for_trainings_has_no_socket_and_no_file(trainers):
    run = together(trainers)
    seen: list[str] = []

    def look(_: str, step: Step) -> Step:
        if len(run.steps) == 6:
            for trainer in run.trainers:
                for process in children(trainer.process_id):
                    folder = Path(f"/proc/{process}/fd")
                    seen.extend(str(f.readlink()) for f in folder.iterdir())
        return step

    run.lie = look
    run.run()
    sockets = [s for s in seen if s.startswith("socket:")]
    assert len(sockets) == len(set(sockets)) == 2  # the link of each to its enclave
