"""The few algorithm identifiers of the TPM registry that are used here (TCG Algorithm Registry)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Alg(IntEnum):
    """TPM_ALG_ID."""

    RSA = 0x0001
    AES = 0x0006
    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D
    NULL = 0x0010
    RSASSA = 0x0014
    ECDSA = 0x0018
    ECC = 0x0023
    CFB = 0x0043


NIST_P256: Final = 0x0003
NIST_P384: Final = 0x0004

BANKS: Final = {"sha256": Alg.SHA256, "sha384": Alg.SHA384}
"""PCR banks that quotes may use, by the name that claims and policies have. SHA-1 is none."""

DIGEST_BYTES: Final = {Alg.SHA256: 32, Alg.SHA384: 48, Alg.SHA512: 64}

HASH_NAMES: Final = {Alg.SHA256: "sha256", Alg.SHA384: "sha384", Alg.SHA512: "sha512"}
"""As `hashlib` calls them."""

PCRS: Final = 24
"""Registers in a bank (PC Client Platform TPM Profile)."""
