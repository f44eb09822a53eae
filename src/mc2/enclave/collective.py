"""Trainings of stock XGBoost over the enclaves of one epoch: as the leader runs them, and a member.

Each enclave has a process for trainings (`mc2.engine.collective.apart`) with its part of the rows.
What these say to each other passes through the leader, which is the switch, sealed on the line of
each member. Members take turns: a member that waits for others gives its turn back.
Spec: docs/spec/collective.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from mc2.crypto.digest import Digest, digest, same_digest
from mc2.enclave.cluster import Workers
from mc2.enclave.cluster_member import Membership
from mc2.enclave.collective_lines import DONE, LeadersLine, MembersLine
from mc2.enclave.release import Lease
from mc2.enclave.task_inputs import SealedBlock, fetched
from mc2.enclave.task_rules import AllTasks
from mc2.enclave.task_runner import Host, TaskRunner
from mc2.engine.collective.apart import Trainer
from mc2.engine.collective.link import Tag
from mc2.engine.collective.switch import MOST, Switch
from mc2.engine.collective.training import Head
from mc2.engine.limits import EngineLimits
from mc2.engine.trees import Metrics
from mc2.errors import EngineError, FormatError, JobError, WorkerError, error_types
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields
from mc2.formats.task import TaskReceipt
from mc2.formats.training_message import TrainingName, first_log
from mc2.formats.training_receipt import TrainingReceipt
from mc2.formats.worker_tasks import PARTITIONS, Ended, TrainStep
from mc2.plan.models import Matrix
from mc2.plan.relations import Scan
from mc2.plan.stages import ExchangeSource
from mc2.plan.trained_apart import ApartTraining, trainings_apart

WORTH_SHARING: Final = 1 << 16
"""Rows below which messages take longer than one enclave trains."""

SILENT_SECONDS: Final = 1800
"""How long a process for trainings may say nothing before its training is given up."""

_LENGTH: Final = 4
_ORDER: Final = "mc2/collective-order/v1"
_ORDER_BYTES: Final = 8 * 1024 * 1024
_PLACES_BYTES: Final = 64 * 1024
_WAITS, _MORE, _TRAINED = 0, 1, 2
_HINT: Final = "the host mixed up a training: run the job again"
_AGAIN: Final = "run the job again: nothing of the training is kept"


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `start` to `stop` of a source of a matrix."""

    matrix: int
    source: int
    place: int
    start: int
    stop: int


