"""Trainings of stock XGBoost over the enclaves of one epoch: as the leader runs them, and a member.

Each enclave has a process for trainings (`mc2.engine.collective.apart`) with its part of the rows.
What these say to each other passes through the leader, which is the switch, sealed on the line of
each member. Members take turns: a member that waits for others gives its turn back.
Spec: docs/spec/collective.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from mc2.crypto.digest import Digest, digest, same_digest
from mc2.enclave.cluster_member import Membership
from mc2.enclave.collective_lines import DONE, LeadersLine
from mc2.enclave.collective_member import MORE, TRAINED
from mc2.enclave.collective_process import SILENT_SECONDS, OwnTraining
from mc2.enclave.collective_rows import Rows, head_of, order_of, producers_of, sources_read
from mc2.enclave.task_rules import AllTasks
from mc2.enclave.task_runner import Host, TaskRunner
from mc2.engine.collective.apart import Trainer
from mc2.engine.collective.switch import MOST, Switch
from mc2.engine.limits import EngineLimits
from mc2.engine.trees import Metrics
from mc2.errors import DatasetError, EngineError, FormatError, JobError, WorkerError, error_types
from mc2.formats.canonical import decode, encode
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.training_message import TrainingName, first_log
from mc2.formats.training_receipt import TrainingReceipt
from mc2.formats.worker_tasks import Ended, TrainStep
from mc2.plan.models import Matrix
from mc2.plan.relations import Scan
from mc2.plan.trained_apart import ApartTraining, trainings_apart

WORTH_SHARING: Final = 1 << 16
"""Rows below which messages take longer than one enclave trains."""

_LENGTH: Final = 4
_METRICS_BYTES: Final = 8 * 1024 * 1024
_HINT: Final = "the host mixed up a training: run the job again"
_AGAIN: Final = "run the job again: nothing of the training is kept"


@dataclass(frozen=True, slots=True)
class Trained:
    """A shared training that has ended. `order` names the very rows that it was over."""

    order: bytes
    model: bytes
    metrics: Metrics
    receipts: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """The leader's process for trainings, and what has ended of one epoch's, by node.

    The last task may run again, for a block that was lost, and members train once.
    """

    trainer: Trainer
    ended: dict[int, Trained] = field(default_factory=dict)


class LedCollectives:
    """The trainings that a job's leader shares with members of its epoch.

    `names` are the host's names of the members.
    """

    def __init__(
        self,
        member: Membership,
        limits: EngineLimits,
        host: Host,
        workers: OtherWorkers,
        names: Collection[str],
        process: Process,
    ) -> None:
        self.member, self.limits, self.host = member, limits, host
        self.workers, self._names = workers, names
        self.trainer, self._ended = process.trainer, process.ended
        self.receipts: list[Digest] = []
        """What names the receipts of all trainings so far."""

    def shared(self, runner: TaskRunner, found: AllTasks) -> SharedTrainings | None:
        """The trainings of the last stage that are worth sharing; None if there are none."""
        names = self._names
        if not names or not self.trainer.usable:
            return None
        trainings = trainings_apart(runner.work.stages, runner.last_fragment.shapes)
        cuts = {}
        for node, training in trainings.items():
            receipts = {p: producers_of(runner, found, p) for p in sources_read(training)}
            rows = Rows(runner, training, receipts, 1 + len(names))
            if rows.all_rows >= WORTH_SHARING and rows.least > len(names):
                cuts[node] = rows
        if not cuts:
            return None
        return SharedTrainings(self, runner, found, list(names), trainings, cuts)

    @property
    def dealing(self) -> None:
        """Stock XGBoost trains on nothing that is dealt out."""
        return

    def run(
        self, shared: SharedTrainings, node: int, tell: Callable[[int], None]
    ) -> tuple[bytes, Metrics]:
        """Train, or take what a training of the same rows gave; the model's file and its metrics.

        Raises: as `_Led.run`; JobError if the rows of one that has ended were lost.
        """
        order = order_of(shared.runner, shared.found, shared.trainings[node])
        found = self._ended.get(node)
        if found is None:
            found = self._ended[node] = self._train(_Led(shared, node, self, tell, order))
        elif found.order != order:
            raise JobError(
                "the host lost rows of a training that had ended, and members train once",
                hint=_AGAIN,
            )
        self.receipts.extend(found.receipts)
        return found.model, found.metrics

    def _train(self, led: _Led) -> Trained:
        try:
            return led.run()
        except DatasetError as error:  # blocks are written anew, trainings are not
            raise JobError(f"a training ended: {error}", hint=_AGAIN) from error
        finally:
            self.trainer.abandon()


class SharedTrainings:
    """The trainings of one job's last stage that several enclaves share."""

    def __init__(
        self,
        led: LedCollectives,
        runner: TaskRunner,
        found: AllTasks,
        names: list[str],
        trainings: Mapping[int, ApartTraining],
        cuts: Mapping[int, Rows],
    ) -> None:
        self._led, self.runner, self.found, self.names = led, runner, found, names
        self.trainings, self.cuts = trainings, cuts

    @property
    def nodes(self) -> Collection[int]:
        """The trainings that are shared, by node of the last stage."""
        return self.cuts.keys()

    @property
    def read(self) -> Collection[int]:
        """The last stage's sources that nobody reads but those who train."""
        nodes = self.runner.last_fragment.plan.nodes
        others: set[int] = set()
        for index, node in enumerate(nodes):
            if index not in self.nodes and not isinstance(node.operation, Matrix):
                others.update(node.operation.sources)
        kept = {m for t in self.cuts for m in self.trainings[t].matrices} - others
        scans = {s for m in kept for s in nodes[m].operation.sources}
        for index, node in enumerate(nodes):
            if index not in kept:
                scans -= set(node.operation.sources)
        outputs = {o.node for o in self.runner.last_fragment.plan.outputs}
        found = (nodes[s].operation for s in scans - outputs)
        return {o.input for o in found if isinstance(o, Scan)}

    def train(self, node: int, tell: Callable[[int], None]) -> tuple[bytes, Metrics]:
        """Train; the model's file and its metrics. `tell` after each round.

        Raises: EngineError; WorkerError if a member was lost; JobError for what the host mixed up.
        """
        return self._led.run(self, node, tell)


