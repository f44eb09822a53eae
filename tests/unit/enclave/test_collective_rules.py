"""The rules of shared trainings, one by one and without a process: each refuses what breaks it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.support.plans import Job
from tests.support.task_cluster import TaskCluster, cluster_of
from tests.support.training import Training, source

from mc2.crypto.digest import Digest, digest
from mc2.enclave import collective_process
from mc2.enclave.cluster_member import Membership
from mc2.enclave.collective import _metrics
from mc2.enclave.collective_lines import CARRIED, DONE, LeadersLine, MembersLine
from mc2.enclave.collective_member import MemberCollectives
from mc2.enclave.collective_process import OwnTraining
from mc2.enclave.collective_rows import Rows, order_of, producers_of, sources_read
from mc2.enclave.release import Lease
from mc2.enclave.task_rules import check_all
from mc2.engine.collective.link import Frame, Tag
from mc2.engine.limits import EngineLimits
from mc2.errors import EngineError, FormatError, JobError
from mc2.formats import training_message as messages
from mc2.formats.canonical import decode, encode
from mc2.formats.training_message import Header, TrainingName
from mc2.formats.worker_tasks import TrainStep
from mc2.plan.trained_apart import trainings_apart

LIMITS = EngineLimits(memory_bytes=512 * 1024 * 1024, threads=1)
LEASE = Lease(
    600, lambda: 0.0
)  # by a clock that stands: this is read once, however long tests take


class NoTrainer:
    """Stands where no training may begin."""


@dataclass
class Ordered:
    """Enclaves whose tasks have run, and the order that an honest leader writes for member 1."""

    cluster: TaskCluster
    name: TrainingName
    order: dict[str, Any]

    @property
    def member(self) -> MemberCollectives:
        runner = self.cluster.runners[1]
        ciphers = {n: t.cipher for n, t in self.cluster.tables.items()}
        membership = Membership(runner.work.epoch, ciphers, LEASE)
        trainer: Any = NoTrainer()
        return MemberCollectives(membership, LIMITS, trainer, lambda _: runner)

    def line(self, **changes: Any) -> LeadersLine:
        return LeadersLine(self.cluster.runners[0].work.epoch, replace(self.name, **changes), 1)

    def first(self, order: Any = None, **changes: Any) -> TrainStep:
        """The first message to member 1, as the leader would write it if it believed this."""
        said = self.line(**changes).say(encode(self.order if order is None else order))
        name = replace(self.name, **changes)
        places = encode(list(name.places))
        message = len(places).to_bytes(4, "big") + places + said
        return TrainStep(name.node, 1, len(name.places), message)

    def answer(self, step: TrainStep) -> bytes:
        return self.member.answer(step, self.cluster.host())


@pytest.fixture(scope="module")
def ordered() -> Ordered:
    job = Training.__new__(Training)
    Job.__init__(job, t=source(1, 60), u=source(2, 30))
    own, other = (job.matrix(job.scan(name), label="t") for name in ("t", "u"))
    model = job.train({"max_depth": 2}, 2, own, evals=[("test", other)])
    cluster = cluster_of(job, {"model": model}, chunk=20, members=2, partitions=3, limits=LIMITS)
    cluster.tasks()
    runner = cluster.runners[0]
    found = check_all(runner.work, list(cluster.receipts.values()))
    [(node, training)] = trainings_apart(runner.work.stages, runner.last_fragment.shapes).items()
    receipts = {p: producers_of(runner, found, p) for p in sources_read(training)}
    places = Rows(runner, training, receipts, 2).places()
    epoch = runner.work.epoch
    name = TrainingName(context=epoch.context, epoch=epoch.number, node=node, places=places)
    order: Any = decode(order_of(runner, found, training), 1 << 20, "an order")
    return Ordered(cluster, name, order)


# --- what a member is ordered to train on


def test_rows_must_be_cut_as_receipts_say(ordered):
    assert ordered.name.places == (30, 30)
    with pytest.raises(JobError, match="other rows than its leader says"):
        ordered.answer(ordered.first(places=(29, 31)))


def test_an_order_names_exactly_the_sources_that_the_training_reads(ordered):
    inputs = ordered.order["inputs"]
    assert len(inputs) == 2
    for wrong in (inputs[:1], []):
        with pytest.raises(JobError, match="no training there that enclaves share"):
            ordered.answer(ordered.first({**ordered.order, "inputs": wrong}))


def test_a_source_has_the_receipts_of_its_own_tasks(ordered):
    (one, first), (two, second) = ordered.order["inputs"]
    swapped = {**ordered.order, "inputs": [[one, second], [two, first]]}
    with pytest.raises(JobError, match="in the place of another task's"):
        ordered.answer(ordered.first(swapped))
    fewer = {**ordered.order, "inputs": [[one, first[:-1]], [two, second]]}
    with pytest.raises(JobError, match=r"in the place of|exactly the tasks"):
        ordered.answer(ordered.first(fewer))


def test_an_order_is_for_a_training_of_the_plan(ordered):
    with pytest.raises(JobError, match="no training there that enclaves share"):
        ordered.answer(ordered.first(node=ordered.name.node + 1))


def test_an_order_is_for_the_stages_that_a_member_cuts_itself(ordered):
    other = {**ordered.order, "stages": digest(b"another cut")}
    with pytest.raises(JobError, match="another cut of the plan"):
        ordered.answer(ordered.first(other))


@pytest.mark.parametrize(
    "inputs", [[["0", []]], [[-1, []]], [[0]], [0], [[0, "sha256:"]], [[True, []]], [[0, [1]]]]
)
def test_an_order_that_names_no_inputs_is_refused(ordered, inputs):
    with pytest.raises(FormatError):
        ordered.answer(ordered.first({**ordered.order, "inputs": inputs}))


def test_an_order_names_a_source_once(ordered):
    one, two = ordered.order["inputs"]
    for wrong in ([one, one, two], [two, one]):
        with pytest.raises(FormatError, match="in order, each once"):
            ordered.answer(ordered.first({**ordered.order, "inputs": wrong}))


def test_an_order_has_no_other_fields(ordered):
    with pytest.raises(FormatError, match="more"):
        ordered.answer(ordered.first({**ordered.order, "more": 1}))


def test_a_training_begins_once_in_an_epoch(ordered):
    member, host = ordered.member, ordered.cluster.host()
    with pytest.raises(JobError, match="other rows"):
        member.answer(ordered.first(places=(29, 31)), host)
    with pytest.raises(JobError, match="begun twice"):
        member.answer(ordered.first(), host)


def test_a_training_is_over_as_many_members_as_its_rows_name(ordered):
    step = ordered.first()
    with pytest.raises(JobError, match="another number of members"):
        ordered.answer(replace(step, partitions=3))


@pytest.mark.parametrize("length", [0, 1 << 20])
def test_a_first_message_that_is_cut_off_is_refused(ordered, length):
    step = ordered.first()
    message = length.to_bytes(4, "big") + step.message[4:]
    with pytest.raises(FormatError, match="the first message of a training is cut off"):
        ordered.answer(replace(step, message=message))


# --- what is under way


def under_way(ordered: Ordered) -> tuple[MemberCollectives, LeadersLine, TrainStep]:
    """A member in mid-training, the leader's line to it, and the step that it is at."""
    member, leader = ordered.member, ordered.line()
    member._line = MembersLine(ordered.cluster.runners[1].work.epoch, ordered.name, 1)
    member._line.take(leader.say(b""))
    leader.take(member._line.answer(b""))
    trainer: Any = NoTrainer()
    member._own = OwnTraining(trainer, LEASE, lambda _: None)
    member._at = (ordered.name.node, 1, 2)
    return member, leader, TrainStep(ordered.name.node, 1, 2, b"")


