"""Verifies Intel quotes: who signed what, from the TD or enclave up to Intel's root.

The steps have the numbers of docs/spec/evidence-dcap.md §5. Each may rely on the ones before it.
There is no opinion here: a debug enclave on old firmware yields claims that say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from mc2.attestation.certificate_path import (
    PathRules,
    check_not_revoked,
    check_pinned,
    verify_crl,
    verify_path,
)
from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.dcap.claims import SGX_KIND, TDX_KIND, Platform, quote_claims
from mc2.attestation.dcap.collateral import Signed
from mc2.attestation.dcap.endorsements import Collateral, KnownCertificates, parse_collateral
from mc2.attestation.dcap.pck import SGX_EXTENSION, parse_pck_extension
from mc2.attestation.dcap.quote import Quote, TdReport, Tee, parse_quote
from mc2.attestation.dcap.tcb import Rating, match_qe, rate_domain, rate_enclave
from mc2.attestation.keys import Scheme, ecdsa_signature, verify_signature
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.x509 import Certificate
from mc2.errors import EvidenceError
from mc2.formats.fields import to_time

RULES: Final = PathRules(schemes=frozenset({Scheme.ECDSA_P256_SHA256}))
PCK_NAME: Final = "Intel SGX PCK Certificate"
CA_NAMES: Final = ("Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA")
SIGNER_NAME: Final = "Intel SGX TCB Signing"
_P256_SPKI: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""DER of a P-256 SubjectPublicKeyInfo up to the coordinates of its uncompressed point."""


def verify_quote(
    quote: Quote, collateral: Collateral, *, roots: Iterable[PinnedRoot], at: datetime
) -> VerifiedClaims:
    """Check a quote and its collateral as of `at`. Raises: EvidenceError."""
    _verify_binding(quote)
    platform = _verify_platform(quote, collateral, tuple(roots), at)
    ends = _verify_revocation(platform, collateral, at)
    ends = min(ends, _verify_collateral(platform, collateral, at))
    rating = _rate(quote, platform, collateral)
    # Step 12. What all this says, without an opinion.
    return quote_claims(quote, platform, collateral, rating, at=at, ends=ends)


class _QuoteVerifier:
    """Verifies quotes of one TEE. Never fetches anything and never reads the clock."""

    kind: str
    tier: Tier
    _tee: Tee

    def __init__(self, roots: Iterable[PinnedRoot]) -> None:
        self._roots = tuple(roots)

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
        """Check a quote as of `at`. Raises: EvidenceError."""
        if raw.kind != self.kind:
            raise EvidenceError(f"this verifies {self.kind}, and the evidence is {raw.kind}")
        quote = parse_quote(raw.evidence)
        if quote.tee != self._tee:
            raise EvidenceError(f"evidence of kind {self.kind} carries a quote of {quote.tee}")
        collateral = parse_collateral(raw.endorsements, self._tee)
        return verify_quote(quote, collateral, roots=self._roots, at=at)


class SgxVerifier(_QuoteVerifier):
    """Verifies quotes of SGX enclaves."""

    kind = SGX_KIND
    tier = Tier.HARDWARE_ENCLAVE
    _tee: Tee = "SGX"


class TdxVerifier(_QuoteVerifier):
    """Verifies quotes of TDX trust domains."""

    kind = TDX_KIND
    tier = Tier.HARDWARE_CVM
    _tee: Tee = "TDX"


def _verify_binding(quote: Quote) -> None:
    # Step 1. The attestation key signed header and body.
    _verify_pair(quote.attestation_key, quote.signature, quote.signed, "the quote")
    # Step 2. The quoting enclave made that key: its report names it, and nothing else.
    bound = hashlib.sha256(quote.attestation_key + quote.qe_auth).digest()
    if quote.qe_report.report_data != bound + bytes(32):
        raise EvidenceError("the quoting enclave's report is not for the key that signed the quote")


def _verify_platform(
    quote: Quote, collateral: Collateral, roots: tuple[PinnedRoot, ...], at: datetime
) -> Platform:
    # Step 3. The PCK certificate leads to a pinned root, through the right kind of authority.
    what = ("the PCK certificate", "the PCK authority's certificate", "the quote's root")
    certificates = KnownCertificates(collateral.pck_crl_chain)
    root = certificates.read(quote.pck_chain[2], what[2])
    check_pinned(root, roots)
    ca = certificates.read(quote.pck_chain[1], what[1])
    pck = certificates.read(quote.pck_chain[0], what[0])
    if pck.common_name != PCK_NAME or ca.common_name not in CA_NAMES:
        raise EvidenceError("the quote's certificates are not a PCK certificate and its authority")
    ends = verify_path((pck, ca, root), at=at, rules=RULES)
    extension = pck.extensions.get(SGX_EXTENSION)
    if extension is None:
        raise EvidenceError("the PCK certificate does not describe a platform")
    # Step 4. The platform's key signed the quoting enclave's report.
    verify_signature(
        pck.spki,
        Scheme.ECDSA_P256_SHA256,
        _der(quote.qe_report_signature),
        quote.qe_report_raw,
        what="the quoting enclave's report",
    )
    return Platform(
        pck=pck,
        ca=ca,
        root=root,
        extension=parse_pck_extension(extension.value),
        ends=ends,
    )


