"""The rows of a training that its leader has computed, dealt out to the members of its epoch.

Each member gets as many places, in sealed blocks that the host keeps; which blocks these are names
the training, so that nothing of it opens where rows were mixed up. Spec:
docs/spec/training-message.md, section "Rows that are dealt out".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.crypto.digest import Digest, digest
from mc2.enclave.epoch import Epoch
from mc2.enclave.task_inputs import ReadBlob, fetched
from mc2.errors import FormatError, JobError
from mc2.formats.block import SALT_BYTES, BlockCipher, BlockPlace, BlockRef, TaskName, fresh_salt
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.training_message import TrainingName
from mc2.ml.boosting_dealt import DealtSets
from mc2.ml.secret_matrix import (
    BYTES_BESIDE,
    SecretCuts,
    SecretMatrix,
    matrix_bytes,
    matrix_of_bytes,
    matrix_part,
)

_TYPE: Final = "mc2/dealt-rows/v1"
_BYTES: Final = 8 * 1024 * 1024
_LENGTH: Final = 4
_SETS: Final = 64
_FORM: Final = digest(_TYPE.encode())
"""Stands where a block has the digest of its schema."""

Sets = Sequence[Sequence[SecretMatrix]]
"""The matrix to train on, then those of each evaluation set."""

Blocks = tuple[tuple[BlockRef, ...], ...]
"""Of each set the blocks of a partition, in order."""


@dataclass(frozen=True, slots=True)
class Deal:
    """Where the rows of each partition are. All of it is public.

    `places` are those to train on, `blocks` of all partitions but the first, which is the leader's.
    `all_rows` are as many places as there could be, which decides how gradients are rounded.
    """

    salt: bytes
    all_rows: int
    places: tuple[int, ...]
    blocks: tuple[Blocks, ...]

    def encode(self) -> bytes:
        """The deal as canonical JSON."""
        return encode(
            {
                "type": _TYPE,
                "salt": self.salt.hex(),
                "all_rows": self.all_rows,
                "places": list(self.places),
                "blocks": [[[b.json() for b in s] for s in part] for part in self.blocks],
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Deal:
        """Read a deal. Raises: FormatError."""
        fields = Fields(decode(raw, LIMITS.task_bytes, "dealt rows"), "dealt rows")
        fields.type(_TYPE)
        found = cls(
            salt=bytes.fromhex(fields.hex("salt", SALT_BYTES)),
            all_rows=fields.integer("all_rows", 1, LIMITS.row_bound),
            places=fields.items("places", LIMITS.cluster_members, _places),
            blocks=fields.items("blocks", LIMITS.cluster_members, _part),
        )
        fields.done()
        if len(found.blocks) != len(found.places) - 1:
            raise FormatError("dealt rows have not the blocks of each partition")
        return found

    def named(self, epoch: Epoch, node: int) -> TrainingName:
        """The name of the training at a node whose rows these are."""
        return TrainingName(
            context=epoch.context,
            epoch=epoch.number,
            node=node,
            places=self.places,
            dealt=digest(self.encode()),
        )


def cut(rows: int, parts: int, part: int) -> tuple[int, int]:
    """The places of a part among those of all rows."""
    return part * rows // parts, (part + 1) * rows // parts


def part_of(sets: Sets, parts: int, part: int) -> list[SecretMatrix | None]:
    """The rows of one partition where all are at hand, as `dealt` has them."""
    found: list[SecretMatrix | None] = []
    for matrices in sets:
        start, stop = cut(_rows(matrices), parts, part)
        found.append(matrix_part(matrices, start, stop) if start < stop else None)
    return found


def deal(
    epoch: Epoch, node: int, sets: DealtSets, parts: int, write: Callable[[Digest, bytes], None]
) -> Deal:
    """Seal the rows of all partitions but the first, and let the host keep them."""
    salt = fresh_salt()
    blocks = []
    for part in range(1, parts):
        cipher = _cipher(epoch, node, part, salt)
        blocks.append(tuple(_sealed(cipher, part, *s, parts, write) for s in enumerate(sets.every)))
    rows = _rows(sets.matrices)
    edges = [cut(rows, parts, part) for part in range(parts)]
    places = tuple(stop - start for start, stop in edges)
    return Deal(salt, sets.all_rows, places, tuple(blocks))


def _sealed(  # where a block belongs
    cipher: BlockCipher,
    part: int,
    number: int,
    matrices: Sequence[SecretMatrix],
    parts: int,
    write: Callable[[Digest, bytes], None],
) -> tuple[BlockRef, ...]:
    start, stop = cut(_rows(matrices), parts, part)
    size = _BYTES // (len(matrices[0].cuts.features) + BYTES_BESIDE) if matrices else 1
    firsts, found = range(start, stop, max(1, size)), []
    for sequence, first in enumerate(firsts):
        end = min(first + firsts.step, stop)
        place = BlockPlace(number, part, sequence, last=end == stop)
        raw = cipher.seal_plain(place, matrix_bytes(matrices, first, end), _FORM)
        write(digest(raw), raw)
        found.append(BlockRef(digest(raw), len(raw), end - first))
    return tuple(found)


def dealt(
    epoch: Epoch, node: int, found: Deal, part: int, cuts: SecretCuts, read: ReadBlob
) -> list[SecretMatrix | None]:
    """The rows of a member's partition, set by set; None for a set of which it has no row.

    Raises: JobError if it has nothing to train on; DatasetError, CryptoError for what the host
    serves; EngineError; what `read` raises.
    """
    if not 0 < part < len(found.places):
        raise JobError("a training deals no rows to this enclave")
    own = found.blocks[part - 1]
    if not own or sum(b.rows for b in own[0]) != found.places[part]:
        raise JobError("a training deals other rows than it says")
    cipher = _cipher(epoch, node, part, found.salt)
    return [_opened(cipher, part, *s, cuts, read) for s in enumerate(own)]


def _opened(  # where a block belongs
    cipher: BlockCipher,
    part: int,
    number: int,
    blocks: Sequence[BlockRef],
    cuts: SecretCuts,
    read: ReadBlob,
) -> SecretMatrix | None:
    pieces = []
    for sequence, block in enumerate(blocks):
        place = BlockPlace(number, part, sequence, last=sequence == len(blocks) - 1)
        raw = fetched(read, block.digest)
        pieces.append((cipher.open_plain(place, block, _FORM, raw), block.rows))
    return matrix_of_bytes(cuts, pieces) if pieces else None


def _cipher(epoch: Epoch, node: int, part: int, salt: bytes) -> BlockCipher:
    key = epoch.block_key.raw
    if not key:
        raise JobError("this epoch is over")
    task = TaskName(
        context=epoch.context,
        epoch=epoch.number,
        stages=_FORM,
        stage=node,
        partition=part,
        attempt=1,
    )
    return BlockCipher(key, task, salt)


def _rows(matrices: Sequence[SecretMatrix]) -> int:
    return sum(m.places for m in matrices)


# --- the first message


def framed(raw: bytes, message: bytes) -> bytes:
    """The leader's first message to a member: the deal in front of it."""
    return len(raw).to_bytes(_LENGTH, "big") + raw + message


