"""Private keys. Only the client and the enclave may import this module.

Python cannot promise that no copy of a secret stays in memory; what can be wiped is wiped, and
the rest dies with the process (docs/limitations.md).
"""

from __future__ import annotations

import secrets
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mc2.crypto.hpke import SUITE, ReceivingPublicKey
from mc2.crypto.kdf import KEY_BYTES, derive
from mc2.crypto.labels import Label
from mc2.crypto.signatures import VerifyKey
from mc2.errors import CryptoError, FormatError

_MLKEM_SEED_BYTES: Final = 64
_X25519_BYTES: Final = 32
_ED25519_BYTES: Final = 32


class SigningKey:
    """An Ed25519 private key: 32 raw bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != _ED25519_BYTES:
            raise FormatError("an Ed25519 private key has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh key."""
        return cls(secrets.token_bytes(_ED25519_BYTES))

    def sign(self, message: bytes) -> bytes:
        """Sign: 64 bytes."""
        return self._key.sign(message)

    def private_bytes(self) -> bytes:
        """The raw private key, for sealed storage and nothing else."""
        return self._key.private_bytes_raw()

    def __repr__(self) -> str:
        return f"<SigningKey {self.public.key_id}>"


class ReceivingKey:
    """An HPKE private key: the ML-KEM-768 seed (64 bytes), then the X25519 key (32 bytes)."""

    __slots__ = ("_mlkem", "_x25519", "public")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != _MLKEM_SEED_BYTES + _X25519_BYTES:
            raise FormatError("a private receiving key has 96 bytes")
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES])
        self._x25519 = X25519PrivateKey.from_private_bytes(raw[_MLKEM_SEED_BYTES:])
        self.public = ReceivingPublicKey(
            self._mlkem.public_key().public_bytes_raw()
            + self._x25519.public_key().public_bytes_raw()
        )

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh key."""
        return cls(secrets.token_bytes(_MLKEM_SEED_BYTES + _X25519_BYTES))

    def open(self, ciphertext: bytes, info: bytes) -> bytes:
        """Open what was sealed to this key with this `info`. Raises: CryptoError."""
        key = hpke.MLKEM768X25519PrivateKey(self._mlkem, self._x25519)
        try:
            return SUITE.decrypt(ciphertext, key, info)
        except (InvalidTag, ValueError):
            raise CryptoError("a sealed key does not open: other key, context or bytes") from None

    def private_bytes(self) -> bytes:
        """The raw private key, for sealed storage and nothing else."""
        return self._mlkem.private_bytes_raw() + self._x25519.private_bytes_raw()

    def __repr__(self) -> str:
        return "<ReceivingKey>"


class DataKey:
    """The 32-byte key of one dataset version or result, wiped when closed.

    Use as a context manager. The key encrypts nothing itself: `mc2.crypto.chunks` derives from
    it, under labels of their own, the key of the chunks and the public commitment to it.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes | bytearray) -> None:
        if len(raw) != KEY_BYTES:
            raise CryptoError("a data key has 32 bytes")
        self._raw = bytearray(raw)

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def raw(self) -> bytearray:
        """The key's bytes; empty after `close`."""
        return self._raw

    def commitment(self) -> str:
        """Hex of a value that binds to the key and reveals nothing of it."""
        return derive(self._raw, Label.KEY_COMMITMENT).hex()

    def close(self) -> None:
        """Overwrite the key."""
        for i in range(len(self._raw)):
            self._raw[i] = 0
        self._raw = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<DataKey>"


# Argon2id as RFC 9106 section 4 recommends for constrained memory: 3 passes, 64 MiB, 4 lanes.
_ARGON2_PASSES: Final = 3
_ARGON2_MEMORY_KIB: Final = 64 * 1024
_ARGON2_LANES: Final = 4
SALT_BYTES: Final = 16


def _passphrase_key(passphrase: str, salt: bytes) -> bytes:
    kdf = Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=_ARGON2_PASSES,
        lanes=_ARGON2_LANES,
        memory_cost=_ARGON2_MEMORY_KIB,
    )
    return kdf.derive(passphrase.encode("utf-8"))


def lock_with_passphrase(plaintext: bytes, passphrase: str) -> tuple[bytes, bytes]:
    """Encrypt under a passphrase: (salt, ciphertext).

    The fresh salt makes the key, and so the all-zero nonce, unique to this ciphertext.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    cipher = AESGCM(_passphrase_key(passphrase, salt))
    return salt, cipher.encrypt(bytes(12), plaintext, Label.IDENTITY.prefix())


def unlock_with_passphrase(salt: bytes, ciphertext: bytes, passphrase: str) -> bytes:
    """Undo `lock_with_passphrase`. Raises: CryptoError."""
    try:
        return AESGCM(_passphrase_key(passphrase, salt)).decrypt(
            bytes(12), ciphertext, Label.IDENTITY.prefix()
        )
    except InvalidTag:
        raise CryptoError("wrong passphrase, or the key file was altered") from None
