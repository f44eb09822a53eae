"""A sealed block: some rows that one task hands on to another. Spec: docs/spec/block.md.

A block is named by the digest of its ciphertext and listed in its task's receipt. What it is, of
which task, for whom and in which place, is not written in it: it stands in the associated data, so
that a block opens nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import pyarrow as pa

from mc2.crypto.chunks import TAG_BYTES, ChunkCipher
from mc2.crypto.digest import Digest, digest, digest_bytes, same_digest
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.errors import DatasetError, FormatError
from mc2.formats.canonical import Json, encode
from mc2.formats.chunk import pack_rows, room_for, unpack_rows
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.release import JobContext
from mc2.formats.schema import Schema

SALT_BYTES: Final = 32
COMPRESSION: Final = "lz4"
"""Of all blocks. Rows of TPC-H take half as many bytes by zstd, and 1.6 times the time."""

_EXCHANGES: Final = 1 << 16
_PARTS: Final = 1 << 32
_SEQUENCES: Final = 1 << 48


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskName:
    """Which task this is: of which attempt of which job, in which epoch, cut into which stages.

    `attempt` counts from 1 how often the host has had this task run. Of a partition that is too
    large for one task, `pieces` tells how many tasks share it and `piece`, from 1, which of them
    this is; both are 0 where one task runs it all.
    """

    context: JobContext
    epoch: int
    stages: Digest
    stage: int
    partition: int
    attempt: int
    piece: int = 0
    pieces: int = 0

    def json(self) -> dict[str, Json]:
        """The name's fields as canonical JSON has them; the job's attempt stands with the job."""
        return {
            "job": self.context.json(),
            "epoch": self.epoch,
            "stages": self.stages,
            "stage": self.stage,
            "partition": self.partition,
            "attempt": self.attempt,
            "piece": self.piece,
            "pieces": self.pieces,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the name's fields. Raises: FormatError."""
        job = fields.fields("job")
        context = JobContext.read(job)
        job.done()
        return cls(
            context=context,
            epoch=fields.integer("epoch", 1, LIMITS.epochs),
            stages=fields.digest("stages"),
            stage=fields.integer("stage", 0, LIMITS.nodes - 1),
            partition=fields.integer("partition", 0, _EXCHANGES - 1),
            attempt=fields.integer("attempt", 1, LIMITS.task_attempts),
            piece=fields.integer("piece", 0, _EXCHANGES - 1),
            pieces=fields.integer("pieces", 0, _EXCHANGES - 1),
        )

    @property
    def digest(self) -> Digest:
        """What keys and associated data of the task's blocks are bound to."""
        return digest(encode(self.json()))


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """Where a block belongs: an exchange of its stage, a part, its number there; if it is last."""

    exchange: int
    part: int
    sequence: int
    last: bool

    @property
    def nonce(self) -> int:
        """A number that no other block of the task has."""
        if not (
            0 <= self.exchange < _EXCHANGES
            and 0 <= self.part < _PARTS
            and 0 <= self.sequence < _SEQUENCES
        ):
            raise FormatError("a block has no such place")
        return ((self.exchange << 32 | self.part) << 48) | self.sequence


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A sealed block in a receipt: its digest, its size in bytes, and how many rows it holds."""

    digest: Digest
    size: int
    rows: int

    def json(self) -> Json:
        """The reference as canonical JSON has it."""
        return {"digest": self.digest, "bytes": self.size, "rows": self.rows}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one reference. Raises: FormatError."""
        fields = Fields(value, "a block reference")
        found = cls(
            fields.digest("digest"),
            fields.integer("bytes", TAG_BYTES, LIMITS.chunk_bytes),
            fields.integer("rows", 1, LIMITS.chunk_rows),
        )
        fields.done()
        return found


class BlockCipher:
    """Seals or opens the blocks of one run of a task.

    `salt` is random for each run. A host may have the same attempt run twice, and the second run
    may order rows differently: without the salt both would use one key with the same nonces.
    """

    def __init__(self, block_key: bytes | bytearray, task: TaskName, salt: bytes) -> None:
        if len(salt) != SALT_BYTES:
            raise FormatError(f"the salt of a task has {SALT_BYTES} bytes")
        self._task = digest_bytes(task.digest)
        self._cipher = ChunkCipher(derive(block_key, Label.BLOCK_KEY, self._task + salt))

    def seal(self, place: BlockPlace, batch: pa.RecordBatch, schema: Digest) -> bytes:
        """Seal rows that fit into a block. Raises: FormatError if they do not."""
        return self.seal_plain(place, pack_rows(batch, COMPRESSION), schema)

    def seal_plain(self, place: BlockPlace, plain: bytes, schema: Digest) -> bytes:
        """Seal what is encoded already: in oblivious mode, words of which none is looked at."""
        return self._cipher.seal(place.nonce, plain, self._associated(place, schema))

    def open(
        self, place: BlockPlace, named: BlockRef, schema: Schema, raw: bytes
    ) -> pa.RecordBatch:
        """Open the block that a receipt names, and validate its rows.

        Raises: DatasetError for other bytes, CryptoError, FormatError.
        """
        plain = self.open_plain(place, named, schema.digest, raw)
        batch = unpack_rows(plain, schema, COMPRESSION)
        if batch.num_rows != named.rows:
            raise FormatError("a block has not as many rows as its task's receipt says")
        return batch

    def open_plain(self, place: BlockPlace, named: BlockRef, schema: Digest, raw: bytes) -> bytes:
        """Open the block that a receipt names; nothing of what it holds is looked at.

        Raises: DatasetError for other bytes, CryptoError.
        """
        if len(raw) != named.size or not same_digest(digest(raw), named.digest):
            raise DatasetError(
                "a block is not the one that its task's receipt names",
                hint="the host damaged or swapped it: run the job again",
            )
        return self._cipher.open(place.nonce, raw, self._associated(place, schema))

    def _associated(self, place: BlockPlace, schema: Digest) -> bytes:
        return (
            Label.BLOCK.prefix()
            + self._task
            + digest_bytes(schema)
            + place.exchange.to_bytes(4, "big")
            + place.part.to_bytes(4, "big")
            + place.sequence.to_bytes(8, "big")
            + (b"\x01" if place.last else b"\x00")
        )


def fresh_salt() -> bytes:
    """A salt for one run of a task."""
    return secrets.token_bytes(SALT_BYTES)


def fitting(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Halve rows until each half fits into a block; a single row may be larger than others."""
    rows = batch.num_rows
    if rows <= 1 or (rows <= LIMITS.chunk_rows and room_for(batch) <= LIMITS.block_bytes):
        yield batch
        return
    yield from fitting(batch.slice(0, rows // 2))
    yield from fitting(batch.slice(rows // 2))