def test_a_leader_ends_no_training_that_is_under_way(ordered):
    member, leader, step = under_way(ordered)
    step = replace(step, message=leader.say(b"", DONE))
    with pytest.raises(JobError, match="ends a training that is under way"):
        member.answer(step, ordered.cluster.host())


@pytest.mark.parametrize("change", [{"node": 0}, {"partition": 0}, {"partitions": 3}])
def test_a_message_is_of_the_training_under_way(ordered, change):
    member, leader, step = under_way(ordered)
    step = replace(step, message=leader.say(b""), **change)
    with pytest.raises(JobError, match="another training than the one under way"):
        member.answer(step, ordered.cluster.host())


# --- lines


def test_a_line_is_of_its_epoch_and_its_members(ordered):
    epoch = ordered.cluster.runners[1].work.epoch
    for changes in ({"epoch": 2}, {"context": replace(epoch.context, attempt=2)}):
        with pytest.raises(JobError, match="another job or epoch"):
            MembersLine(epoch, replace(ordered.name, **changes), 1)
    for member in (0, 2):
        with pytest.raises(JobError, match="no such member"):
            MembersLine(epoch, ordered.name, member)


def test_a_line_ends_with_its_epoch(ordered):
    other = TaskCluster(ordered.cluster.checked, ordered.cluster.tables, limits=LIMITS)
    epoch = other.runners[0].work.epoch
    line = LeadersLine(epoch, replace(ordered.name, context=epoch.context), 1)
    line.say(b"")
    epoch.wipe()
    with pytest.raises(JobError, match="this epoch is over"):
        line.say(b"")


