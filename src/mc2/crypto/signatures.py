"""Ed25519 signatures (RFC 8032): the public half. Private keys are in `mc2.crypto.secret`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mc2.crypto.digest import Digest, digest
from mc2.errors import FormatError, SignatureError

SIGNATURE_BYTES = 64
VERIFY_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public signing key: 32 raw bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != VERIFY_KEY_BYTES:
            raise FormatError("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> Digest:
        """The key's name: the digest of its raw bytes."""
        return digest(self.raw)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check one signature. Raises: SignatureError."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise SignatureError(f"the signature is not by key {self.key_id}") from None


class Signer(Protocol):
    """What signs: a private key in this process, or one behind an agent or a token."""

    @property
    def public(self) -> VerifyKey:
        """The key that verifies."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign a message: 64 bytes."""
        ...
