"""What all signed statements of a member or an enclave have in common.

A statement is a frozen dataclass with a canonical form, one signer, whom it names itself, and a
payload type of its own. `Verified[T]` is what comes out of a successful check; code that opens
secrets takes `Verified[Grant]` and the like, never a bare `Grant`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Self, TypeVar

from mc2.crypto.digest import Digest, digest
from mc2.crypto.signatures import Signer, VerifyKey
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.envelope import Envelope
from mc2.formats.fields import Fields

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Verified(Generic[T_co]):
    """A value whose signatures were checked. Only functions named `verify…` make one.

    `digest` names the payload; `envelope` is the signed object as it travels.
    """

    value: T_co
    digest: Digest
    envelope: bytes


class Statement(ABC):
    """A canonical object with one signer."""

    TYPE: ClassVar[str]
    PAYLOAD_TYPE: ClassVar[str]
    LIMIT: ClassVar[int]

    @property
    @abstractmethod
    def signer(self) -> str:
        """The name of who must have signed it."""

    @abstractmethod
    def json(self) -> Json:
        """The statement as canonical JSON has it, with its type."""

    @classmethod
    @abstractmethod
    def read(cls, fields: Fields) -> Self:
        """Take the statement's own fields; the type is read and nothing may be left over."""

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the payload; its signature is not looked at. Raises: FormatError."""
        what = f"{cls.__name__.lower()} statement"
        fields = Fields(decode(raw, cls.LIMIT, what), what)
        fields.type(cls.TYPE)
        statement = cls.read(fields)
        fields.done()
        return statement

    @property
    def digest(self) -> Digest:
        """The statement's name."""
        return digest(encode(self.json()))

    def sign(self, signer: Signer) -> bytes:
        """The signed envelope."""
        return Envelope.sign(self.PAYLOAD_TYPE, encode(self.json()), signer).encode()

    @classmethod
    def verify(cls, raw: bytes, key_of: Callable[[str], VerifyKey]) -> Verified[Self]:
        """Check the signature by the key of whom the statement names.

        `key_of` gives a member's key and raises for strangers: `contract.key_of`.

        Raises: FormatError, SignatureError, and what `key_of` raises.
        """
        envelope = Envelope.parse(raw, cls.PAYLOAD_TYPE, cls.LIMIT)
        statement = cls.parse(envelope.payload)
        envelope.verify({statement.signer: key_of(statement.signer)})
        return Verified(statement, envelope.payload_digest, raw)
