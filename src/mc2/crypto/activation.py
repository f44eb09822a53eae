"""The secret that a machine must open before a grant opens: the second lock on granted keys.

An owner makes one for each grant to a machine that still has to prove where its key is, and hands
it over so that only that machine gets it (docs/spec/key-release.md, "Activation"). The lock is a
layer of its own, AES-256-GCM under a derived key, inside of HPKE: to open it takes both secrets.
HPKE's own way to join them (mode_psk) is not in the library that does HPKE here.
"""

from __future__ import annotations

import secrets
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mc2.crypto.digest import Digest, digest, same_digest
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.errors import CryptoError

ACTIVATION_SECRET_BYTES: Final = 32
ACTIVATION_TOKEN_BYTES: Final = 32

_NONCE: Final = bytes(12)  # each key locks one thing: secret and info are used once


class ActivationSecret:
    """32 random bytes, for one grant."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != ACTIVATION_SECRET_BYTES:
            raise CryptoError("an activation secret has 32 bytes")
        self._raw = raw

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh secret."""
        return cls(secrets.token_bytes(ACTIVATION_SECRET_BYTES))

    @property
    def raw(self) -> bytes:
        """The bytes, to seal to one machine and for nothing else."""
        return self._raw

    def lock(self, key: bytes | bytearray, info: bytes) -> bytes:
        """Lock a key. `info` names what it is for, and is never used twice with one secret."""
        return AESGCM(derive(self._raw, Label.ACTIVATION_KEY, info)).encrypt(
            _NONCE, bytes(key), None
        )

    def unlock(self, locked: bytes, info: bytes) -> bytes:
        """Undo `lock`. Raises: CryptoError."""
        cipher = AESGCM(derive(self._raw, Label.ACTIVATION_KEY, info))
        try:
            return cipher.decrypt(_NONCE, locked, None)
        except (InvalidTag, ValueError):
            raise CryptoError("a locked key does not open: other secret or context") from None

    def token(self) -> bytes:
        """What shows, once it is published, that somebody got the secret. It opens nothing."""
        return derive(self._raw, Label.ACTIVATION_TOKEN)

    def __repr__(self) -> str:
        return "<ActivationSecret>"


def token_digest(token: bytes) -> Digest:
    """What an owner signs of a token beforehand."""
    return digest(Label.ACTIVATION_TOKEN_DIGEST.prefix() + token)


def check_token(token: bytes, expected: Digest) -> None:
    """Check a published token against what was signed before. Raises: CryptoError."""
    if not same_digest(token_digest(token), expected):
        raise CryptoError("the token is not the one that the grant commits to")
