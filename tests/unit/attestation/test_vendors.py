"""The verifiers that vendors' roots stand behind, all together."""

from __future__ import annotations

import pytest
from tests.support.genuine import NITRO_VALID, SNP_VALID
from tests.support.vectors import VECTORS, needs_vectors

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.folder import load_case
from mc2.attestation.policy import SECTION_TYPES
from mc2.attestation.tokens import MAA_KIND
from mc2.attestation.vendors import vendor_verifiers
from mc2.attestation.verifiers import Verifiers
from mc2.errors import EvidenceError

CASES = (*SNP_VALID, *NITRO_VALID, "jwt-gcp-confidential-space")


def test_each_kind_has_one_verifier_and_a_policy() -> None:
    verifiers = vendor_verifiers()
    assert len(Verifiers(*verifiers).kinds) == len(verifiers)
    assert {v.kind for v in verifiers} - set(SECTION_TYPES) == {MAA_KIND}
    assert [v.tier for v in verifiers] == sorted((v.tier for v in verifiers), reverse=True)
    assert all(v.tier > Tier.MEASURED_BOOT for v in verifiers)


@needs_vectors
@pytest.mark.parametrize("case", CASES)
def test_evidence_passes_for_its_own_kind_only(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    verifiers = Verifiers(*vendor_verifiers())
    assert verifiers.verify(raw, at=at).kind == raw.kind
    for kind in (*verifiers.kinds, "mc2-simulated/v1", "unknown/v1", ""):
        if kind != raw.kind:
            for endorsements in (raw.endorsements, {}):
                with pytest.raises(EvidenceError):
                    verifiers.verify(RawEvidence(kind, raw.evidence, endorsements), at=at)
