"""What TPMs sign and publish: TPMS_ATTEST, TPMT_PUBLIC, TPMT_SIGNATURE (TPM 2.0 Part 2).

Layout only; big-endian throughout. A structure that is not one of the few shapes that a quote
needs is refused, also where the specification allows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mc2.attestation.cursor import Cursor
from mc2.attestation.keys import Scheme, ecdsa_signature
from mc2.attestation.tpm.algorithms import (
    BANKS,
    DIGEST_BYTES,
    HASH_NAMES,
    NIST_P256,
    NIST_P384,
    PCRS,
    Alg,
)
from mc2.errors import EvidenceError

_MAGIC: Final = b"\xffTCG"  # made by a TPM: no restricted key signs these four bytes for others
_ATTEST_QUOTE: Final = 0x8018
_BUFFER: Final = 512  # the largest field of any of these structures: an RSA-4096 key

FIXED_TPM: Final = 1 << 1
FIXED_PARENT: Final = 1 << 4
SENSITIVE_DATA_ORIGIN: Final = 1 << 5
RESTRICTED: Final = 1 << 16
DECRYPT: Final = 1 << 17
SIGN: Final = 1 << 18

_SCHEMES: Final[Mapping[tuple[int, int], Scheme]] = {
    (Alg.RSASSA, Alg.SHA256): Scheme.RSA_PKCS1_SHA256,
    (Alg.RSASSA, Alg.SHA384): Scheme.RSA_PKCS1_SHA384,
    (Alg.RSASSA, Alg.SHA512): Scheme.RSA_PKCS1_SHA512,
    (Alg.ECDSA, Alg.SHA256): Scheme.ECDSA_P256_SHA256,
    (Alg.ECDSA, Alg.SHA384): Scheme.ECDSA_P384_SHA384,
}
_CURVES: Final[Mapping[int, ec.EllipticCurve]] = {
    NIST_P256: ec.SECP256R1(),
    NIST_P384: ec.SECP384R1(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attest:
    """A quote (TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE).

    `extra_data` is what the caller of the quote chose. `clock` counts milliseconds while the TPM
    has power, `reset_count` its power cycles, `restart_count` resumes since; `safe` is false if
    the clock may have been set back by a power failure. `pcr_digest` is the hash of the selected
    registers of one `bank`, in ascending order.
    """

    raw: bytes
    qualified_signer: bytes
    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: int
    bank: str
    selected: tuple[int, ...]
    pcr_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """The public part of a key (TPMT_PUBLIC).

    `scheme` is the one way this key signs; None for a key that does not. `spki` is the key in
    DER. `name` binds the whole structure: algorithm identifier and hash of `raw`.
    """

    raw: bytes
    name_alg: int
    attributes: int
    scheme: Scheme | None
    spki: bytes

    @property
    def name(self) -> bytes:
        """The TPM's name for the key: every byte of `raw` counts."""
        digest = hashlib.new(HASH_NAMES[Alg(self.name_alg)], self.raw).digest()
        return self.name_alg.to_bytes(2, "big") + digest


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature (TPMT_SIGNATURE), with the value as `verify_signature` takes it."""

    scheme: Scheme
    value: bytes


def parse_attest(raw: bytes) -> Attest:
    """Read a quote. Raises: EvidenceError, also for anything else that a TPM attests to."""
    cursor = Cursor(raw, "the TPM quote", "big")
    if cursor.take(4) != _MAGIC or cursor.number(2) != _ATTEST_QUOTE:
        raise EvidenceError("this is not a quote made by a TPM")
    qualified_signer = cursor.sized(2, 2 + 64)
    extra_data = cursor.sized(2, 2 + 64)
    clock, reset_count, restart_count = cursor.number(8), cursor.number(4), cursor.number(4)
    safe, firmware_version = cursor.number(1), cursor.number(8)
    if safe > 1:
        raise EvidenceError("the TPM quote has a switch that is neither yes nor no")
    bank, selected = _read_selection(cursor)
    pcr_digest = cursor.sized(2, 64)
    cursor.done()
    return Attest(
        raw=raw,
        qualified_signer=qualified_signer,
        extra_data=extra_data,
        clock=clock,
        reset_count=reset_count,
        restart_count=restart_count,
        safe=safe == 1,
        firmware_version=firmware_version,
        bank=bank,
        selected=selected,
        pcr_digest=pcr_digest,
    )


def parse_public(raw: bytes) -> Public:
    """Read the public part of a key, RSA or ECC. Raises: EvidenceError."""
    cursor = Cursor(raw, "the TPM key", "big")
    kind, name_alg, attributes = cursor.number(2), cursor.number(2), cursor.number(4)
    if name_alg not in HASH_NAMES:
        raise EvidenceError(f"the TPM key is named by algorithm {name_alg:#06x}: not supported")
    cursor.sized(2, 64)  # the policy for its use; no business of the verifier
    _read_symmetric(cursor)
    scheme = _read_scheme(cursor)
    if kind == Alg.RSA:
        spki = _read_rsa(cursor)
    elif kind == Alg.ECC:
        spki = _read_ecc(cursor)
    else:
        raise EvidenceError(f"a TPM key of type {kind:#06x} is not supported")
    cursor.done()
    return Public(raw=raw, name_alg=name_alg, attributes=attributes, scheme=scheme, spki=spki)


def parse_signature(raw: bytes) -> Signature:
    """Read a signature by ECDSA or RSASSA. Raises: EvidenceError."""
    cursor = Cursor(raw, "the TPM's signature", "big")
    kind, hash_alg = cursor.number(2), cursor.number(2)
    scheme = _SCHEMES.get((kind, hash_alg))
    if scheme is None:
        raise EvidenceError(
            f"the TPM signed by algorithm {kind:#06x} with hash {hash_alg:#06x}: not supported",
            hint="make the attestation key with ECDSA P-256 or RSASSA, and SHA-256",
        )
    value = cursor.sized(2, _BUFFER)
    if kind == Alg.ECDSA:
        size = DIGEST_BYTES[Alg(hash_alg)]  # the size of the curve's field, for both curves
        r, s = value, cursor.sized(2, _BUFFER)
        if len(r) > size or len(s) > size:
            raise EvidenceError("a number of the TPM's signature is larger than its curve")
        value = ecdsa_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    cursor.done()
    return Signature(scheme, value)


def check_attestation_key(key: Public) -> None:
    """Check that a key signs what its own TPM made, and nothing else. Raises: EvidenceError.

    Restricted: it refuses to sign outside data that looks like a quote. Fixed and of the TPM's
    own making: nobody has a copy.
    """
    needed = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | SIGN
    if key.attributes & needed != needed or key.attributes & DECRYPT or key.scheme is None:
        raise EvidenceError(
            "the TPM's key is not an attestation key",
            hint="it must be restricted, signing only, fixed to its TPM and made by it",
        )


def _read_selection(cursor: Cursor) -> tuple[str, tuple[int, ...]]:
    # One bank: a quote over several would need a rule of its own for how they are joined.
    if cursor.number(4) != 1:
        raise EvidenceError("the TPM quote is not over exactly one bank of registers")
    algorithm, bitmap = cursor.number(2), cursor.sized(1, PCRS // 8)
    names = {alg: name for name, alg in BANKS.items()}
    if algorithm not in names or len(bitmap) != PCRS // 8:
        raise EvidenceError(
            "the TPM quote is over a bank of registers that is not supported",
            hint=f"quote one of the banks {', '.join(BANKS)}",
        )
    selected = tuple(n for n in range(PCRS) if bitmap[n // 8] >> n % 8 & 1)
    return names[Alg(algorithm)], selected


def _read_symmetric(cursor: Cursor) -> None:
    """TPMT_SYM_DEF_OBJECT: AES in CFB for storage keys, nothing for others."""
    algorithm = cursor.number(2)
    if algorithm == Alg.NULL:
        return
    bits, mode = cursor.number(2), cursor.number(2)
    if algorithm != Alg.AES or bits not in (128, 192, 256) or mode != Alg.CFB:
        raise EvidenceError("the TPM key has a symmetric algorithm that is not supported")


def _read_scheme(cursor: Cursor) -> Scheme | None:
    kind = cursor.number(2)
    if kind == Alg.NULL:
        return None
    scheme = _SCHEMES.get((kind, cursor.number(2)))
    if scheme is None:
        raise EvidenceError(
            f"the TPM key signs by algorithm {kind:#06x}: not supported",
            hint="make the attestation key with ECDSA P-256 or RSASSA, and SHA-256",
        )
    return scheme


def _read_rsa(cursor: Cursor) -> bytes:
    bits, exponent = cursor.number(2), cursor.number(4) or 65537
    modulus = cursor.sized(2, _BUFFER)
    if len(modulus) * 8 != bits:
        raise EvidenceError("the modulus of the TPM key has another size than it says")
    try:
        numbers = rsa.RSAPublicNumbers(exponent, int.from_bytes(modulus, "big"))
        return _der(numbers.public_key())
    except ValueError:
        raise EvidenceError("the TPM key is not an RSA key") from None


def _read_ecc(cursor: Cursor) -> bytes:
    curve = _CURVES.get(cursor.number(2))
    if curve is None or cursor.number(2) != Alg.NULL:  # no key derivation for signing keys
        raise EvidenceError("the TPM key is on a curve that is not supported")
    x, y = cursor.sized(2, _BUFFER), cursor.sized(2, _BUFFER)
    try:
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve
        )
        return _der(numbers.public_key())
    except ValueError:
        raise EvidenceError("the TPM key is not a point on its curve") from None


def _der(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
