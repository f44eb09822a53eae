"""The worker protocol's messages about tasks. Spec: docs/spec/worker-protocol.md.

What orders and receipts mean is in `mc2.formats.task`; the host passes them on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from mc2.crypto.digest import Digest
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, check_name
from mc2.formats.frames import Frame
from mc2.formats.limits import LIMITS

PARTITIONS: Final = 1024
_TEXT_LENGTH: Final = 4096
_CODE_LENGTH: Final = 64
_RECEIPT_BYTES: Final = 2 * LIMITS.task_bytes

# --- to a member


@dataclass(frozen=True, slots=True)
class Task:
    """An order for a member, for a plan cut into so many partitions. Answer: `TaskDone`."""

    partitions: int
    order: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "task", "partitions": self.partitions}, self.order)

    @classmethod
    def read(cls, fields: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(fields.integer("partitions", 1, PARTITIONS), body)


@dataclass(frozen=True, slots=True)
class TaskDone:
    """The signed receipt of a task."""

    receipt: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "task_done"}, self.receipt)


@dataclass(frozen=True, slots=True)
class TrainStep:
    """The next message of a training, for a member with one of its partitions. Answer: `TrainDone`.

    Of so many `partitions`. What the message means is in `mc2.formats.training_message`.
    """

    node: int
    partition: int
    partitions: int
    message: bytes

    def header(self) -> dict[str, Json]:
        """The fields of the step, but for its message."""
        return {"node": self.node, "partition": self.partition, "partitions": self.partitions}

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "train", **self.header()}, self.message)

    @classmethod
    def read(cls, fields: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(
            fields.integer("node", 0, LIMITS.nodes - 1),
            fields.integer("partition", 0, LIMITS.cluster_members - 1),
            fields.integer("partitions", 1, LIMITS.cluster_members),
            body,
        )


@dataclass(frozen=True, slots=True)
class TrainDone:
    """A member's answer to a message of a training."""

    answer: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "train_done"}, self.answer)


# --- from whoever runs a task


@dataclass(frozen=True, slots=True)
class Keep:
    """A block, or a receipt, that other tasks will read. Answer: `Stored` or `Missing`."""

    digest: Digest
    raw: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "keep", "digest": self.digest}, self.raw)

    @classmethod
    def read(cls, fields: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(fields.digest("digest"), body)


# --- from and to the leader, while its job runs


@dataclass(frozen=True, slots=True)
class Assign:
    """The leader wants a member to run a task. Answer: `Stored`, or `Missing`."""

    worker: str
    task: Task

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame(
            {"type": "assign", "worker": self.worker, "partitions": self.task.partitions},
            self.task.order,
        )

    @classmethod
    def read(cls, fields: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(check_name(fields.text("worker"), "a worker"), Task.read(fields, body))


@dataclass(frozen=True, slots=True)
class AssignTraining:
    """The leader has a message for a member of a training. Answer: `Stored`, or `Missing`."""

    worker: str
    step: TrainStep

    def frame(self) -> Frame:
        """The message's frame."""
        header = {"type": "assign_training", "worker": self.worker, **self.step.header()}
        return Frame(header, self.step.message)

    @classmethod
    def read(cls, fields: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(check_name(fields.text("worker"), "a worker"), TrainStep.read(fields, body))


@dataclass(frozen=True, slots=True)
class Await:
    """The leader asks which assigned task has ended; `wait` until one has. Answer: `Ended`."""

    wait: bool

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "await", "wait": self.wait})

    @classmethod
    def read(cls, fields: Fields, _: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(fields.boolean("wait"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of a task: its receipt; or the code of an error, if the member gave none.

    Of a step of a training the `receipt` is the member's answer.

    `worker` is empty if none has ended. A member that gave no receipt takes no further task.
    """

    worker: str = ""
    receipt: bytes = b""
    code: str = ""
    message: str = ""
    hint: str = ""

    def frame(self) -> Frame:
        """The message's frame."""
        header = {
            "type": "ended",
            "worker": self.worker,
            "code": self.code[:_CODE_LENGTH],
            "message": self.message[:_TEXT_LENGTH],
            "hint": self.hint[:_TEXT_LENGTH],
        }
        return Frame(header, self.receipt)

    @classmethod
    def read(cls, fields: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(
            worker=fields.text("worker", _CODE_LENGTH),
            receipt=body,
            code=fields.text("code", _CODE_LENGTH),
            message=fields.text("message", _TEXT_LENGTH),
            hint=fields.text("hint", _TEXT_LENGTH),
        )


TRAINING_BODY: Final = LIMITS.frame_body_bytes
"""How long messages of a training may be, and answers to them."""

TASK_BODY: Final = LIMITS.task_bytes
RECEIPT_BODY: Final = _RECEIPT_BYTES
"""How long the bodies of orders and receipts may be."""