def unframed(message: bytes) -> tuple[Deal, bytes]:
    """The deal in front of a first message, and the message. Raises: FormatError."""
    end = _LENGTH + int.from_bytes(message[:_LENGTH], "big")
    if not _LENGTH < end <= len(message):
        raise FormatError("the first message of a training is cut off")
    return Deal.parse(message[_LENGTH:end]), message[end:]


def evaluations(
    names: Sequence[str], found: Sequence[SecretMatrix | None]
) -> Mapping[str, list[SecretMatrix]]:
    """The sets to judge by name. Raises: JobError for another number of them."""
    if len(found) != len(names):
        raise JobError("a training deals other evaluation sets than the plan has")
    return {n: [] if m is None else [m] for n, m in zip(names, found, strict=True)}


def _places(value: Json) -> int:
    return Fields({"places": value}, "dealt rows").integer("places", 1, LIMITS.row_bound)


def _part(value: Json) -> Blocks:
    return tuple(_set(item) for item in _items(value, _SETS + 1))


def _set(value: Json) -> tuple[BlockRef, ...]:
    return tuple(BlockRef.read(item) for item in _items(value, LIMITS.task_bytes))


def _items(value: Json, most: int) -> Sequence[Json]:
    if not isinstance(value, list) or len(value) > most:
        raise FormatError("dealt rows are lists of blocks")
    return value