class Rows:
    """The rows of a training as tasks handed them on, and how they are cut into `count` parts.

    `receipts` are those of the producers of each of the last stage's sources that it reads.
    """

    def __init__(
        self,
        runner: TaskRunner,
        training: ApartTraining,
        receipts: Mapping[int, Sequence[TaskReceipt]],
        count: int,
    ) -> None:
        self._training, self._count = training, count
        self._blocks = {p: runner.last_blocks(p, found) for p, found in receipts.items()}
        self._schemas = {p: runner.last_schema(p) for p in receipts}
        self._sizes = {p: sum(b.named.rows for b in b_) for p, b_ in self._blocks.items()}

    @property
    def least(self) -> int:
        """The rows of the matrix that has fewest."""
        return min(self._all(m) for m in self._training.matrices)

    @property
    def all_rows(self) -> int:
        """How many rows there are to train on."""
        return self._all(self._training.operation.matrix)

    def places(self) -> tuple[int, ...]:
        """How many rows each member trains on."""
        return tuple(len(self._cut(self.all_rows, p)) for p in range(self._count))

    def _all(self, matrix: int) -> int:
        return sum(self._sizes[p] for p in self._training.matrices[matrix])

    def _cut(self, rows: int, part: int) -> range:
        return range(part * rows // self._count, (part + 1) * rows // self._count)

    def part(self, number: int) -> Iterator[Piece]:
        """What a member has: of each matrix an equal share of its rows, in their order."""
        for matrix, places in self._training.matrices.items():
            cut, first = self._cut(self._all(matrix), number), 0
            for source, place in enumerate(places):
                start = min(max(cut.start - first, 0), self._sizes[place])
                stop = min(max(cut.stop - first, 0), self._sizes[place])
                yield Piece(matrix, source, place, start, stop)
                first += self._sizes[place]

    def batches(self, piece: Piece, read: Callable[[Digest], bytes]) -> Iterator[pa.RecordBatch]:
        """The rows of a piece. Raises: as opening a block; what `read` raises."""
        first = 0
        for block in self._blocks[piece.place]:
            count = block.named.rows
            start, stop = max(piece.start - first, 0), min(piece.stop - first, count)
            first += count
            if start < stop:
                yield self._open(piece.place, block, read).slice(start, stop - start)

    def _open(
        self, place: int, block: SealedBlock, read: Callable[[Digest], bytes]
    ) -> pa.RecordBatch:
        raw = fetched(read, block.named.digest)
        return block.cipher.open(block.place, block.named, self._schemas[place], raw)


@dataclass(slots=True)
class _Own:
    """This enclave's process for one training, and what it said so far."""

    trainer: Trainer
    lease: Lease
    tell: Callable[[int], None]
    turns: int = 0
    idle: bool = False
    ended: bool = False
    model: bytes = b""
    metrics: bytes = b""
    failure: EngineError | None = None

    def begin(self, head: Head, rows: Rows, read: Callable[[Digest], bytes]) -> None:
        """Hand over the rows, and let it train. Raises: EngineError; as opening a block."""
        self.trainer.begin(head)
        for piece in rows.part(head.member):
            for batch in rows.batches(piece, read):
                self.trainer.rows(piece.matrix, piece.source, batch)
        self.trainer.go()

    def turn(self, packets: bytes) -> None:
        """Hand over packets."""
        self.turns += 1
        self.idle = False
        self.trainer.turn(self.turns, packets)

    def said(self) -> bytes | None:
        """What the process says next: a packet, or something else that was noted.

        Raises: EngineError, FormatError; GrantError after the lease.
        """
        self._wait()
        frame = self.trainer.read()
        match frame.tag:
            case Tag.PACKET:
                return frame.payload
            case Tag.IDLE:
                self.idle = int.from_bytes(frame.payload, "big") == self.turns
            case Tag.ROUND:
                self.tell(int.from_bytes(frame.payload, "big"))
            case Tag.MODEL:
                self.model = frame.payload
            case Tag.METRICS:
                self.metrics = frame.payload
            case Tag.FAILED:
                self.failure = _failure(frame.payload)
            case Tag.ENDED:
                self._end()
            case _:
                raise FormatError("the process for trainings says what is none of its business")
        return None

    def _wait(self) -> None:
        for _ in range(SILENT_SECONDS):
            self.lease.check()
            if self.trainer.waits(1):
                return
        raise EngineError("the process for trainings says nothing any more", hint=_AGAIN)

    def _end(self) -> None:
        self.trainer.over()
        self.ended = True
        if self.failure is not None:
            raise self.failure
        if not self.model:
            raise EngineError(
                "XGBoost ended its process in mid-training",
                hint="run the job again; if it ends again, the machine may lack memory",
            )


def _failure(payload: bytes) -> EngineError:
    fields = Fields(decode(payload, _PLACES_BYTES, "a failure"), "a failure")
    return EngineError(fields.text("message", 500), hint=fields.text("hint", 500))


# --- the leader


class LedCollectives:
    """The trainings that a job's leader shares with members of its epoch.

    `names` are the host's names of the members.
    """

    def __init__(
        self,
        member: Membership,
        limits: EngineLimits,
        host: Host,
        workers: Workers,
        names: Collection[str],
        trainer: Trainer,
    ) -> None:
        self._member, self._limits, self._host = member, limits, host
        self._workers, self._names, self._trainer = workers, names, trainer
        self.receipts: list[Digest] = []
        """What names the receipts of all trainings so far."""

    def shared(self, runner: TaskRunner, found: AllTasks) -> SharedTrainings | None:
        """The trainings of the last stage that are worth sharing; None if there are none."""
        names = self._names
        if not names or not self._trainer.usable:
            return None
        trainings = trainings_apart(runner.work.stages, runner.last_fragment.shapes)
        cuts = {}
        for node, training in trainings.items():
            receipts = {p: _producers(runner, found, p) for p in _read(training)}
            rows = Rows(runner, training, receipts, 1 + len(names))
            if rows.all_rows >= WORTH_SHARING and rows.least > len(names):
                cuts[node] = rows
        if not cuts:
            return None
        return SharedTrainings(self, runner, found, list(names), trainings, cuts)

    def run(
        self, shared: SharedTrainings, node: int, tell: Callable[[int], None]
    ) -> tuple[bytes, Metrics]:
        """Train; the model's file and its metrics. Raises: as `_Led.run`."""
        led = _Led(shared, node, self, tell)
        try:
            return led.run()
        finally:
            self._trainer.abandon()


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
        self, shared: SharedTrainings, node: int, led: LedCollectives, tell: Callable[[int], None]
    ) -> None:
        self._shared, self._node, self._led = shared, node, led
        self._rows = shared.cuts[node]
        self._epoch = led._member.epoch  # noqa: SLF001  two halves of one thing
        self._workers, self._host = led._workers, led._host  # noqa: SLF001
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
        lease, trainer = led._member.lease, led._trainer  # noqa: SLF001
        self._own = _Own(trainer, lease, tell)

    def run(self) -> tuple[bytes, Metrics]:
        """Train. Raises: EngineError, WorkerError, JobError, FormatError, GrantError."""
        self._begin()
        while not (self._own.ended and len(self._models) == len(self._names)):
            self._hand_out()
            self._hear_own()
            self._hand_out()
            if self._busy:
                self._hear_member()
            elif self._own.idle and not self._own.ended and not self._switch.waits(0):
                self._nudge()
        model = digest(self._own.model)
        if any(found != model for found in self._models.values()):
            raise JobError("the members of a training have different models", hint=_HINT)
        self._finish()
        return self._own.model, _metrics(self._own.metrics)

    def _begin(self) -> None:
        order = _order(self._shared, self._node)
        places = encode(list(self._name.places))
        for member in self._names:
            sealed = self._lines[member].say(order)
            self._assign(member, len(places).to_bytes(_LENGTH, "big") + places + sealed)
        head = _head(
            self._shared.runner,
            self._node,
            0,
            self._count,
            self._led._limits.threads,  # noqa: SLF001
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
        if state == bytes((_TRAINED,)):
            self._models[member] = rest.decode("ascii", errors="replace")
            return
        if state == bytes((_MORE,)):
            self._more.add(member)
        self._switch.take(member, rest)

    def _nudge(self) -> None:
        """Everybody waits: for what one of the processes is about to say."""
        if not self._own.trainer.waits(1):
            self._own.lease.check()
            self._more |= self._names.keys() - self._models.keys()

    def _finish(self) -> None:
        """Take exactly one receipt of each member, of exactly this line's messages."""
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
            name = digest(raw)
            self._host.write(name, raw)
            self._led.receipts.append(name)


def _answer(ended: Ended) -> bytes:
    """What a member answered. Raises: WorkerError if it was lost; what it refused with."""
    if not ended.code:
        return ended.receipt
    kind = error_types().get(ended.code, JobError)
    if issubclass(kind, WorkerError):
        raise WorkerError(f"{ended.worker} was lost while it trained", hint=_AGAIN)
    raise kind(ended.message, hint=ended.hint)


def _metrics(raw: bytes) -> Metrics:
    value = decode(raw, _ORDER_BYTES, "metrics")
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


# --- a member


class MemberCollectives:
    """A member's part of the trainings of its epoch, one at a time, each once.

    `runner_of` gives the tasks of a plan cut into so many partitions.
    """

    def __init__(
        self,
        member: Membership,
        limits: EngineLimits,
        trainer: Trainer,
        runner_of: Callable[[int], TaskRunner],
    ) -> None:
        self._member, self._limits, self._trainer = member, limits, trainer
        self._runner_of = runner_of
        self._at: tuple[int, int, int] | None = None
        self._begun: set[int] = set()
        self._line: MembersLine | None = None
        self._own: _Own | None = None

    def answer(self, step: TrainStep, host: Host) -> bytes:
        """Answer a message of the leader; the first one of a training has the rows read.

        Raises: JobError for what is none of this epoch's; what reading rows raises; EngineError,
        FormatError; GrantError after the lease.
        """
        self._member.lease.check()
        at = (step.node, step.partition, step.partitions)
        if self._line is None or self._own is None:
            line, order = self._first(step)
            self._line, self._at = line, at
            self._own = self._trains(step, order, line.name.places, host)
        elif at != self._at:
            raise JobError("a message is of another training than the one under way", hint=_HINT)
        else:
            line = self._line
            plain = line.take(step.message)
            if line.over:
                return self._receipt(line, step.partition)
            if not self._own.ended:
                self._own.turn(plain)
        return line.answer(self._said(self._own))

    def close(self) -> None:
        """Give up the training that is under way."""
        self._trainer.abandon()

    def _first(self, step: TrainStep) -> tuple[MembersLine, bytes]:
        """The line of a training that begins, and the leader's order."""
        if step.node in self._begun:
            raise JobError("a training was begun twice", hint=_HINT)
        length = int.from_bytes(step.message[:_LENGTH], "big")
        if not 0 < length <= min(_PLACES_BYTES, len(step.message) - _LENGTH):
            raise FormatError("the first message of a training is cut off")
        rest = _LENGTH + length
        places = decode(step.message[_LENGTH:rest], _PLACES_BYTES, "the rows of members")
        epoch = self._member.epoch
        named: Json = {
            "job": epoch.context.json(),
            "epoch": epoch.number,
            "node": step.node,
            "places": places,
            "homes": [],
        }
        fields = Fields(named, "a training")
        name = TrainingName.read(fields)
        if len(name.places) != step.partitions:
            raise JobError("a training is over another number of members", hint=_HINT)
        line = MembersLine(epoch, name, step.partition)
        order = line.take(step.message[rest:])
        self._begun.add(step.node)
        return line, order

    def _trains(self, step: TrainStep, raw: bytes, places: tuple[int, ...], host: Host) -> _Own:
        """Read this member's rows, as the order names them, and let them be trained on."""
        runner, names = _read_order(raw, self._runner_of)
        training = trainings_apart(runner.work.stages, runner.last_fragment.shapes).get(step.node)
        if training is None or names.keys() != set(_read(training)):
            raise JobError("the plan has no training there that enclaves share", hint=_HINT)

        def read(name: Digest) -> bytes:
            self._member.lease.check()  # E16
            return host.read(name)

        receipts = {p: runner.last_receipts(p, found, read) for p, found in names.items()}
        rows = Rows(runner, training, receipts, step.partitions)
        if rows.places() != places:
            raise JobError("a training has other rows than its leader says", hint=_HINT)
        own = _Own(self._trainer, self._member.lease, lambda _: None)
        threads = self._limits.threads
        own.begin(_head(runner, step.node, step.partition, step.partitions, threads), rows, read)
        return own

    def _said(self, own: _Own) -> bytes:
        """What the process says until it waits for others, has ended, or has said a lot."""
        packets, size = [], 0
        while not (own.idle or own.ended):
            packet = own.said()
            if packet is not None:
                packets.append(packet)
                size += len(packet)
            if size > MOST:
                return bytes((_MORE,)) + b"".join(packets)
        if own.ended and not packets:
            return bytes((_TRAINED,)) + digest(own.model).encode("ascii")
        return bytes((_MORE if own.ended else _WAITS,)) + b"".join(packets)

    def _receipt(self, line: MembersLine, partition: int) -> bytes:
        if self._own is None or not self._own.ended:
            raise JobError("the leader ends a training that is under way", hint=_HINT)
        epoch = self._member.epoch
        self._line = self._own = self._at = None
        return TrainingReceipt(
            training=line.name, partition=partition, member=epoch.own, log=line.log
        ).sign(epoch.signing_key)


# --- what both sides work out


def _read(training: ApartTraining) -> list[int]:
    """The last stage's sources that a training reads."""
    return sorted({p for places in training.matrices.values() for p in places})


def _source(runner: TaskRunner, place: int) -> ExchangeSource:
    source = runner.work.stages.stages[runner.work.stages.last].sources[place]
    if not isinstance(source, ExchangeSource):
        raise JobError("a training reads what tasks handed on", hint=_HINT)
    return source


def _producers(runner: TaskRunner, found: AllTasks, place: int) -> list[TaskReceipt]:
    source = _source(runner, place)
    return [found.receipts[source.stage, p] for p in runner.work.stages.producers(source, 0)]


def _head(runner: TaskRunner, node: int, member: int, members: int, threads: int) -> Head:
    plan = runner.last_fragment.plan.encode()
    return Head(member=member, members=members, node=node, threads=threads, plan=plan)


def _order(shared: SharedTrainings, node: int) -> bytes:
    """What a member is told first: how the plan is cut, and which receipts name its rows."""
    work, inputs = shared.runner.work, shared.found.inputs
    exchanged = [
        p
        for p, s in enumerate(work.stages.stages[work.stages.last].sources)
        if isinstance(s, ExchangeSource)
    ]
    names = dict(zip(exchanged, inputs, strict=True))
    said: Json = {
        "type": _ORDER,
        "partitions": work.stages.layout.partitions,
        "stages": work.digest,
        "inputs": [[p, list(names[p])] for p in _read(shared.trainings[node])],
    }
    return encode(said)


def _read_order(
    raw: bytes, runner_of: Callable[[int], TaskRunner]
) -> tuple[TaskRunner, dict[int, list[Digest]]]:
    fields = Fields(decode(raw, _ORDER_BYTES, "an order to train"), "an order to train")
    fields.type(_ORDER)
    runner = runner_of(fields.integer("partitions", 1, PARTITIONS))
    if not same_digest(fields.digest("stages"), runner.work.digest):
        raise JobError("the order is for another cut of the plan", hint=_HINT)
    inputs = fields.items("inputs", PARTITIONS, _read_input)
    fields.done()
    return runner, dict(inputs)


def _read_input(value: Json) -> tuple[int, list[Digest]]:
    match value:
        case [int() as place, list() as names] if place >= 0:
            return place, [Digest(str(n)) for n in names]
        case _:
            raise FormatError("an order to train names its inputs by place")