def sealed(ordered: Ordered, log: Digest, **changes: Any) -> bytes:
    """A message by somebody who knows the epoch's key and keeps no rule."""
    header = Header(
        **{
            "salt": b"\x01" * 32,
            "sender": 0,
            "number": 0,
            "kind": CARRIED,
            "turn": 1,
            "of_class": 0,
            "level": 0,
            "shown": None,
            **changes,
        }
    )
    key = ordered.cluster.block_key.raw
    return messages.seal(key, ordered.name, log, header, b"plain")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sender": 1}, "not of the leader"),
        ({"sender": 2}, "not of the leader"),
        ({"turn": 0}, "another member's line"),
        ({"number": 1}, "out of order"),
        ({"kind": "grow"}, "another kind"),
    ],
)
def test_a_member_takes_the_leaders_messages_alone(ordered, changes, said):
    line = MembersLine(ordered.cluster.runners[1].work.epoch, ordered.name, 1)
    with pytest.raises(JobError, match=said):
        line.take(sealed(ordered, line.log, **changes))
    assert line.take(sealed(ordered, line.log)) == b"plain"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sender": 0}, "somebody else"),
        ({"sender": 1}, "somebody else"),
        ({"turn": 0}, "another member's line"),
        ({"number": 1}, "out of order"),
        ({"kind": DONE}, "another kind"),
    ],
)
def test_a_leader_takes_its_members_answers_alone(ordered, changes, said):
    line = ordered.line()
    line.say(b"")
    with pytest.raises(JobError, match=said):
        line.take(sealed(ordered, line.log, **{"sender": 2, **changes}))
    assert line.take(sealed(ordered, line.log, sender=2)) == b"plain"


def test_a_line_has_one_leader_and_ends_once(ordered):
    line = MembersLine(ordered.cluster.runners[1].work.epoch, ordered.name, 1)
    line.take(sealed(ordered, line.log))
    line.answer(b"")
    with pytest.raises(JobError, match="another run"):
        line.take(sealed(ordered, line.log, number=1, salt=b"\x02" * 32))
    line.take(sealed(ordered, line.log, number=1, kind=DONE))
    line.answer(b"")
    with pytest.raises(JobError, match="came after the last"):
        line.take(sealed(ordered, line.log, number=2))


# --- the process for trainings


class Scripted:
    """A process for trainings that says what it was told to."""

    def __init__(self, *frames: Frame) -> None:
        self.frames = list(frames)

    def waits(self, _: float) -> bool:
        return bool(self.frames)

    def read(self) -> Frame:
        return self.frames.pop(0)

    def over(self) -> None:
        pass


def own(*frames: Frame) -> OwnTraining:
    trainer: Any = Scripted(*frames)
    return OwnTraining(trainer, LEASE, lambda _: None)


def test_why_a_process_failed_is_told():
    failed = Frame(Tag.FAILED, encode({"message": "labels are classes", "hint": "look"}))
    training = own(failed, Frame(Tag.ENDED, b"1"))
    training.said()
    with pytest.raises(EngineError, match="labels are classes"):
        training.said()


def test_a_process_that_ends_without_a_model_has_failed():
    with pytest.raises(EngineError, match="ended its process in mid-training"):
        own(Frame(Tag.ENDED, b"0")).said()


def test_a_process_says_nothing_that_only_its_enclave_says():
    with pytest.raises(FormatError, match="none of its business"):
        own(Frame(Tag.GO)).said()


def test_a_silent_process_is_given_up(monkeypatch):
    monkeypatch.setattr(collective_process, "SILENT_SECONDS", 2)
    with pytest.raises(EngineError, match="says nothing any more"):
        own().said()


@pytest.mark.parametrize("raw", [b"[]", b'{"e":[]}', b'{"e":{"m":"0x1p+0"}}'])
def test_metrics_are_tables_of_numbers(raw):
    with pytest.raises(FormatError, match="metrics are"):
        _metrics(raw)
    assert _metrics(b'{"e":{"m":["0x1.8p+0"]}}') == {"e": {"m": [1.5]}}
