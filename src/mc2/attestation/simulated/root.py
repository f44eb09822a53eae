"""The test root of one deployment: a P-384 key that signs simulated reports.

Whoever holds it can claim to run any code. That is the point of a simulation, and why its digest
stands in the signed contract beside the word `simulated`.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA384

from mc2.crypto.digest import Digest, digest
from mc2.errors import EvidenceError, FormatError, UsageError

POINT_BYTES: Final = 97
"""An uncompressed P-384 point."""

SIGNATURE_BYTES: Final = 96
"""r, then s, each 48 bytes big-endian: a signature has one length and one spelling."""

_HALF: Final = SIGNATURE_BYTES // 2
_FILE_MODE: Final = 0o600
_LARGEST_FILE: Final = 4096
_SCHEME: Final = ec.ECDSA(SHA384())


class SimulatedRoot:
    """The private half. Made by each deployment for itself; there is none in the package."""

    __slots__ = ("_key", "public")

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(key.curve, ec.SECP384R1):
            raise FormatError("a simulation's root is a P-384 key")
        self._key = key
        self.public = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @classmethod
    def make(cls) -> Self:
        """A fresh root."""
        return cls(ec.generate_private_key(ec.SECP384R1()))

    @property
    def digest(self) -> Digest:
        """The root's name, which a contract's policy pins."""
        return digest(self.public)

    def sign(self, message: bytes) -> bytes:
        """Sign as the simulation's hardware: 96 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, _SCHEME))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")

    def store(self, path: Path) -> None:
        """Write the private key with mode 0600, whole or not at all.

        Raises: UsageError where a file already is.
        """
        raw = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # unlike rename, this refuses to overwrite
        except FileExistsError:
            raise UsageError(
                f"{path} exists, and a simulation's root is never overwritten",
                hint="use the root that is there, or name another file",
            ) from None
        finally:
            draft.unlink()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `store` wrote.

        Raises: UsageError if it is missing or others may read it, FormatError.
        """
        try:
            with path.open("rb") as file:
                open_to_others = os.fstat(file.fileno()).st_mode & 0o077
                raw = file.read(_LARGEST_FILE + 1)
        except FileNotFoundError:
            raise UsageError(f"there is no simulation root at {path}") from None
        if open_to_others:
            raise UsageError(
                f"others may read or write the simulation's root {path}",
                hint=f"make a new one, or: chmod 600 {path}",
            )
        try:
            key = serialization.load_pem_private_key(raw[:_LARGEST_FILE], password=None)
        except (ValueError, TypeError):
            raise FormatError(f"{path} does not hold a private key in PEM") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise FormatError("a simulation's root is a P-384 key")
        return cls(key)

    def __repr__(self) -> str:
        return f"<SimulatedRoot {self.digest}>"


def verify_by_root(root: bytes, signature: bytes, message: bytes) -> None:
    """Check a simulated signature by a root's public point. Raises: EvidenceError."""
    half = len(signature) // 2
    encoded = encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), root)
        key.verify(encoded, message, _SCHEME)
    except (InvalidSignature, ValueError):
        raise EvidenceError("the simulated report is not signed by the root it names") from None
