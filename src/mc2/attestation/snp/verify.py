"""Verifies SEV-SNP evidence: AMD made the chip, its firmware made the report, nothing is revoked.

It has no opinion about what the report says: `mc2.attestation.snp.policy` has. Roots,
certificates, lists and time are arguments; nothing is fetched. The steps are those of
docs/spec/evidence-sev-snp.md.
"""

from __future__ import annotations

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
from mc2.attestation.keys import Scheme, ecdsa_signature, verify_signature
from mc2.attestation.roots import AMD_ROOTS, PinnedRoot
from mc2.attestation.snp import KIND
from mc2.attestation.snp.details import describe_report
from mc2.attestation.snp.endorsement_key import EndorsementKey, read_endorsement_key
from mc2.attestation.snp.endorsements import SnpEndorsements, parse_endorsements
from mc2.attestation.snp.report import CHIP_ID_BYTES, SnpReport, parse_report
from mc2.attestation.snp.tcb import PRODUCT_LINES, ProductLine
from mc2.attestation.x509 import Crl
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError

TIER: Final = Tier.HARDWARE_CVM

RULES: Final = PathRules(schemes=frozenset({Scheme.RSA_PSS_SHA384}), least_rsa_bits=4096)

AUTHORITY_NAMES: Final = {"VCEK": "SEV-{}", "VLEK": "SEV-VLEK-{}"}


class SnpVerifier:
    """The verifier of SEV-SNP evidence. `roots` are ARKs; tests bring their own."""

    kind = KIND
    tier = TIER

    def __init__(self, roots: Iterable[PinnedRoot] = AMD_ROOTS) -> None:
        self._roots = tuple(roots)

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
        """Check report and endorsements as of `at`. Raises: EvidenceError."""
        if raw.kind != KIND:
            raise EvidenceError(f"evidence of kind {raw.kind!r} is not an SNP report")
        report = parse_report(raw.evidence)
        endorsements = parse_endorsements(raw.endorsements, report.signing_key)
        return verify_report(report, endorsements, roots=self._roots, at=at)


def verify_report(
    report: SnpReport,
    endorsements: SnpEndorsements,
    *,
    roots: Iterable[PinnedRoot],
    at: datetime,
) -> VerifiedClaims:
    """Check that genuine firmware signed the report. Raises: EvidenceError."""
    # 1. The root is AMD's for one product line; the path below it is whole and valid now.
    line = _line(check_pinned(endorsements.root, roots))
    path = (endorsements.key, endorsements.authority, endorsements.root)
    valid_until = verify_path(path, at=at, rules=RULES)
    # 2. The authority in the middle is the one for this sort of key.
    if endorsements.authority.common_name != AUTHORITY_NAMES[report.signing_key].format(line.name):
        raise EvidenceError(f"{endorsements.authority.what} is not that of {line.name}")
    # 3. AMD has not revoked it. Leaves have serial number 0: AMD cannot list them.
    if endorsements.crl is not None:
        valid_until = min(valid_until, _check_crl(endorsements, endorsements.crl, at))
    # 4. The key is of the sort, chip and firmware that the report names.
    key = read_endorsement_key(endorsements.key, line)
    _check_key(report, key)
    # 5. The key signed the report.
    verify_signature(
        endorsements.key.spki,
        Scheme.ECDSA_P384_SHA384,
        ecdsa_signature(*report.signature),
        report.signed,
        what="the SNP report",
    )
    return VerifiedClaims(
        kind=KIND,
        tier=TIER,
        measurements={"MEASUREMENT": report.measurement.hex()},
        report_data=report.report_data,
        debug=report.allows("debug"),
        platform_id=f"chip:{report.chip_id.hex()}" if any(report.chip_id) else "",
        evidence_digest=digest(report.signed),
        valid_until=valid_until,
        details=describe_report(report, endorsements, key, line),
    )


def _line(pin: PinnedRoot) -> ProductLine:
    if pin.meaning not in PRODUCT_LINES:
        raise EvidenceError(f"no product line is called {pin.meaning!r}")
    return PRODUCT_LINES[pin.meaning]


def _check_crl(endorsements: SnpEndorsements, crl: Crl, at: datetime) -> datetime:
    verify_crl(crl, endorsements.root, at=at, rules=RULES)
    check_not_revoked(endorsements.authority, crl)
    check_not_revoked(endorsements.root, crl)
    return crl.next_update


def _check_key(report: SnpReport, key: EndorsementKey) -> None:
    if key.kind != report.signing_key:
        raise EvidenceError(f"the SNP report is signed by a {report.signing_key}, not a {key.kind}")
    # The key is derived for one TCB: firmware of another could not have used it.
    if key.tcb != report.reported_tcb:
        raise EvidenceError(
            "the certificate is for another firmware version (TCB) than the SNP report says",
            hint="fetch the certificate for the reported TCB",
        )
    if key.hardware_id is None:
        return
    masked = report.mask_chip_key and not any(report.chip_id)
    if report.chip_id != key.hardware_id.ljust(CHIP_ID_BYTES, b"\x00") and not masked:
        raise EvidenceError("the certificate is for another chip than the SNP report says")
