"""MakeCredential: proves that an attestation key lives in the TPM whose endorsement key we know.

Pure arithmetic of the verifier's side (TPM 2.0 Part 1 §24, Annex B.10.4). The result opens only
in the TPM that holds the endorsement key, and there only if a key of exactly the given name is
loaded. All randomness is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.modes import CFB  # what TPMs speak; no choice of ours
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mc2.errors import EvidenceError

SEED_BYTES: Final = 32
"""The seed has the size of the endorsement key's name algorithm, SHA-256."""
LONGEST_SECRET: Final = 32

_EK_BITS: Final = 2048
_AES_KEY_BITS: Final = 128


@dataclass(frozen=True, slots=True)
class Credential:
    """The two parameters of TPM2_ActivateCredential, each without its outer length."""

    blob: bytes
    encrypted_seed: bytes


def make_credential(ek_spki: bytes, ak_name: bytes, secret: bytes, seed: bytes) -> Credential:
    """Seal `secret` to one TPM and one key name. `seed` is fresh and random, and used once.

    Raises: EvidenceError for an endorsement key that is not RSA-2048.
    """
    if len(seed) != SEED_BYTES or not 0 < len(secret) <= LONGEST_SECRET:
        raise ValueError("the seed has 32 bytes, the secret 1 to 32")
    key = _endorsement_key(ek_spki)
    # OAEP with label "IDENTITY" and its zero byte, then two keys from the seed (KDFa).
    encrypted_seed = key.encrypt(
        seed,
        padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label=b"IDENTITY\0"),
    )
    storage = kdfa(seed, b"STORAGE", ak_name, _AES_KEY_BITS)
    encryptor = Cipher(algorithms.AES(storage), CFB(bytes(16))).encryptor()
    identity = encryptor.update(_sized(secret)) + encryptor.finalize()
    mac = hmac.digest(kdfa(seed, b"INTEGRITY", b"", 256), identity + ak_name, "sha256")
    return Credential(_sized(mac) + identity, encrypted_seed)


def kdfa(key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """KDFa with HMAC-SHA256 (Part 1 §11.4.10.2): at most one block of output is needed here."""
    if bits > 256 or bits % 8:
        raise ValueError("one block of SHA-256")
    message = (1).to_bytes(4, "big") + label + b"\0" + context + bits.to_bytes(4, "big")
    return hmac.digest(key, message, hashlib.sha256)[: bits // 8]


def _endorsement_key(spki: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != _EK_BITS:
        raise EvidenceError(
            "the endorsement key is not RSA-2048",
            hint="use the TPM's RSA-2048 endorsement certificate (NV index 0x01C00002)",
        )
    return key


def _sized(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw
