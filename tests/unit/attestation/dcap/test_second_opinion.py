"""Two verifiers that must agree."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime

import pytest
from tests.support.intel_hierarchy import NOW, Intel, Sgx, Td, level
from tests.support.intel_quotes import FALSE, GENUINE, evidence
from tests.support.vectors import needs_vectors, verify_at

from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.dcap.second_opinion import ConfirmedVerifier
from mc2.attestation.dcap.verify import SgxVerifier, TdxVerifier
from mc2.attestation.roots import INTEL_ROOTS
from mc2.errors import EvidenceError, UsageError


def confirmed(kind: str, roots=INTEL_ROOTS) -> ConfirmedVerifier:
    return ConfirmedVerifier((SgxVerifier if "sgx" in kind else TdxVerifier)(roots))


@needs_vectors
@pytest.mark.parametrize("case", GENUINE)
def test_genuine_quotes_pass_both(case: str) -> None:
    raw = evidence(case)
    verifier = confirmed(raw.kind)
    assert (verifier.kind, verifier.tier) == (raw.kind, verifier.tier)
    assert verifier.verify(raw, at=verify_at(case)).kind == raw.kind


@needs_vectors
@pytest.mark.parametrize("case", FALSE)
def test_false_quotes_pass_neither(case: str) -> None:
    raw = evidence(case)
    with pytest.raises(EvidenceError):
        confirmed(raw.kind).verify(raw, at=verify_at(case))


@pytest.mark.parametrize(
    "intel",
    [
        Intel(body=Sgx(attributes=b"\x07" + bytes(15))),
        Intel(body=Td(attributes=bytes(8)), version=4),
        Intel(tcb_levels=(level(status="Revoked"),)),
    ],
    ids=["debug", "no SEPT_VE_DISABLE", "revoked level"],
)
def test_what_the_second_refuses_by_itself_is_refused(intel: Intel) -> None:
    raw = intel.evidence()
    with pytest.raises(EvidenceError, match="second verifier refuses"):
        confirmed(raw.kind, intel.pins()).verify(raw, at=NOW)


@pytest.mark.parametrize(
    "details", [{"tcb_status": "OutOfDate"}, {"advisories": ["INTEL-SA-00001"]}]
)
def test_a_disagreement_is_refused(details: dict[str, object]) -> None:
    intel = Intel()

    class Mistaken:
        kind = "intel-sgx/v1"
        tier = Tier.HARDWARE_ENCLAVE

        def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
            claims = SgxVerifier(intel.pins()).verify(raw, at=at)
            return replace(claims, details={**claims.details, **details})

    with pytest.raises(EvidenceError, match="two verifiers disagree"):
        ConfirmedVerifier(Mistaken()).verify(intel.evidence(), at=NOW)


def test_without_the_library_the_next_step_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dcap_qvl", None)
    with pytest.raises(UsageError) as caught:
        confirmed("intel-sgx/v1")
    assert "mc2[intel]" in caught.value.hint
