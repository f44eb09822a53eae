"""AES-256-GCM over numbered chunks under one fresh key.

The nonce is the chunk's number. That is safe because a data key is made for one sealing run and
each number is used once in it; a run that breaks off starts again with another key.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.errors import CryptoError

TAG_BYTES: Final = 16
_NONCE_BYTES: Final = 12


class ChunkCipher:
    """Seals and opens the chunks of one dataset version or result.

    `drawing_share` (32 bytes) is a secret of the same data key, for nothing but what a job draws
    at random: `mc2.enclave.drawing`.
    """

    __slots__ = ("_cipher", "drawing_share")

    def __init__(self, data_key: bytes | bytearray) -> None:
        self._cipher = AESGCM(derive(data_key, Label.CHUNK_KEY))
        self.drawing_share = derive(data_key, Label.DRAWING_SHARE)

    def seal_into(
        self, number: int, plaintext: memoryview, associated: bytes, out: memoryview
    ) -> int:
        """Encrypt into `out`, which has room for the plaintext and the tag; its length used.

        Both views have the format of bytes: `memoryview(buffer).cast("B")`.
        """
        nonce = number.to_bytes(_NONCE_BYTES, "big")
        return self._cipher.encrypt_into(nonce, plaintext, associated, out)

    def seal(self, number: int, plaintext: bytes | memoryview, associated: bytes) -> bytes:
        """Encrypt to fresh bytes."""
        return self._cipher.encrypt(number.to_bytes(_NONCE_BYTES, "big"), plaintext, associated)

    def open(self, number: int, ciphertext: bytes | memoryview, associated: bytes) -> bytes:
        """Decrypt one chunk. Raises: CryptoError if one bit, the number or the context differs."""
        nonce = number.to_bytes(_NONCE_BYTES, "big")
        try:
            return self._cipher.decrypt(nonce, ciphertext, associated)
        except (InvalidTag, ValueError):
            raise CryptoError(
                f"chunk {number} does not open: altered, moved or wrong key"
            ) from None
