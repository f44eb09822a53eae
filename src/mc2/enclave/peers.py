"""Which evidence an enclave believes of another one, and by whose policy it judges it.

The policy is the contract's, the very one that the owners appraise the leader under; the time is
theirs too. What the other side proves is therefore worth as much to the owners as if they had
looked at it themselves, and the receipt lets them do so. Steps C4 and C8 of cluster.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mc2.attestation.appraisal import (
    Appraised,
    AppraisedToActivate,
    appraise,
    appraise_to_activate,
)
from mc2.attestation.claims import ClaimsToActivate, RawEvidence, Tier, Verifier
from mc2.attestation.policy import AttestationPolicy, SimulatedSection
from mc2.attestation.tpm.policy import TpmSection
from mc2.attestation.verifiers import Verifiers
from mc2.crypto.digest import Digest
from mc2.formats.cluster import MemberEvidence
from mc2.formats.contract import Contract
from mc2.formats.release import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTrust:
    """The verifiers of other enclaves' evidence. There are none by default: then none is believed.

    `tpm` makes a verifier of TPMs' quotes for the makers' roots that a contract names.
    `simulation` makes a verifier of simulated evidence for a root. A process has it only where a
    person asked for it by flag, and it is used only under a contract whose signed minimum tier
    says `simulated`, for the root that this contract names.
    """

    hardware: tuple[Verifier, ...] = ()
    tpm: Callable[[TpmSection], Verifier] | None = None
    simulation: Callable[[Digest], Verifier] | None = None

    def verifiers_for(self, contract: Contract) -> Verifiers:
        """The verifiers to use under a contract. Raises: FormatError for an unreadable policy."""
        sections = AttestationPolicy.read(contract.attestation).sections
        hardware = self.hardware
        machines = sections.get(TpmSection.KIND)
        if self.tpm is not None and isinstance(machines, TpmSection):
            hardware = (*hardware, self.tpm(machines))
        section = sections.get(SimulatedSection.KIND)
        if (
            self.simulation is None
            or Tier.of(contract.min_tier) is not Tier.SIMULATED
            or not isinstance(section, SimulatedSection)
        ):
            return Verifiers(*hardware)
        return Verifiers(*hardware, self.simulation(section.root))

    def appraise(
        self,
        evidence: Evidence | MemberEvidence,
        report_data: bytes,
        contract: Contract,
        at: datetime,
    ) -> Appraised | AppraisedToActivate:
        """Verify and appraise evidence for the report data that it must carry.

        What a key still has to prove comes back as a type of its own.

        Raises: EvidenceError, AppraisalError, FormatError.
        """
        raw = RawEvidence(evidence.kind, evidence.evidence, evidence.endorsements)
        found = self.verifiers_for(contract).verify_to_activate(raw, at=at)
        policy = AttestationPolicy.read(contract.attestation)
        min_tier = Tier.of(contract.min_tier)
        if isinstance(found, ClaimsToActivate):
            return appraise_to_activate(found, policy, min_tier, report_data)
        return appraise(found, policy, min_tier, report_data)
