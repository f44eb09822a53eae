"""The verifiers of evidence that vendors' pinned roots stand behind: all that need nothing else.

TPM quotes are not among them: they count only beside the owner's own records of activation, so
their verifier is made where these records are. Simulated evidence is apart by design.
"""

from __future__ import annotations

from mc2.attestation.azure.verify import AzureSnpVerifier, AzureTdxVerifier
from mc2.attestation.claims import Verifier
from mc2.attestation.dcap.verify import SgxVerifier, TdxVerifier
from mc2.attestation.nitro.verify import NitroVerifier
from mc2.attestation.roots import AMD_ROOTS, INTEL_ROOTS
from mc2.attestation.snp.verify import SnpVerifier
from mc2.attestation.tokens.maa import MaaVerifier
from mc2.attestation.tokens.verify import ConfidentialSpaceVerifier


def vendor_verifiers() -> tuple[Verifier, ...]:
    """One verifier for each kind, the stronger tiers first."""
    return (
        SgxVerifier(INTEL_ROOTS),
        SnpVerifier(),
        TdxVerifier(INTEL_ROOTS),
        AzureSnpVerifier(AMD_ROOTS),
        AzureTdxVerifier(INTEL_ROOTS),
        NitroVerifier(),
        ConfidentialSpaceVerifier(),
        MaaVerifier(),  # refuses, and says why
    )
