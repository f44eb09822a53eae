"""What a member signs of a training that it took part in. Spec: docs/spec/training-message.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from mc2.crypto.digest import Digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.envelope import PayloadType
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.statement import Statement
from mc2.formats.task import member_name
from mc2.formats.training_message import BOOST_ROUNDS, TrainingName


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReceipt(Statement):
    """A member read all chunks of a partition, and answered exactly these messages of the leader.

    `log` names all of them, the last one included. `dropped` are the partitions that had dropped
    out by then, each with the round that was the first without it.
    """

    TYPE: ClassVar[str] = "mc2/training-receipt/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.TRAINING_RECEIPT
    LIMIT: ClassVar[int] = LIMITS.message_bytes

    training: TrainingName
    partition: int
    member: int
    log: Digest
    dropped: tuple[tuple[int, int], ...] = ()

    @property
    def signer(self) -> str:
        """The member that had the partition at the end."""
        return member_name(self.member)

    def json(self) -> Json:
        """The receipt as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "training": self.training.json(),
            "partition": self.partition,
            "member": self.member,
            "log": self.log,
            "dropped": [list(pair) for pair in self.dropped],
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the receipt's fields. Raises: FormatError."""
        inner = fields.fields("training")
        training = TrainingName.read(inner)
        inner.done()
        found = cls(
            training=training,
            partition=fields.integer("partition", 0, len(training.places) - 1),
            member=fields.integer("member", 0, LIMITS.cluster_members - 1),
            log=fields.digest("log"),
            dropped=fields.items("dropped", LIMITS.cluster_members, _read_dropped),
        )
        gone = [partition for partition, _ in found.dropped]
        if gone != sorted(set(gone)) or any(training.home(p) is None for p in gone):
            raise FormatError("a training's receipt drops what is no partition at home, or twice")
        return found


def _read_dropped(value: Json) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise FormatError("a partition that dropped out is a pair of numbers")
    fields = Fields({"partition": value[0], "round": value[1]}, "a partition that dropped out")
    return (
        fields.integer("partition", 0, LIMITS.cluster_members - 1),
        fields.integer("round", 0, BOOST_ROUNDS),
    )
