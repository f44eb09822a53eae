"""Sealed messages of a training over several enclaves. Spec: docs/spec/training-message.md.

A message opens only in its place: of this training in this epoch, of this sender, at this step, and
after exactly the steps that came before.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final, Self

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest, digest_bytes
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, check_name, check_sorted_unique, text_item
from mc2.formats.limits import LIMITS
from mc2.formats.release import JobContext

TYPE: Final = "mc2/training-message/v1"
SALT_BYTES: Final = 32
STEPS: Final = 1 << 40
LEADER: Final = 0
BOOST_ROUNDS: Final = 100_000

_LENGTH: Final = 4
_HEADER_BYTES: Final = 64 * 1024
_FEATURES: Final = 1 << 16
_KIND: Final = 32
_LEVELS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingName:
    """Which training this is. `places` are the places for rows of each partition, in order.

    The last partitions are those of parties whose rows stay at home: `homes`, in order. `dealt`
    names what says where the rows are, if the leader has dealt them out.
    """

    context: JobContext
    epoch: int
    node: int
    places: tuple[int, ...]
    homes: tuple[str, ...] = ()
    dealt: Digest | None = None

    def json(self) -> dict[str, Json]:
        """The name's fields as canonical JSON has them."""
        return {
            "job": self.context.json(),
            "epoch": self.epoch,
            "node": self.node,
            "places": list(self.places),
            "homes": list(self.homes),
            "dealt": self.dealt,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the name's fields. Raises: FormatError."""
        job = fields.fields("job")
        context = JobContext.read(job)
        job.done()
        found = cls(
            context=context,
            epoch=fields.integer("epoch", 1, LIMITS.epochs),
            node=fields.integer("node", 0, LIMITS.nodes - 1),
            places=fields.items("places", LIMITS.cluster_members, _read_places),
            homes=fields.items(
                "homes", LIMITS.cluster_members, text_item("a party at home", check_name)
            ),
            dealt=fields.optional("dealt", fields.digest),
        )
        check_sorted_unique(found.homes, "the parties at home")
        if len(found.homes) > len(found.places):
            raise FormatError("a training has more parties at home than partitions")
        if not found.places:
            raise FormatError("a training has no partition")
        if found.homes and found.dealt is not None:
            raise FormatError("rows at home are dealt to nobody")
        return found

    def home(self, partition: int) -> str | None:
        """The party whose rows at home a partition has; None for a hosted one."""
        place = partition - (len(self.places) - len(self.homes))
        return self.homes[place] if place >= 0 else None

    @property
    def digest(self) -> Digest:
        """What the keys and the log of its messages are bound to."""
        return digest(encode(self.json()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands in clear before a message: all of it is public, and authenticated.

    `sender` is 0 for the leader, p + 1 for partition p. `number` counts steps from 0. The step
    itself stands in messages of the leader; an answer repeats it.
    """

    salt: bytes
    sender: int
    number: int
    kind: str
    turn: int
    of_class: int
    level: int
    shown: tuple[int, ...] | None

    def json(self) -> Json:
        """The header as canonical JSON has it."""
        return {
            "type": TYPE,
            "salt": self.salt.hex(),
            "sender": self.sender,
            "number": self.number,
            "kind": self.kind,
            "turn": self.turn,
            "class": self.of_class,
            "level": self.level,
            "shown": None if self.shown is None else list(self.shown),
        }

    @classmethod
    def read(cls, raw: bytes) -> Header:
        """Read a header. Raises: FormatError."""
        fields = Fields(decode(raw, _HEADER_BYTES, "a training's message"), "a training's message")
        fields.type(TYPE)
        shown = fields.value("shown")
        found = cls(
            salt=bytes.fromhex(fields.hex("salt", SALT_BYTES)),
            sender=fields.integer("sender", 0, LIMITS.cluster_members),
            number=fields.integer("number", 0, STEPS - 1),
            kind=fields.text("kind", _KIND),
            turn=fields.integer("turn", 0, STEPS - 1),
            of_class=fields.integer("class", 0, STEPS - 1),
            level=fields.integer("level", 0, _LEVELS),
            shown=None if shown is None else _features(shown),
        )
        fields.done()
        return found


def _read_places(value: Json) -> int:
    return Fields({"places": value}, "a partition").integer("places", 1, LIMITS.row_bound)


def _features(value: Json) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > _FEATURES:
        raise FormatError("a training's message shows no list of features")
    found = tuple(v for v in value if isinstance(v, int) and not isinstance(v, bool))
    if len(found) != len(value) or any(not 0 <= v < _FEATURES for v in found):
        raise FormatError("a training's message shows what is no feature")
    if list(found) != sorted(set(found)):
        raise FormatError("a training's message shows features out of order, or twice")
    return found


def first_log(name: TrainingName) -> Digest:
    """The log of a training before its first message."""
    return digest(Label.TRAINING_LOG.prefix() + digest_bytes(name.digest))


def next_log(log: Digest, message: bytes) -> Digest:
    """The log after one more message."""
    return digest(Label.TRAINING_LOG.prefix() + digest_bytes(log) + digest_bytes(digest(message)))


def fresh_salt() -> bytes:
    """A salt for one run of a sender."""
    return secrets.token_bytes(SALT_BYTES)


def seal(
    block_key: bytes | bytearray, name: TrainingName, log: Digest, header: Header, plain: bytes
) -> bytes:
    """Seal a message. A sender MUST NOT seal two under one salt and number. Raises: FormatError."""
    clear = encode(header.json())
    cipher = _cipher(block_key, name, header)
    sealed = cipher.seal(header.number, plain, _associated(log, clear))
    return len(clear).to_bytes(_LENGTH, "big") + clear + sealed


def parse(raw: bytes) -> tuple[Header, bytes]:
    """The header of a message that is not believed yet, and what is sealed. Raises: FormatError."""
    length = int.from_bytes(raw[:_LENGTH], "big")
    if len(raw) < _LENGTH or not 0 < length <= min(_HEADER_BYTES, len(raw) - _LENGTH):
        raise FormatError("a training's message is cut off")
    return Header.read(raw[_LENGTH : _LENGTH + length]), raw[_LENGTH + length :]


def open_message(
    block_key: bytes | bytearray, name: TrainingName, log: Digest, header: Header, sealed: bytes
) -> bytes:
    """Open a message after exactly the steps of the log. Raises: CryptoError."""
    cipher = _cipher(block_key, name, header)
    return cipher.open(header.number, sealed, _associated(log, encode(header.json())))


def _cipher(block_key: bytes | bytearray, name: TrainingName, header: Header) -> ChunkCipher:
    if len(header.salt) != SALT_BYTES:
        raise FormatError(f"the salt of a message has {SALT_BYTES} bytes")
    context = digest_bytes(name.digest) + header.sender.to_bytes(4, "big") + header.salt
    return ChunkCipher(derive(block_key, Label.TRAINING_KEY, context))


def _associated(log: Digest, clear: bytes) -> bytes:
    return Label.TRAINING_MESSAGE.prefix() + digest_bytes(log) + clear
