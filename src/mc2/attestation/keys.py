"""Vendors' public keys and the few signature schemes that they use.

A scheme fixes everything: hash, padding, salt, curve. What a message says of its own algorithm
only selects one of these; what a key can do beyond its scheme is never tried.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mc2.errors import EvidenceError

LEAST_RSA_BITS: Final = 2048


class Scheme(Enum):
    """A way to sign. ECDSA signatures are DER, as in certificates; see `ecdsa_signature`."""

    ECDSA_P256_SHA256 = "ecdsa-p256-sha256"
    ECDSA_P384_SHA384 = "ecdsa-p384-sha384"
    RSA_PSS_SHA384 = "rsa-pss-sha384"  # MGF1 with SHA-384, salt of 48 bytes
    RSA_PKCS1_SHA256 = "rsa-pkcs1-sha256"
    RSA_PKCS1_SHA384 = "rsa-pkcs1-sha384"
    RSA_PKCS1_SHA512 = "rsa-pkcs1-sha512"


_ECDSA: Final[dict[Scheme, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm]]] = {
    Scheme.ECDSA_P256_SHA256: (ec.SECP256R1, hashes.SHA256()),
    Scheme.ECDSA_P384_SHA384: (ec.SECP384R1, hashes.SHA384()),
}
_RSA: Final[dict[Scheme, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]]] = {
    Scheme.RSA_PSS_SHA384: (padding.PSS(padding.MGF1(hashes.SHA384()), 48), hashes.SHA384()),
    Scheme.RSA_PKCS1_SHA256: (padding.PKCS1v15(), hashes.SHA256()),
    Scheme.RSA_PKCS1_SHA384: (padding.PKCS1v15(), hashes.SHA384()),
    Scheme.RSA_PKCS1_SHA512: (padding.PKCS1v15(), hashes.SHA512()),
}


def ecdsa_signature(r: int, s: int) -> bytes:
    """A signature in DER from its two numbers, which quotes and reports carry bare."""
    return encode_dss_signature(r, s)


def verify_signature(
    spki: bytes,
    scheme: Scheme,
    signature: bytes,
    message: bytes,
    *,
    what: str,
    least_rsa_bits: int = LEAST_RSA_BITS,
) -> None:
    """Check that the key in `spki` (DER SubjectPublicKeyInfo) signed `message` by `scheme`.

    `what` names the signed thing in messages: "the SNP report".

    Raises: EvidenceError, also for a key that does not fit the scheme.
    """
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        raise EvidenceError(f"the key that should sign {what} does not decode") from None
    try:
        if scheme in _ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            curve, digest = _ECDSA[scheme]
            if isinstance(key.curve, curve):
                key.verify(signature, message, ec.ECDSA(digest))
                return
        elif scheme in _RSA and isinstance(key, rsa.RSAPublicKey):
            pad, digest = _RSA[scheme]
            if key.key_size >= least_rsa_bits:
                key.verify(signature, message, pad, digest)
                return
    except InvalidSignature:
        raise EvidenceError(
            f"the signature of {what} is false",
            hint="it was altered, or it was signed by another key than the one given with it",
        ) from None
    raise EvidenceError(f"the key that should sign {what} does not fit {scheme.value}")
