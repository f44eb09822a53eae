"""Certificates of TPM keys, up to a pinned root: endorsement keys, certified attestation keys.

Which roots count is the caller's choice; TPM makers have many, and a local swtpm has its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mc2.attestation.certificate_path import PATH_LENGTH, PathRules, check_pinned, verify_path
from mc2.attestation.keys import Scheme
from mc2.attestation.pem import split_pem
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.x509 import parse_certificate
from mc2.crypto.digest import Digest, digest
from mc2.errors import EvidenceError

_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"  # critical in EK certificates: maker and model
_RULES: Final = PathRules(
    schemes=frozenset(
        {
            Scheme.RSA_PKCS1_SHA256,
            Scheme.RSA_PKCS1_SHA384,
            Scheme.RSA_PKCS1_SHA512,
            Scheme.ECDSA_P256_SHA256,
            Scheme.ECDSA_P384_SHA384,
        }
    ),
    understood=frozenset({_SUBJECT_ALTERNATIVE_NAME}),
)


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A key that a pinned root vouches for. `root` is the digest of the root's certificate."""

    spki: bytes
    root: Digest
    ends: datetime

    @property
    def name(self) -> Digest:
        """The digest of the key (DER SubjectPublicKeyInfo)."""
        return digest(self.spki)


def verify_endorsement_key(
    certificate: bytes, chain: bytes, *, roots: Iterable[PinnedRoot], at: datetime
) -> CertifiedKey:
    """Check the certificate of an endorsement key (DER) with its authorities (PEM, root last).

    Raises: EvidenceError.
    """
    # An endorsement key only decrypts; the certificate of a signing key is for something else,
    # though the same authority may have issued it (Google's does).
    return _verify(
        certificate, chain, roots, at, what="the endorsement key", usage="key_encipherment"
    )


def verify_attestation_key(
    certificate: bytes, chain: bytes, *, roots: Iterable[PinnedRoot], at: datetime
) -> CertifiedKey:
    """Check the certificate that a provider gave an attestation key. Raises: EvidenceError."""
    return _verify(
        certificate, chain, roots, at, what="the attestation key", usage="digital_signature"
    )


def _verify(
    certificate: bytes,
    chain: bytes,
    roots: Iterable[PinnedRoot],
    at: datetime,
    *,
    what: str,
    usage: str,
) -> CertifiedKey:
    leaf = parse_certificate(certificate, f"the certificate of {what}")
    authorities = [
        parse_certificate(raw, f"an authority of {what}")
        for raw in split_pem(chain, f"the chain of {what}", most=PATH_LENGTH - 1)
    ]
    check_pinned(authorities[-1], roots)
    if leaf.key_usage is None or usage not in leaf.key_usage:
        raise EvidenceError(f"{leaf.what} is for another use than {usage.replace('_', ' ')}")
    ends = verify_path((leaf, *authorities), at=at, rules=_RULES)
    return CertifiedKey(leaf.spki, digest(authorities[-1].der), ends)
