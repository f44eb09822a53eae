"""Hybrid public-key encryption (RFC 9180), single shot, base mode: the sealing half.

The KEM is X25519 joined with ML-KEM-768, so that ciphertext which a coordinator stores today
does not open to a quantum computer tomorrow (docs/adr/0003). HPKE here has no associated data
and no sender authentication: the whole context goes into `info`, and the sender signs the
envelope around the ciphertext.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from mc2.errors import FormatError

_MLKEM_PUBLIC_BYTES = 1184
_X25519_BYTES = 32
RECEIVING_PUBLIC_BYTES = _MLKEM_PUBLIC_BYTES + _X25519_BYTES

SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class ReceivingPublicKey:
    """A public key to seal to: the ML-KEM-768 key (1184 bytes), then the X25519 key (32 bytes)."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != RECEIVING_PUBLIC_BYTES:
            raise FormatError(f"a receiving key has {RECEIVING_PUBLIC_BYTES} bytes")
        try:
            self._keys()
        except ValueError:
            raise FormatError("a receiving key does not decode") from None

    def _keys(self) -> hpke.MLKEM768X25519PublicKey:
        return hpke.MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(self.raw[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(self.raw[_MLKEM_PUBLIC_BYTES:]),
        )

    def seal(self, plaintext: bytes | bytearray, info: bytes) -> bytes:
        """Seal to this key. Only its holder opens it, and only with the same `info`."""
        return SUITE.encrypt(bytes(plaintext), self._keys(), info)
