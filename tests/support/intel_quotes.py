"""What tests of Intel quotes share: the genuine cases, lax policies, and the oracle."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dcap_qvl

from mc2.attestation.allowed import Allowed
from mc2.attestation.claims import RawEvidence, VerifiedClaims
from mc2.attestation.dcap.claims import SGX_KIND
from mc2.attestation.dcap.folder import read_case
from mc2.attestation.dcap.pck import SGX_TYPES
from mc2.attestation.dcap.platform_rules import ACCEPTABLE_STATUSES, PlatformRules
from mc2.attestation.dcap.policy import SgxSection, TdxSection
from mc2.attestation.dcap.verify import SgxVerifier, TdxVerifier
from mc2.attestation.roots import INTEL_ROOTS, PinnedRoot
from mc2.errors import EvidenceError
from tests.support.vectors import case_files

GENUINE = (
    "sgx-v3-automata",
    "sgx-v3-phala",
    "tdx-v4-automata-outofdate",
    "tdx-v4-phala-uptodate",
    "tdx-v5-google-uptodate",
)
"""Valid in every respect."""
UNACCEPTABLE = ("sgx-v3-occlum-debug", "tdx-v4-azure-no-septve", "tdx-v5-alibaba-servicetd")
"""Genuine, with claims that no policy accepts."""
FALSE = ("sgx-tampered-mrenclave", "tdx-tampered-reportdata", "tdx-v5-coco-no-tcb-level")
"""Refused by verification."""
WITH_COLLATERAL = (*GENUINE, *UNACCEPTABLE, *FALSE)


def evidence(case: str) -> RawEvidence:
    """The case as our verifier takes it."""
    return read_case(case_files(case))


def verify(
    raw: RawEvidence, at: datetime, roots: Iterable[PinnedRoot] = INTEL_ROOTS
) -> VerifiedClaims:
    """Verify with the verifier of its kind."""
    return (SgxVerifier if raw.kind == SGX_KIND else TdxVerifier)(roots).verify(raw, at=at)


def lax_platform() -> PlatformRules:
    """The weakest rules that can be written."""
    return PlatformRules(
        statuses=tuple(sorted(ACCEPTABLE_STATUSES)),
        denied_advisories=(),
        min_tcb_evaluation_number=0,
        min_tcb_date=datetime(2000, 1, 1, tzinfo=UTC),
        max_collateral_days=366,
        sgx_types=tuple(sorted(SGX_TYPES)),
        allow_smt=True,
        platforms=Allowed(None),
        denied_platforms=(),
        denied_keys=(),
    )


def lax_policy(claims: VerifiedClaims) -> SgxSection | TdxSection:
    """The weakest policy that these claims could satisfy."""
    anything = Allowed(None)
    if claims.kind == SGX_KIND:
        return SgxSection(
            mrenclave=(claims.measurements["MRENCLAVE"],),
            mrsigner=anything,
            isvprodid=int(str(claims.details["isvprodid"])),
            min_isvsvn=0,
            configid=anything,
            platform=lax_platform(),
        )
    return TdxSection(
        mrtd=(claims.measurements["MRTD"],),
        rtmr0=anything,
        rtmr1=anything,
        rtmr2=anything,
        rtmr3=anything,
        mrseam=anything,
        mrconfigid=anything,
        mrowner=anything,
        mrownerconfig=anything,
        mrservicetd=("00" * 48,),
        allowed_attributes=("KL", "LASS", "PERFMON", "PKS", "SEPT_VE_DISABLE", "TPA"),
        platform=lax_platform(),
    )


Verdict = tuple[str, tuple[str, ...]] | None
"""Status and advisories of what is accepted; None for what is refused."""


def our_verdict(
    raw: RawEvidence, at: datetime, roots: Iterable[PinnedRoot] = INTEL_ROOTS
) -> Verdict:
    """Ours, with the refusals that the oracle makes by itself (debug, SEPT_VE_DISABLE, ...)."""
    try:
        claims = verify(raw, at, roots)
    except EvidenceError:
        return None
    if claims.debug or lax_policy(claims).check(claims):
        return None
    advisories = claims.details["advisories"]
    assert isinstance(advisories, list)
    return str(claims.details["tcb_status"]), tuple(map(str, advisories))


def oracle_verdict(
    quote: bytes, collateral: str | dict[str, str], at: datetime, root: bytes | None = None
) -> Verdict:
    """What dcap-qvl says."""
    text = collateral if isinstance(collateral, str) else json.dumps(collateral)
    seconds = int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))
    try:
        parsed = dcap_qvl.QuoteCollateralV3.from_json(text)
        if root is None:
            report = dcap_qvl.verify(quote, parsed, seconds)
        else:
            report = dcap_qvl.verify_with_root_ca(quote, parsed, root, seconds)
    except ValueError:
        return None
    return report.status, tuple(sorted(report.advisory_ids))
