"""Verifies simulated evidence, for those who asked for it by name."""

from __future__ import annotations

from datetime import datetime

from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.simulated.report import KIND, SimulatedEvidence
from mc2.attestation.simulated.root import verify_by_root
from mc2.crypto.digest import Digest, digest
from mc2.errors import EvidenceError, FormatError, UsageError


class SimulatedVerifier:
    """Accepts reports by given roots only, and says of them: simulated.

    A process makes one where a person gave --unsafe-simulation; `Verifiers` has none by itself.
    """

    kind: str = KIND
    tier: Tier = Tier.SIMULATED

    def __init__(self, *roots: Digest) -> None:
        if not roots:
            raise UsageError("a simulation is verified against the digest of its root")
        self._roots = frozenset(roots)

    def verify(
        self,
        raw: RawEvidence,
        *,
        at: datetime,  # noqa: ARG002 - a simulation's root does not lapse
    ) -> VerifiedClaims:
        """Check the root's signature. Raises: EvidenceError."""
        if raw.kind != KIND:
            raise EvidenceError(f"evidence of kind {raw.kind!r} is not simulated evidence")
        if raw.endorsements:
            raise EvidenceError("simulated evidence has no endorsements")
        try:
            evidence = SimulatedEvidence.parse(raw.evidence)
        except FormatError as error:
            raise EvidenceError(f"the simulated evidence is malformed: {error}") from None
        root = digest(evidence.root)
        if root not in self._roots:
            raise EvidenceError(
                f"the simulated evidence is signed by {root}, another simulation's root",
                hint="each deployment has its own root; use the one that the contract names",
            )
        report = evidence.report
        verify_by_root(evidence.root, evidence.signature, report.signed_bytes())
        return VerifiedClaims(
            kind=KIND,
            tier=Tier.SIMULATED,
            measurements={"MEASUREMENT": report.measurement},
            report_data=report.report_data,
            debug=False,
            platform_id=report.platform,
            evidence_digest=report.digest,
            valid_until=None,
            details={"root": root, "serial": report.serial},
        )
