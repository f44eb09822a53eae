"""What a member signs of a training that it took part in. Spec: docs/spec/training-message.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from mc2.crypto.digest import Digest
from mc2.formats.canonical import Json
from mc2.formats.envelope import PayloadType
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.statement import Statement
from mc2.formats.task import member_name
from mc2.formats.training_message import TrainingName


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReceipt(Statement):
    """A member read all chunks of a partition, and answered exactly these messages of the leader.

    `log` names all of them, the last one included.
    """

    TYPE: ClassVar[str] = "mc2/training-receipt/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.TRAINING_RECEIPT
    LIMIT: ClassVar[int] = LIMITS.message_bytes

    training: TrainingName
    partition: int
    member: int
    log: Digest

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
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the receipt's fields. Raises: FormatError."""
        inner = fields.fields("training")
        training = TrainingName.read(inner)
        inner.done()
        return cls(
            training=training,
            partition=fields.integer("partition", 0, len(training.places) - 1),
            member=fields.integer("member", 0, LIMITS.cluster_members - 1),
            log=fields.digest("log"),
        )
