"""HKDF-SHA256 (RFC 5869), always with a label."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mc2.crypto.labels import Label

KEY_BYTES = 32


def derive(secret: bytes | bytearray, label: Label, context: bytes = b"") -> bytes:
    """Derive 32 bytes from a uniformly random secret for one use and context."""
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label.prefix() + context)
    return kdf.derive(bytes(secret))
