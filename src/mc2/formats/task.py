"""What a host asks an enclave to compute, and what the enclave says it did.

An order is a wish of the untrusted host and signed by nobody: it names a task and the receipts of
the tasks that it reads. A receipt is signed by the member that ran the task, and commits to every
block read and written, so receipts of one job form a tree that its last task checks whole.
Spec: docs/spec/task.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest, digest, parse_digest
from mc2.errors import FormatError
from mc2.formats.block import SALT_BYTES, BlockRef, TaskName
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.envelope import PayloadType
from mc2.formats.fields import Fields, text_item
from mc2.formats.limits import LIMITS
from mc2.formats.statement import Statement

_SOURCES: Final = 4096
_TASKS: Final = 4096
_EXCHANGES: Final = 4096


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """A task to run, and the receipts of the tasks that it reads.

    `inputs`: for each exchange that its stage reads, in the order of the stage's sources, the
    digests of the receipts of the tasks that wrote it, in order of their partitions.
    """

    TYPE: ClassVar[str] = "mc2/task/v1"

    task: TaskName
    inputs: tuple[tuple[Digest, ...], ...]

    def encode(self) -> bytes:
        """The order as canonical JSON."""
        return encode(
            {"type": self.TYPE, "task": self.task.json(), "inputs": [list(i) for i in self.inputs]}
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read an order. Raises: FormatError."""
        fields = Fields(decode(raw, LIMITS.task_bytes, "an order"), "an order")
        fields.type(cls.TYPE)
        inner = fields.fields("task")
        task = TaskName.read(inner)
        inner.done()
        found = cls(task, read_inputs(fields))
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReceipt(Statement):
    """What a task read and wrote.

    `member` ran it. `salt` made the key of its blocks. `inputs` are those of the order. `scanned`:
    for each dataset that its stage reads, how many rows its chunks held. `written`: for each
    exchange of its stage, for each part, the blocks in order, the last of them being the last.
    """

    TYPE: ClassVar[str] = "mc2/task-receipt/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.TASK_RECEIPT
    LIMIT: ClassVar[int] = LIMITS.task_bytes

    task: TaskName
    member: int
    salt: str
    inputs: tuple[tuple[Digest, ...], ...]
    scanned: tuple[int, ...]
    written: tuple[tuple[tuple[BlockRef, ...], ...], ...]

    @property
    def signer(self) -> str:
        """The member that ran the task."""
        return member_name(self.member)

    def json(self) -> Json:
        """The receipt as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "task": self.task.json(),
            "member": self.member,
            "salt": self.salt,
            "inputs": [list(i) for i in self.inputs],
            "scanned": list(self.scanned),
            "written": [[[b.json() for b in part] for part in parts] for parts in self.written],
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the receipt's fields. Raises: FormatError."""
        inner = fields.fields("task")
        task = TaskName.read(inner)
        inner.done()
        return cls(
            task=task,
            member=fields.integer("member", 0, LIMITS.cluster_members - 1),
            salt=fields.hex("salt", SALT_BYTES),
            inputs=read_inputs(fields),
            scanned=fields.items("scanned", _SOURCES, _read_rows),
            written=fields.items("written", _EXCHANGES, _read_parts),
        )


def member_name(number: int) -> str:
    """How errors and signatures call a member of an epoch."""
    return f"member {number}"


def read_inputs(fields: Fields) -> tuple[tuple[Digest, ...], ...]:
    """The receipts that a task reads, exchange by exchange. Raises: FormatError."""
    return fields.items("inputs", _SOURCES, read_names)


def read_names(value: Json) -> tuple[Digest, ...]:
    """The receipts of all tasks whose rows are read of one exchange. Raises: FormatError."""
    item = text_item("a receipt's digest", parse_digest)
    return Fields({"tasks": value}, "an input of a task").items("tasks", _TASKS, item)


def _read_rows(value: Json) -> int:
    return Fields({"rows": value}, "a scan of a task").integer("rows", 0, LIMITS.row_bound)


def _read_parts(value: Json) -> tuple[tuple[BlockRef, ...], ...]:
    def read(blocks: Json) -> tuple[BlockRef, ...]:
        inner = Fields({"blocks": blocks}, "a part of an exchange")
        return inner.items("blocks", LIMITS.task_blocks, BlockRef.read)

    return Fields({"parts": value}, "an exchange of a task").items("parts", _TASKS, read)


def digest_of_receipts(found: Sequence[Digest]) -> Digest:
    """What a job's receipt says of its tasks: one digest of all their receipts', sorted.

    Raises: FormatError if one stands twice.
    """
    if len(set(found)) != len(found):
        raise FormatError("a receipt of a task stands twice")
    return digest(encode(sorted(found)))