def _verify_revocation(platform: Platform, collateral: Collateral, at: datetime) -> datetime:
    # Step 5. Both lists are by the right authority and current.
    issuer, root = collateral.pck_crl_chain
    _check_root(root, platform)
    ends = platform.ends
    if issuer.der != platform.ca.der:  # reissued for the same key, or this fails
        ends = min(ends, verify_path((platform.pck, issuer, root), at=at, rules=RULES))
    verify_crl(collateral.root_crl, platform.root, at=at, rules=RULES)
    verify_crl(collateral.pck_crl, platform.ca, at=at, rules=RULES)
    # Step 6. Nothing on the path is revoked.
    for certificate in (platform.root, platform.ca, issuer):
        check_not_revoked(certificate, collateral.root_crl)
    check_not_revoked(platform.pck, collateral.pck_crl)
    return min(ends, collateral.root_crl.next_update, collateral.pck_crl.next_update)


def _verify_collateral(platform: Platform, collateral: Collateral, at: datetime) -> datetime:
    # Step 7. Intel signed TCB info and QE identity, and both are current.
    info, identity = collateral.tcb_info, collateral.qe_identity
    ends = _verify_signer(collateral.tcb_info_chain, platform, collateral, at)
    if _ders(collateral.qe_identity_chain) != _ders(collateral.tcb_info_chain):
        ends = min(ends, _verify_signer(collateral.qe_identity_chain, platform, collateral, at))
    _verify_statement(collateral.tcb_info_signed, collateral.tcb_info_chain[0])
    _verify_statement(collateral.qe_identity_signed, collateral.qe_identity_chain[0])
    _check_current("TCB info", info.issued, info.next_update, at)
    _check_current("QE identity", identity.issued, identity.next_update, at)
    return min(ends, info.next_update, identity.next_update)


def _verify_signer(
    chain: tuple[Certificate, Certificate], platform: Platform, collateral: Collateral, at: datetime
) -> datetime:
    """Until when Intel's signer of statements may be believed. Raises: EvidenceError."""
    signer, root = chain
    _check_root(root, platform)
    if signer.common_name != SIGNER_NAME:
        raise EvidenceError(f"{signer.what} is not Intel's signer of TCB information")
    ends = verify_path(chain, at=at, rules=RULES)
    check_not_revoked(signer, collateral.root_crl)
    return ends


def _verify_statement(signed: Signed, signer: Certificate) -> None:
    verify_signature(
        signer.spki,
        Scheme.ECDSA_P256_SHA256,
        _der(signed.signature),
        signed.body,
        what=f"what {signer.what} states",
    )


def _ders(chain: tuple[Certificate, Certificate]) -> tuple[bytes, bytes]:
    return chain[0].der, chain[1].der


def _rate(quote: Quote, platform: Platform, collateral: Collateral) -> Rating:
    # Step 8. The TCB info is for this kind of platform.
    info, pck = collateral.tcb_info, platform.extension
    if (info.fmspc, info.pceid) != (pck.fmspc, pck.pceid):
        raise EvidenceError(
            f"the TCB info is for FMSPC {info.fmspc.hex()}, the platform's is {pck.fmspc.hex()}",
            hint="fetch Intel's collateral for this platform's FMSPC",
        )
    # Step 9. The quoting enclave is Intel's.  Steps 10 and 11: the levels, in `tcb`.
    qe = match_qe(quote.qe_report, collateral.qe_identity)
    if isinstance(quote.body, TdReport):
        return rate_domain(pck, info, qe, quote.body)
    return rate_enclave(pck, info, qe)


def _check_root(root: Certificate, platform: Platform) -> None:
    if root.der != platform.root.der:
        raise EvidenceError(f"{root.what} is not the root of the quote")


def _check_current(what: str, issued: datetime, next_update: datetime, at: datetime) -> None:
    if at < issued:
        raise EvidenceError(f"Intel's {what} is from the future: {to_time(issued)}")
    if at > next_update:
        raise EvidenceError(
            f"Intel's {what} is out of date since {to_time(next_update)}",
            hint="fetch current collateral: mc2 endorsements fetch",
        )


def _verify_pair(point: bytes, signature: bytes, message: bytes, what: str) -> None:
    verify_signature(
        _P256_SPKI + point, Scheme.ECDSA_P256_SHA256, _der(signature), message, what=what
    )


def _der(signature: bytes) -> bytes:
    return ecdsa_signature(
        int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    )
