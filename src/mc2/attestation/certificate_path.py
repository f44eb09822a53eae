"""Certificate paths to a pinned vendor root, as of a given time.

Not the WebPKI: no names of hosts, no extended key usages, no fetching, and roots that are pinned
by digest. A path is given whole, leaf first, and must be exactly right (RFC 5280 §6.1 without
policies and name constraints: a critical extension that nobody here understands is refused).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mc2.attestation.keys import LEAST_RSA_BITS, Scheme, verify_signature
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.x509 import BASIC_CONSTRAINTS, KEY_USAGE, Certificate, Crl
from mc2.errors import EvidenceError
from mc2.formats.fields import to_time

PATH_LENGTH: Final = 8
"""Certificates in a path; the longest in use has 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRules:
    """What one vendor's certificates look like; anything else is refused.

    `understood` are critical extensions, by dotted number, that the caller looks at itself,
    beyond basic constraints and key usage.
    """

    schemes: frozenset[Scheme]
    least_rsa_bits: int = LEAST_RSA_BITS
    understood: frozenset[str] = frozenset()


def check_pinned(root: Certificate, pins: Iterable[PinnedRoot]) -> PinnedRoot:
    """The pin that this root matches. Raises: EvidenceError."""
    for pin in pins:
        if pin.matches(root.der, root.spki):
            return pin
    raise EvidenceError(
        f"{root.what} is not a root that is trusted here",
        hint="evidence counts only if its certificates end in a vendor's pinned root",
    )


def verify_path(path: Sequence[Certificate], *, at: datetime, rules: PathRules) -> datetime:
    """Check a path from its leaf (first) to its self-signed root (last) as of `at`.

    The caller has pinned the root (`check_pinned`) and looks at the leaf's own meaning itself.
    Returns the earliest end of validity in the path.

    Raises: EvidenceError.
    """
    if not 2 <= len(path) <= PATH_LENGTH:
        raise EvidenceError(f"a certificate path has 2 to {PATH_LENGTH} certificates")
    leaf = path[0]
    if leaf.ca:
        raise EvidenceError(f"{leaf.what} is the certificate of an authority, not of a signer")
    _check_usable(leaf, at, rules)
    ends = verify_authorities(path[1:], at=at, rules=rules)
    verify_issued(leaf, path[1], rules)
    return min(leaf.not_after, ends)


def verify_authorities(path: Sequence[Certificate], *, at: datetime, rules: PathRules) -> datetime:
    """Check the authorities of a path, the lowest first, to its self-signed root as of `at`.

    The caller has pinned the root (`check_pinned`). Returns the earliest end of validity.

    Raises: EvidenceError.
    """
    if not 1 <= len(path) < PATH_LENGTH:
        raise EvidenceError(f"a certificate path has 1 to {PATH_LENGTH - 1} authorities")
    for below, certificate in enumerate(path):
        _check_usable(certificate, at, rules)
        _check_authority(certificate, below)
    # RFC 5280 §6.1.3 (a)(1) and (4): signature and name of each by the next; the root by itself.
    for certificate, issuer in zip(path, (*path[1:], path[-1]), strict=True):
        verify_issued(certificate, issuer, rules)
    return min(certificate.not_after for certificate in path)


def verify_issued(item: Certificate | Crl, issuer: Certificate, rules: PathRules) -> None:
    """Check name and signature of a certificate or list against its issuer.

    Raises: EvidenceError.
    """
    if item.issuer != issuer.subject:
        raise EvidenceError(f"{item.what} was not issued by {issuer.what}")
    if item.scheme not in rules.schemes:
        raise EvidenceError(f"{item.what} is signed by {item.scheme.value}, which is not allowed")
    verify_signature(
        issuer.spki,
        item.scheme,
        item.signature,
        item.tbs,
        what=item.what,
        least_rsa_bits=rules.least_rsa_bits,
    )


def verify_crl(crl: Crl, issuer: Certificate, *, at: datetime, rules: PathRules) -> None:
    """Check that `issuer` signed the list and that it is current as of `at`.

    The issuer's own certificate is one of a path that was verified.

    Raises: EvidenceError.
    """
    if not issuer.ca or issuer.key_usage is None or "crl_sign" not in issuer.key_usage:
        raise EvidenceError(f"{issuer.what} may not sign revocation lists")
    verify_issued(crl, issuer, rules)
    if at < crl.this_update:
        raise EvidenceError(f"{crl.what} is from the future: {to_time(crl.this_update)}")
    if at > crl.next_update:
        raise EvidenceError(
            f"{crl.what} is out of date since {to_time(crl.next_update)}",
            hint="fetch the vendor's current list",
        )


def check_not_revoked(certificate: Certificate, crl: Crl) -> None:
    """Look for a certificate in the verified list of its issuer. Raises: EvidenceError."""
    if certificate.issuer != crl.issuer:
        raise EvidenceError(f"{crl.what} says nothing of {certificate.what}: another issuer")
    if certificate.serial in crl.revoked:
        raise EvidenceError(f"{certificate.what} is revoked")


def _check_usable(certificate: Certificate, at: datetime, rules: PathRules) -> None:
    if at < certificate.not_before:
        raise EvidenceError(
            f"{certificate.what} is not valid before {to_time(certificate.not_before)}"
        )
    if at > certificate.not_after:
        raise EvidenceError(
            f"{certificate.what} ended on {to_time(certificate.not_after)}",
            hint="the enclave's host must supply current certificates",
        )
    known = {BASIC_CONSTRAINTS, KEY_USAGE} | rules.understood
    for number, extension in certificate.extensions.items():
        if extension.critical and number not in known:
            raise EvidenceError(f"{certificate.what} has the unknown critical extension {number}")


def _check_authority(certificate: Certificate, below: int) -> None:
    # RFC 5280 §6.1.4 (k) to (n); `below` counts the authorities between it and the leaf.
    usage = certificate.key_usage
    if not certificate.ca or usage is None or "key_cert_sign" not in usage:
        raise EvidenceError(f"{certificate.what} may not sign certificates")
    if certificate.path_length is not None and below > certificate.path_length:
        raise EvidenceError(f"{certificate.what} does not allow a path as long as this one")
