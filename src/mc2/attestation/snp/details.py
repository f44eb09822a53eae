"""What an SNP report says beyond its measurement, as the JSON that policies and people read.

64-bit fields are hex text: canonical JSON has no such integers.
"""

from __future__ import annotations

from collections.abc import Mapping

from mc2.attestation.snp.endorsement_key import EndorsementKey
from mc2.attestation.snp.endorsements import SnpEndorsements
from mc2.attestation.snp.report import KNOWN_POLICY, PLATFORM_BITS, POLICY_BITS, SnpReport
from mc2.attestation.snp.tcb import ProductLine
from mc2.attestation.x509 import Crl
from mc2.crypto.digest import digest
from mc2.formats.canonical import Json
from mc2.formats.fields import to_time


def describe_report(
    report: SnpReport, endorsements: SnpEndorsements, key: EndorsementKey, line: ProductLine
) -> Mapping[str, Json]:
    """The `details` of verified claims."""
    return {
        "report_version": report.version,
        "product_line": line.name,
        "product": key.product,
        "signing_key": report.signing_key,
        "endorsement_key": digest(endorsements.key.der),
        "provider": key.provider,
        "guest_svn": report.guest_svn,
        "vmpl": report.vmpl,
        "policy": {
            **{bit: report.allows(bit) for bit in POLICY_BITS},
            "abi": f"{report.policy >> 8 & 0xFF}.{report.policy & 0xFF}",
            "raw": hex(report.policy),
            "unknown": bool(report.policy & ~KNOWN_POLICY),
        },
        "platform_info": {
            **{bit: report.platform_has(bit) for bit in PLATFORM_BITS},
            "raw": hex(report.platform_info),
        },
        "tcb": {
            "current": line.tcb.decode(report.current_tcb),
            "reported": line.tcb.decode(report.reported_tcb),
            "committed": line.tcb.decode(report.committed_tcb),
            "launch": line.tcb.decode(report.launch_tcb),
        },
        "firmware": {"current": report.current_firmware, "committed": report.committed_firmware},
        "mitigations": _mitigations(report),
        "cpuid": list(report.cpuid) if report.cpuid else None,
        "mask_chip_key": report.mask_chip_key,
        "author_key_enabled": report.author_key_enabled,
        "host_data": report.host_data.hex(),
        "id_key_digest": report.id_key_digest.hex(),
        "author_key_digest": report.author_key_digest.hex(),
        "family_id": report.family_id.hex(),
        "image_id": report.image_id.hex(),
        "report_id": report.report_id.hex(),
        "report_id_ma": report.report_id_ma.hex(),
        "crl": _crl_times(endorsements.crl),
    }


def _mitigations(report: SnpReport) -> Json:
    if report.mitigations is None:
        return None
    launch, current = report.mitigations
    return {"launch": hex(launch), "current": hex(current)}


def _crl_times(crl: Crl | None) -> Json:
    if crl is None:
        return None
    return {"this_update": to_time(crl.this_update), "next_update": to_time(crl.next_update)}
