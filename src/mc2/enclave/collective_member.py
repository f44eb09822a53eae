"""A member's part of the trainings of stock XGBoost that its leader shares.

Spec: docs/spec/collective.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mc2.crypto.digest import Digest, digest
from mc2.enclave.cluster_member import Membership
from mc2.enclave.collective_lines import MembersLine
from mc2.enclave.collective_process import OwnTraining
from mc2.enclave.collective_rows import Rows, head_of, read_order, sources_read
from mc2.enclave.task_runner import Host, TaskRunner
from mc2.engine.collective.apart import Trainer
from mc2.engine.collective.switch import MOST
from mc2.engine.limits import EngineLimits
from mc2.errors import FormatError, JobError
from mc2.formats.canonical import Json, decode
from mc2.formats.fields import Fields
from mc2.formats.training_message import TrainingName
from mc2.formats.training_receipt import TrainingReceipt
from mc2.formats.worker_tasks import TrainStep
from mc2.plan.trained_apart import trainings_apart

WAITS, MORE, TRAINED = 0, 1, 2
"""What an answer begins with: the member waits for others, has more to say, or has its model."""

_LENGTH: Final = 4
_PLACES_BYTES: Final = 64 * 1024
_HINT: Final = "the host mixed up a training: run the job again"


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
        self._own: OwnTraining | None = None

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
            "dealt": None,
        }
        fields = Fields(named, "a training")
        name = TrainingName.read(fields)
        if len(name.places) != step.partitions:
            raise JobError("a training is over another number of members", hint=_HINT)
        line = MembersLine(epoch, name, step.partition)
        order = line.take(step.message[rest:])
        self._begun.add(step.node)
        return line, order

    def _trains(
        self, step: TrainStep, raw: bytes, places: tuple[int, ...], host: Host
    ) -> OwnTraining:
        """Read this member's rows, as the order names them, and let them be trained on."""
        runner, names = read_order(raw, self._runner_of)
        training = trainings_apart(runner.work.stages, runner.last_fragment.shapes).get(step.node)
        if training is None or names.keys() != set(sources_read(training)):
            raise JobError("the plan has no training there that enclaves share", hint=_HINT)

        def read(name: Digest) -> bytes:
            self._member.lease.check()  # E16
            return host.read(name)

        receipts = {p: runner.last_receipts(p, found, read) for p, found in names.items()}
        rows = Rows(runner, training, receipts, step.partitions)
        if rows.places() != places:
            raise JobError("a training has other rows than its leader says", hint=_HINT)
        own = OwnTraining(self._trainer, self._member.lease, lambda _: None)
        threads = self._limits.threads
        own.begin(head_of(runner, step.node, step.partition, step.partitions, threads), rows, read)
        return own

    def _said(self, own: OwnTraining) -> bytes:
        """What the process says until it waits for others, has ended, or has said a lot."""
        packets, size = [], 0
        while not (own.idle or own.ended):
            packet = own.said()
            if packet is not None:
                packets.append(packet)
                size += len(packet)
            if size > MOST:
                return bytes((MORE,)) + b"".join(packets)
        if own.ended and not packets:
            return bytes((TRAINED,)) + digest(own.model).encode("ascii")
        return bytes((MORE if own.ended else WAITS,)) + b"".join(packets)

    def _receipt(self, line: MembersLine, partition: int) -> bytes:
        if self._own is None or not self._own.ended:
            raise JobError("the leader ends a training that is under way", hint=_HINT)
        epoch = self._member.epoch
        self._line = self._own = self._at = None
        return TrainingReceipt(
            training=line.name, partition=partition, member=epoch.own, log=line.log
        ).sign(epoch.signing_key)
