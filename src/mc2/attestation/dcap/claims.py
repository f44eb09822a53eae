"""What a verified quote says, in words that policies know. Spec: docs/spec/evidence-dcap.md §7."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mc2.attestation.claims import Tier, VerifiedClaims
from mc2.attestation.dcap.endorsements import Collateral
from mc2.attestation.dcap.pck import PckExtension
from mc2.attestation.dcap.quote import EnclaveReport, Quote, TdReport
from mc2.attestation.dcap.tcb import Rating
from mc2.attestation.x509 import Certificate
from mc2.crypto.digest import digest
from mc2.formats.canonical import Json
from mc2.formats.fields import to_time

SGX_KIND: Final = "intel-sgx/v1"
TDX_KIND: Final = "intel-tdx/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A verified PCK path: what it says of the platform, and when its first certificate ends."""

    pck: Certificate
    ca: Certificate
    root: Certificate
    extension: PckExtension
    ends: datetime


def quote_claims(
    quote: Quote,
    platform: Platform,
    collateral: Collateral,
    rating: Rating,
    *,
    at: datetime,
    ends: datetime,
) -> VerifiedClaims:
    """The claims of a quote whose every part was verified as of `at`, good until `ends`."""
    body, pck = quote.body, platform.extension
    details: dict[str, Json] = {
        "quote_version": quote.version,
        **_rating(rating),
        **_platform(pck),
        **_age(collateral, at),
        "pck_serial": f"{platform.pck.serial:040x}",
        "pck_key": digest(platform.pck.spki),
        "qe_isvsvn": quote.qe_report.isvsvn,
        **(_enclave(body) if isinstance(body, EnclaveReport) else _domain(body)),
    }
    return VerifiedClaims(
        kind=SGX_KIND if quote.tee == "SGX" else TDX_KIND,
        tier=Tier.HARDWARE_ENCLAVE if quote.tee == "SGX" else Tier.HARDWARE_CVM,
        measurements=_measurements(body),
        report_data=body.report_data,
        debug=body.debug,
        platform_id=pck.platform_id,
        evidence_digest=digest(quote.signed),
        valid_until=ends,
        details=details,
    )


def _measurements(body: EnclaveReport | TdReport) -> dict[str, str]:
    if isinstance(body, EnclaveReport):
        return {"MRENCLAVE": body.mrenclave.hex()}
    registers = {f"RTMR{n}": value.hex() for n, value in enumerate(body.rtmr)}
    return {"MRTD": body.mrtd.hex(), **registers, "MRSEAM": body.mrseam.hex()}


def _rating(rating: Rating) -> dict[str, Json]:
    return {
        "tcb_status": rating.status.value,
        "platform_status": rating.platform_status.value,
        "qe_status": rating.qe_status.value,
        "module_status": rating.module_status.value if rating.module_status else None,
        "tdx_module": rating.module,
        "tcb_date": to_time(rating.tcb_date),
        "advisories": list(rating.advisories),
    }


def _platform(pck: PckExtension) -> dict[str, Json]:
    return {
        "fmspc": pck.fmspc.hex(),
        "pceid": pck.pceid.hex(),
        "ppid": pck.ppid.hex(),
        "piid": pck.piid.hex() if pck.piid else None,
        "sgx_type": pck.sgx_type,
        "dynamic_platform": pck.dynamic_platform,
        "cached_keys": pck.cached_keys,
        "smt": pck.smt,
    }


def _age(collateral: Collateral, at: datetime) -> dict[str, Json]:
    # A revocation list of the root lives a year and is not fetched with each quote: it counts
    # for validity, but its age says nothing of how fresh the rest is.
    info, identity = collateral.tcb_info, collateral.qe_identity
    oldest = min(info.issued, identity.issued, collateral.pck_crl.this_update)
    return {
        "tcb_evaluation_number": min(info.number, identity.number),
        "collateral_issued": to_time(oldest),
        "verified_at": to_time(at),
    }


def _enclave(body: EnclaveReport) -> dict[str, Json]:
    return {
        "mrsigner": body.mrsigner.hex(),
        "isvprodid": body.isvprodid,
        "isvsvn": body.isvsvn,
        "configid": body.configid.hex(),
        "configsvn": body.configsvn,
        "isvextprodid": body.isvextprodid.hex(),
        "isvfamilyid": body.isvfamilyid.hex(),
        "attributes": body.attributes.hex(),
        "miscselect": f"{body.miscselect:08x}",
        "cpusvn": body.cpusvn.hex(),
    }


def _domain(body: TdReport) -> dict[str, Json]:
    return {
        "mrconfigid": body.mrconfigid.hex(),
        "mrowner": body.mrowner.hex(),
        "mrownerconfig": body.mrownerconfig.hex(),
        "mrsignerseam": body.mrsignerseam.hex(),
        "mrservicetd": body.mrservicetd.hex() if body.mrservicetd is not None else None,
        "td_attributes": body.td_attributes.hex(),
        "seam_attributes": body.seam_attributes.hex(),
        "xfam": body.xfam.hex(),
        "tee_tcb_svn": body.tee_tcb_svn.hex(),
        "tee_tcb_svn2": body.tee_tcb_svn2.hex() if body.tee_tcb_svn2 is not None else None,
    }
