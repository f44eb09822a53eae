"""A training over sealed messages that a hostile host carries: the same model, or a refusal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from tests.support.boosting import KEY, column, features_of
from tests.unit.ml.test_boosting import asked, made

from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey, SigningKey
from mc2.enclave.epoch import Epoch, Member
from mc2.enclave.training_session import LeadingSide, MemberSide
from mc2.errors import EngineError, FormatError, JobError
from mc2.formats import training_message as messages
from mc2.formats.release import JobContext
from mc2.formats.training_message import TrainingName
from mc2.ml.boosted_trees import release
from mc2.ml.boosting import Leader, Training, train
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_partition import Partition
from mc2.ml.secret_matrix import bin_rows, choose_cuts
from mc2.operators.handles import SecretMarks
from mc2.operators.run import Run

ZERO = Digest("sha256:" + "0" * 64)
CONTEXT = JobContext(contract=ZERO, policy=ZERO, plan=ZERO, job_id="00" * 16, attempt=1)
NAME = TrainingName(context=CONTEXT, epoch=1, node=3, places=(50, 90, 60))
PIECES = np.split(np.arange(200), [50, 140])
X, Y = made(200, "binary:logistic", 3)
PARAMETERS = BoostingParameters.read(
    asked("binary:logistic", max_depth=2, max_bin=8, subsample=0.8),
    [f.name for f in features_of(X)],
)
TRAINING = Training(2)


def epoch(number=1, key=7, context=CONTEXT):
    keys = [SigningKey(i.to_bytes(32, "big")) for i in range(3)]
    members = tuple(Member(i, digest(bytes([i])), k.public) for i, k in enumerate(keys))
    return Epoch(context, number, members, DataKey(bytes([key]) * 32), 0, keys[0])


class Cluster:
    def __init__(self, name=NAME, **of_epoch):
        self.run, self.name, self.of_epoch = Run(), name, of_epoch
        columns = {f.name: [column(X[:, i])] for i, f in enumerate(features_of(X))}
        self.cuts = choose_cuts(self.run, features_of(X), columns, PARAMETERS.max_bin)
        self.trainer = Leader(self.run, self.cuts, PARAMETERS, TRAINING, KEY, ["all"])
        self.leader = LeadingSide(epoch(**of_epoch), name, self.trainer)
        self.members = [self.member(place) for place in range(3)]

    def matrix(self, run, rows):
        return bin_rows(
            run,
            self.cuts,
            {f.name: column(X[rows, i]) for i, f in enumerate(features_of(X))},
            SecretMarks(np.ones(len(rows), np.uint8)),
            label=column(Y[rows]),
            identity=rows.astype(np.uint64),
        )

    def member(self, place):
        run = Run()
        rows = [self.matrix(run, PIECES[place])]
        worker = Partition(
            run,
            rows,
            PARAMETERS,
            KEY,
            all_rows=200,
            first=place,
            evaluations={"all": rows},
        )
        form = self.trainer.form
        return MemberSide(epoch(**self.of_epoch), self.name, place, form, worker)

    def answers(self):
        return [m.answer(self.leader.told) for m in self.members]

    def steps(self, count):
        for _ in range(count):
            self.leader.take(self.answers())
        return self

    def play(self):
        while not self.leader.over:
            self.leader.take(self.answers()[::-1])
        return model_of(self.run, self.trainer.trained())


def model_of(run, trained):
    run.finish()
    text = json.dumps([release(run, trained.model), trained.history])
    return hashlib.sha256(text.encode()).hexdigest()


def alone():
    cluster = Cluster()
    run = Run()
    whole = [cluster.matrix(run, np.arange(200))]
    arguments = (run, whole, PARAMETERS, TRAINING, KEY)
    return model_of(run, train(*arguments, evaluations={"all": whole}))


def test_three_enclaves_train_the_model_of_one():
    cluster = Cluster()
    assert cluster.play() == alone()
    with pytest.raises(JobError, match="over"):
        _ = cluster.leader.told
    with pytest.raises(JobError, match="over"):
        cluster.leader.take([])


def test_messages_have_the_length_of_their_step():
    lengths = []
    for _ in range(2):
        cluster = Cluster()
        found = []
        while not cluster.leader.over:
            answers = cluster.answers()
            found.append((len(cluster.leader.told), [len(a) for a in answers]))
            cluster.leader.take(answers)
        lengths.append(found)
    assert lengths[0] == lengths[1]
    assert all(len(set(sizes)) == 1 for _, sizes in lengths[0])


@pytest.mark.parametrize("lost", range(0, 13, 3))
def test_a_lost_member_is_replaced_in_mid_round(lost):
    cluster = Cluster().steps(lost)
    cluster.members[0].answer(cluster.leader.told)  # it dies with its answer on the way
    cluster.members[0] = cluster.member(0)
    cluster.members[0].catch_up(cluster.leader.messages[:-1])
    if lost:  # without what was told before, it cannot go on
        with pytest.raises(JobError, match="another step"):
            cluster.member(1).answer(cluster.leader.told)
    assert cluster.play() == alone()


def test_a_dropped_answer_is_named():
    cluster = Cluster().steps(4)
    with pytest.raises(JobError, match="partition 1 is missing"):
        cluster.leader.take([a for i, a in enumerate(cluster.answers()) if i != 1])


def test_an_answer_twice_is_named_even_of_two_enclaves():
    cluster = Cluster().steps(4)
    twin = cluster.member(2)
    twin.catch_up(cluster.leader.messages[:-1])
    told, answers = cluster.leader.told, cluster.answers()
    with pytest.raises(JobError, match="partition 2 is there twice"):
        cluster.leader.take([*answers, answers[2]])
    with pytest.raises(JobError, match="partition 2 is there twice"):
        cluster.leader.take([*answers, twin.answer(told)])


def test_an_answer_to_another_step_is_named():
    cluster = Cluster()
    old = cluster.answers()
    cluster.leader.take(old)
    new = cluster.answers()
    with pytest.raises(JobError, match="partition 0 is to another step"):
        cluster.leader.take([old[0], *new[1:]])


def relabelled(raw, **change):
    header, sealed = messages.parse(raw)
    clear = messages.encode(replace(header, **change).json())
    return len(clear).to_bytes(4, "big") + clear + sealed


def test_an_answer_in_the_place_of_anothers_or_of_another_step_does_not_open():
    cluster = Cluster().steps(3)
    old = cluster.answers()
    cluster.leader.take(old)
    new = cluster.answers()
    current = messages.parse(new[0])[0]
    swapped = relabelled(new[0], sender=2)
    with pytest.raises(JobError, match="partition 1 was altered"):
        cluster.leader.take([new[0], swapped, new[2]])
    forged = relabelled(
        old[0], number=current.number, kind=current.kind, turn=current.turn, level=current.level
    )
    with pytest.raises(JobError, match="partition 0 was altered"):
        cluster.leader.take([forged, *new[1:]])


def test_an_altered_answer_does_not_open():
    cluster = Cluster().steps(2)
    answers = cluster.answers()
    for place in (-1, len(answers[0]) // 2, len(answers[0]) - 20):
        wrong = bytearray(answers[0])
        wrong[place] ^= 1
        with pytest.raises((JobError, FormatError)):
            cluster.leader.take([bytes(wrong), *answers[1:]])
    with pytest.raises((JobError, FormatError)):
        cluster.leader.take([answers[0][:-1], *answers[1:]])


@pytest.mark.parametrize(
    "other",
    [
        {"key": 8},
        {"name": replace(NAME, node=4)},
        {"name": replace(NAME, places=(50, 90, 61))},
        {"number": 2, "name": replace(NAME, epoch=2)},
        {
            "context": replace(CONTEXT, attempt=2),
            "name": replace(NAME, context=replace(CONTEXT, attempt=2)),
        },
        {},  # another run of the leader, over the same training
    ],
    ids=["key", "node", "places", "epoch", "attempt", "run"],
)
def test_what_another_training_says_opens_on_neither_side(other):
    mine, theirs = Cluster().steps(3), Cluster(**other).steps(3)
    with pytest.raises(JobError, match=r"altered|another run"):
        mine.members[0].answer(theirs.leader.told)
    with pytest.raises(JobError, match="altered"):
        mine.leader.take([theirs.members[0].answer(theirs.leader.told), *mine.answers()[1:]])


def test_a_member_takes_the_leaders_messages_once_and_in_order():
    cluster = Cluster().steps(2)
    first, second, third = cluster.leader.messages
    member = cluster.member(0)
    for early in (second, third):
        with pytest.raises(JobError, match="another step"):
            member.answer(early)
    member.answer(first)
    with pytest.raises(JobError, match="another step"):
        member.answer(first)
    with pytest.raises(JobError, match="not of the leader"):
        member.answer(cluster.members[1].answer(third))


def test_a_host_that_changes_the_public_step_is_refused():
    cluster = Cluster().steps(3)
    header, _ = messages.parse(cluster.leader.told)
    for change in ({"turn": header.turn + 1}, {"level": 5}, {"shown": (0, 1)}):
        with pytest.raises(JobError, match="altered"):
            cluster.members[0].answer(relabelled(cluster.leader.told, **change))
    with pytest.raises(EngineError, match="no such step"):
        cluster.members[0].answer(relabelled(cluster.leader.told, kind="row"))


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00\x00\x00", b"\x00\x00\x00\x00rest", b"\x00\x00\x00\x09{}", b"\xff\xff\xff\xff{}"],
)
def test_what_is_no_message_is_refused(raw):
    with pytest.raises(FormatError):
        messages.parse(raw)


@pytest.mark.parametrize("shown", [[1, 1], [2, 1], [-1], ["a"], [True], {}, [1 << 16]])
def test_shown_features_are_numbers_in_order(shown):
    header, _ = messages.parse(Cluster().leader.told)
    clear = messages.encode({**header.json(), "shown": shown})
    with pytest.raises(FormatError):
        messages.parse(len(clear).to_bytes(4, "big") + clear)


def test_sides_are_of_their_epoch_and_end_with_it():
    cluster = Cluster()
    with pytest.raises(JobError, match="another job or epoch"):
        LeadingSide(epoch(number=2), NAME, cluster.trainer)
    with pytest.raises(JobError, match="no such partition"):
        MemberSide(epoch(), NAME, 3, cluster.trainer.form, cluster.members[0]._rows)
    over = epoch()
    member = MemberSide(over, NAME, 0, cluster.trainer.form, cluster.members[0]._rows)
    over.wipe()
    with pytest.raises(JobError, match="over"):
        member.answer(cluster.leader.told)
