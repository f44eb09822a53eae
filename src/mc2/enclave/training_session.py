"""A training over several enclaves, on both sides: the leader's messages, and a member's answers.

The host carries sealed messages of public length and is believed nothing: one that is missing,
there twice, of another step, partition, training or epoch, or altered, is refused by name.
Spec: docs/spec/training-message.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol, runtime_checkable

from mc2.crypto.digest import Digest
from mc2.enclave.epoch import Epoch
from mc2.errors import CryptoError, EngineError, JobError
from mc2.formats import training_message as messages
from mc2.formats.training_message import LEADER, Header, TrainingName
from mc2.formats.training_receipt import TrainingReceipt
from mc2.ml.boosting_rounds import Arrays, Form, Kind, Step, packed, unpacked

_HINT: Final = "the host mixed up a training's messages: run the job again"
_KINDS: Final = {kind.value: kind for kind in Kind}


class _Side:
    """What both sides have: the training, the key of its epoch, and the log of its messages."""

    def __init__(self, epoch: Epoch, name: TrainingName, form: Form) -> None:
        if (name.context, name.epoch) != (epoch.context, epoch.number):
            raise JobError("the training is of another job or epoch", hint=_HINT)
        self._epoch, self.name, self._form = epoch, name, form
        self._salt = messages.fresh_salt()
        self.log: Digest = messages.first_log(name)
        """Names every message of the leader so far, in order."""
        self._number = 0
        self.dropped: dict[int, int] = {}
        """The partitions that dropped out, each with the first round without it."""

    def _drop(self, step: Step) -> None:
        """Note who dropped out: parties at home alone, each once."""
        for partition in step.shown or ():
            if partition >= len(self.name.places) or self.name.home(partition) is None:
                raise JobError("a partition that nobody has at home dropped out", hint=_HINT)
            if partition in self.dropped:
                raise JobError(f"partition {partition} dropped out twice", hint=_HINT)
            self.dropped[partition] = step.turn

    def _key(self) -> bytearray:
        key = self._epoch.block_key.raw
        if not key:
            raise JobError("this epoch is over")
        return key

    def _header(self, sender: int, step: Step) -> Header:
        return Header(
            salt=self._salt,
            sender=sender,
            number=self._number,
            kind=step.kind.value,
            turn=step.turn,
            of_class=step.of_class,
            level=step.level,
            shown=step.shown,
        )

    def _opened(self, log: Digest, header: Header, sealed: bytes, what: str) -> bytes:
        try:
            return messages.open_message(self._key(), self.name, log, header, sealed)
        except CryptoError:
            raise JobError(
                f"{what} was altered, or is of another training or run of it", hint=_HINT
            ) from None


class Leading(Protocol):
    """What steps a training takes, as `mc2.ml.boosting` has it."""

    form: Form
    step: Step | None
    told: Arrays

    def take(self, answers: Sequence[Arrays]) -> None:
        """Take the answers of all partitions, in their order."""
        ...

    @property
    def rounds(self) -> int:
        """How many rounds are over."""
        ...


@runtime_checkable
class Resuming(Leading, Protocol):
    """A training that can go on without a partition."""

    def drop(self, partitions: Collection[int]) -> None:
        """Go on without some partitions: the round begins again."""
        ...


class Answering(Protocol):
    """The rows of one partition, as `mc2.ml.boosting_partition` has them."""

    def answer(self, step: Step, told: Arrays) -> Arrays:
        """Take one step."""
        ...

    def catch_up(self, steps: Sequence[tuple[Step, Arrays]]) -> None:
        """Take the steps of a lost worker."""
        ...


class LeadingSide(_Side):
    """The leader's side. `told` is what every partition has to get; `take` wants all answers."""

    def __init__(self, epoch: Epoch, name: TrainingName, leader: Leading) -> None:
        super().__init__(epoch, name, leader.form)
        self._leader = leader
        self._dropping: Step | None = None
        self.messages: list[bytes] = []
        """All that was told so far, for a member that takes a lost one's place."""
        self._tell()

    @property
    def over(self) -> bool:
        """Whether the model is trained."""
        return self._leader.step is None and self._dropping is None

    @property
    def told(self) -> bytes:
        """The message of the current step. Raises: JobError."""
        if self.over:
            raise JobError("the training is over")
        return self.messages[-1]

    def take(self, answers: Sequence[bytes]) -> None:
        """Take exactly one answer of each partition, in any order.

        Raises: JobError, EngineError, FormatError for an answer that is not one of these.
        """
        step = self._dropping or self._leader.step
        if step is None:
            raise JobError("the training is over")
        found: dict[int, tuple[bytes, Arrays]] = {}
        for raw in answers:
            partition, arrays = self._answer(step, raw)
            if partition in found:
                raise JobError(f"the answer of partition {partition} is there twice", hint=_HINT)
            found[partition] = (raw, arrays)
        missing = [p for p in self.left if p not in found]
        if missing:
            raise JobError(f"the answer of partition {missing[0]} is missing", hint=_HINT)
        if self._dropping is None:
            self._leader.take([found[p][1] for p in sorted(found)])
        self._dropping = None
        self._number += 1
        self._tell()

    @property
    def left(self) -> tuple[int, ...]:
        """The partitions that have not dropped out."""
        return tuple(p for p in range(len(self.name.places)) if p not in self.dropped)

    def drop(self, partitions: Collection[int]) -> None:
        """Go on without some parties at home: tell all others that the round begins again.

        Raises: JobError for a partition that is hosted, dropped out before, or the last one.
        """
        if not isinstance(self._leader, Resuming):
            raise JobError("this training cannot go on without a partition", hint=_HINT)
        step = Step(Kind.DROPPED, self._leader.rounds, shown=tuple(sorted(partitions)))
        self._drop(step)
        if not self.left:
            raise JobError("all parties of a training dropped out", hint=_HINT)
        if self._leader.step is not None:
            self._leader.drop(partitions)
        self._number += 1
        self._dropping = step
        self._say(step, b"")

    def finish(self) -> bytes:
        """The last message: whoever gets it signs what the training was. Raises: JobError."""
        if not self.over:
            raise JobError("the training is not over")
        return self._say(Step(Kind.DONE), b"")

    def _answer(self, step: Step, raw: bytes) -> tuple[int, Arrays]:
        header, sealed = messages.parse(raw)
        partition = header.sender - 1
        if not 0 <= partition < len(self.name.places):
            raise JobError("an answer is of no partition of this training", hint=_HINT)
        what = f"the answer of partition {partition}"
        if partition in self.dropped:
            raise JobError(f"{what} came after it dropped out", hint=_HINT)
        if header.number != self._number or _step_of(header) != step:
            raise JobError(f"{what} is to another step", hint=_HINT)
        plain = self._opened(self.log, header, sealed, what)
        return partition, unpacked(self._form.answered(step, partition), plain)

    def _tell(self) -> None:
        step = self._leader.step
        if step is None:
            return
        self._say(step, packed(self._form.told(step), self._leader.told))

    def _say(self, step: Step, plain: bytes) -> bytes:
        header = self._header(LEADER, step)
        raw = messages.seal(self._key(), self.name, self.log, header, plain)
        self.messages.append(raw)
        self.log = messages.next_log(self.log, raw)
        return raw


