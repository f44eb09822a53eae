"""A second, independent verifier of Intel quotes that must agree with ours.

With the extra `mc2[intel]` the library dcap-qvl (Rust, other authors) looks at the same bytes
at the same time under the same root. Nothing is accepted that either refuses, and their
findings must be equal; a mistake in one of the two is then not enough. It also refuses debug,
missing SEPT_VE_DISABLE and bound service TDs by itself, so policies cannot allow the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from typing import Protocol

from mc2.attestation.claims import ClaimsToActivate, RawEvidence, VerifiedClaims, Verifier
from mc2.attestation.dcap.collateral import split_signed
from mc2.attestation.dcap.endorsements import (
    PCK_CRL,
    PCK_CRL_CHAIN,
    QE_IDENTITY,
    QE_IDENTITY_CHAIN,
    ROOT_CRL,
    TCB_INFO,
    TCB_INFO_CHAIN,
)
from mc2.attestation.dcap.quote import parse_quote
from mc2.errors import EvidenceError, UsageError
from mc2.formats.canonical import Json


class _Report(Protocol):
    """What we look at of the other library's report."""

    status: str
    advisory_ids: list[str]


class ConfirmedVerifier:
    """One of our verifiers of Intel quotes, confirmed by dcap-qvl."""

    def __init__(self, verifier: Verifier) -> None:
        try:
            self._other = import_module("dcap_qvl")
        except ImportError:
            raise UsageError(
                "a second opinion on Intel quotes needs the library dcap-qvl",
                hint="pip install 'mc2[intel]'",
            ) from None
        self._ours = verifier
        self.kind = verifier.kind
        self.tier = verifier.tier

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
        """Check a quote twice as of `at`. Raises: EvidenceError, also if the two disagree."""
        claims = self._ours.verify(raw, at=at)
        if isinstance(claims, ClaimsToActivate):
            raise EvidenceError("this confirms Intel quotes, which need no activation")
        # Ours has pinned the root of this very chain, so the other may start from it.
        report = self._ask(raw, parse_quote(raw.evidence).pck_chain[2], at)
        if not _same(report, claims.details):
            raise EvidenceError(
                "two verifiers disagree about the rating of the platform",
                hint="report this: one of them has a mistake; do not accept the evidence",
            )
        return claims

    def _ask(self, raw: RawEvidence, root: bytes, at: datetime) -> _Report:
        collateral = self._other.QuoteCollateralV3(**library_collateral(raw.endorsements))
        seconds = int(at.timestamp())
        try:
            report: _Report = self._other.verify_with_root_ca(
                raw.evidence, collateral, root, seconds
            )
        except ValueError as error:
            reason = str(error).partition("\n")[0]
            raise EvidenceError(f"the second verifier refuses the quote: {reason}") from None
        return report


def _same(report: _Report, details: Mapping[str, Json]) -> bool:
    return (
        report.status == details["tcb_status"]
        and sorted(report.advisory_ids) == details["advisories"]
    )


def library_collateral(endorsements: Mapping[str, bytes]) -> dict[str, str | bytes]:
    """Our endorsements under the names of dcap-qvl's `QuoteCollateralV3`."""
    info = split_signed(endorsements[TCB_INFO], "tcbInfo")
    identity = split_signed(endorsements[QE_IDENTITY], "enclaveIdentity")
    return {
        "pck_crl_issuer_chain": endorsements[PCK_CRL_CHAIN].decode("ascii"),
        "root_ca_crl": endorsements[ROOT_CRL],
        "pck_crl": endorsements[PCK_CRL],
        "tcb_info_issuer_chain": endorsements[TCB_INFO_CHAIN].decode("ascii"),
        "tcb_info": info.body.decode("utf-8"),
        "tcb_info_signature": info.signature,
        "qe_identity_issuer_chain": endorsements[QE_IDENTITY_CHAIN].decode("ascii"),
        "qe_identity": identity.body.decode("utf-8"),
        "qe_identity_signature": identity.signature,
    }