class _Led:
    """One training, in its leader."""

    def __init__(
        self,
        shared: SharedTrainings,
        node: int,
        led: LedCollectives,
        tell: Callable[[int], None],
        order: bytes,
    ) -> None:
        self._shared, self._node, self._led, self._order = shared, node, led, order
        self._rows = shared.cuts[node]
        self._epoch = led.member.epoch
        self._workers, self._host = led.workers, led.host
        self._names = dict(enumerate(shared.names, start=1))
        self._count = 1 + len(shared.names)
        self._name = TrainingName(
            context=self._epoch.context,
            epoch=self._epoch.number,
            node=node,
            places=self._rows.places(),
        )
        self._lines = {p: LeadersLine(self._epoch, self._name, p) for p in self._names}
        self._switch = Switch(self._count)
        self._busy: set[int] = set()
        self._more: set[int] = set()
        self._models: dict[int, str] = {}
        self._nudges = 0
        lease, trainer = led.member.lease, led.trainer
        self._own = OwnTraining(trainer, lease, tell)

    def run(self) -> Trained:
        """Train. Raises: EngineError, WorkerError, JobError, FormatError, GrantError."""
        self._begin()
        while not (self._own.ended and len(self._models) == len(self._names)):
            self._hand_out()
            self._hear_own()
            self._hand_out()
            if self._busy:
                self._hear_member()
            elif (self._own.idle or self._own.ended) and not self._switch.waits(0):
                self._nudge()
        model = digest(self._own.model)
        if any(found != model for found in self._models.values()):
            raise JobError("the members of a training have different models", hint=_HINT)
        receipts = self._finish()
        return Trained(self._order, self._own.model, _metrics(self._own.metrics), receipts)

    def _begin(self) -> None:
        places = encode(list(self._name.places))
        for member in self._names:
            sealed = self._lines[member].say(self._order)
            self._assign(member, len(places).to_bytes(_LENGTH, "big") + places + sealed)
        head = head_of(
            self._shared.runner,
            self._node,
            0,
            self._count,
            self._led.limits.threads,
        )
        self._own.begin(head, self._rows, self._host.read)

    def _assign(self, member: int, message: bytes) -> None:
        self._busy.add(member)
        self._more.discard(member)
        step = TrainStep(self._node, member, self._count, message)
        self._workers.assign(self._names[member], step)

    def _hand_out(self) -> None:
        """Give packets to those they are for, and their turns to those who have more to say."""
        if self._switch.waits(0) and not self._own.ended:
            self._own.turn(self._switch.packets(0, MOST))
        for member in self._names:
            free = member not in self._busy and member not in self._models
            if free and (self._switch.waits(member) or member in self._more):
                self._assign(member, self._lines[member].say(self._switch.packets(member, MOST)))

    def _hear_own(self) -> None:
        """Take what the own process says, until it waits for others."""
        while not self._own.ended and (not self._own.idle or self._own.trainer.waits(0)):
            packet = self._own.said()
            if packet is not None:
                self._switch.take(0, packet)

    def _hear_member(self) -> None:
        """Take one member's answer. Raises: WorkerError if it was lost, JobError, FormatError."""
        ended = self._workers.ended(wait=True)
        member = next((m for m in self._busy if self._names[m] == ended.worker), None)
        if member is None:
            raise JobError("the host tells of a step that nobody was given", hint=_HINT)
        self._busy.discard(member)
        plain = self._lines[member].take(_answer(ended))
        state, rest = plain[:1], plain[1:]
        if state == bytes((TRAINED,)):
            self._models[member] = rest.decode("ascii", errors="replace")
            return
        if state == bytes((MORE,)):
            self._more.add(member)
        self._switch.take(member, rest)
        self._nudges = 0 if rest else self._nudges

    def _nudge(self) -> None:
        """Everybody waits: for what one of the processes is about to say.

        Raises: EngineError if that goes on; GrantError after the lease.
        """
        if not self._own.ended and self._own.trainer.waits(1):
            return
        self._own.lease.check()
        self._nudges += 1
        if self._nudges > SILENT_SECONDS:
            raise EngineError("the members of a training wait for one another", hint=_AGAIN)
        self._more |= self._names.keys() - self._models.keys()

    def _finish(self) -> tuple[Digest, ...]:
        """Take exactly one receipt of each member, of exactly this line's messages; their names."""
        own = TrainingReceipt(
            training=self._name, partition=0, member=self._epoch.own, log=first_log(self._name)
        )
        raws = [own.sign(self._epoch.signing_key)]
        for member in self._names:
            self._assign(member, self._lines[member].say(b"", DONE))
            ended = self._workers.ended(wait=True)
            if ended.worker != self._names[member]:
                raise JobError("the host tells of a step that nobody was given", hint=_HINT)
            raws.append(_answer(ended))
            found = TrainingReceipt.verify(raws[-1], self._shared.runner.work.key_of).value
            if (found.training, found.partition, found.dropped) != (self._name, member, ()):
                raise JobError("the receipt of another training came back", hint=_HINT)
            if not same_digest(found.log, self._lines[member].log):
                raise JobError("a receipt tells of other messages than were sent", hint=_HINT)
        for raw in raws:
            self._host.write(digest(raw), raw)
        return tuple(map(digest, raws))


def _answer(ended: Ended) -> bytes:
    """What a member answered. Raises: WorkerError if it was lost; what it refused with."""
    if not ended.code:
        return ended.receipt
    kind = error_types().get(ended.code, JobError)
    if issubclass(kind, WorkerError):
        raise WorkerError(f"{ended.worker} was lost while it trained", hint=_AGAIN)
    raise kind(ended.message, hint=ended.hint)


def _metrics(raw: bytes) -> Metrics:
    value = decode(raw, _METRICS_BYTES, "metrics")
    if not isinstance(value, dict):
        raise FormatError("metrics are a table")
    found: dict[str, dict[str, list[float]]] = {}
    for evaluation, named in value.items():
        if not isinstance(named, dict):
            raise FormatError("metrics are a table")
        found[evaluation] = {}
        for metric, values in named.items():
            if not isinstance(values, list):
                raise FormatError("metrics are numbers")
            found[evaluation][metric] = [float.fromhex(str(v)) for v in values]
    return found