class MemberSide(_Side):
    """A member's side: one partition, whose rows stay in this enclave."""

    def __init__(
        self, epoch: Epoch, name: TrainingName, partition: int, form: Form, rows: Answering
    ) -> None:
        super().__init__(epoch, name, form)
        if not 0 <= partition < len(name.places):
            raise JobError("the training has no such partition", hint=_HINT)
        self._partition, self._rows = partition, rows
        self._leading: bytes | None = None

    def answer(self, raw: bytes) -> bytes:
        """Answer the next message of the leader.

        To its last message the answer is a signed receipt, and is not sealed.

        Raises: JobError, EngineError, FormatError.
        """
        step, told = self._told(raw)
        if self._partition in self.dropped:
            raise JobError(
                "the leader went on without this enclave's rows",
                hint="the host said that it was gone: see the receipt, and the network",
            )
        if step.kind is Kind.DONE:
            self._number += 1
            return self._receipt().sign(self._epoch.signing_key)
        found = self._rows.answer(step, told)
        plain = packed(self._form.answered(step, self._partition), found)
        header = self._header(self._partition + 1, step)
        sealed = messages.seal(self._key(), self.name, self.log, header, plain)
        self._number += 1
        return sealed

    def catch_up(self, told: Sequence[bytes]) -> None:
        """Take what a lost member was told and had answered. Raises: as `answer`."""
        steps = []
        for raw in told:
            steps.append(self._told(raw))
            self._number += 1
        self._rows.catch_up(steps)

    def _receipt(self) -> TrainingReceipt:
        return TrainingReceipt(
            training=self.name,
            partition=self._partition,
            member=self._epoch.own,
            log=self.log,
            dropped=tuple(sorted(self.dropped.items())),
        )

    def _told(self, raw: bytes) -> tuple[Step, Arrays]:
        header, sealed = messages.parse(raw)
        if header.sender != LEADER:
            raise JobError("a message to a member is not of the leader", hint=_HINT)
        if header.number != self._number:
            raise JobError("a message of the leader is of another step", hint=_HINT)
        if self._leading not in {None, header.salt}:
            raise JobError("a message is of another run of the leader", hint=_HINT)
        step = _step_of(header)
        plain = self._opened(self.log, header, sealed, "a message of the leader")
        if step.kind is Kind.DROPPED:
            self._drop(step)
        told = unpacked(self._form.told(step), plain)
        self._leading = header.salt
        self.log = messages.next_log(self.log, raw)
        return step, told


def _step_of(header: Header) -> Step:
    if header.kind not in _KINDS:
        raise EngineError("a training has no such step")
    kind = _KINDS[header.kind]
    return Step(kind, header.turn, header.of_class, header.level, header.shown)
