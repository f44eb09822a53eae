"""Reads Azure evidence from a folder: `evidence.json` as Trustee's attester writes it.

It holds an HCL report, a vTPM quote with its registers, and the VCEK or the TD quote; binary
values are lists of numbers, hex or base64url, by field and version. AMD's authorities come from
bundles of certificates beside it, Intel's collateral from `collateral.json`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from mc2.attestation.azure import SNP_KIND, TDX_KIND
from mc2.attestation.azure.evidence import AzureEvidence
from mc2.attestation.azure.hcl import parse_hcl_report
from mc2.attestation.claims import RawEvidence
from mc2.attestation.dcap.folder import COLLATERAL_FILE, read_collateral
from mc2.attestation.pem import split_pem
from mc2.attestation.snp.folder import read_snp_case
from mc2.errors import EvidenceError

EVIDENCE_FILE: Final = "evidence.json"
_RSASSA_SHA256: Final = b"\x00\x14\x00\x0b"


def read_azure_case(files: Mapping[str, bytes]) -> RawEvidence:
    """Evidence from a folder's files by name. Nothing is verified. Raises: EvidenceError."""
    try:
        found = json.loads(files[EVIDENCE_FILE])
        if {"ak_public", "tpm_quote"} <= found.keys():
            raise _bare_key()
        hcl = parse_hcl_report(_bytes(found.get("hcl_report", found.get("report"))))
        quote = found.get("tpm_quote", found.get("quote"))
        signature = _bytes(quote["signature"])
        report = _bytes(found["td_quote"]) if hcl.kind == "TDX" else hcl.hardware
        evidence = AzureEvidence(
            report=report,
            runtime_data=hcl.runtime_data,
            quote=_bytes(quote["message"]),
            signature=_RSASSA_SHA256 + len(signature).to_bytes(2, "big") + signature,
            pcrs={number: _bytes(value) for number, value in enumerate(quote["pcrs"])},
        )
        if hcl.kind == "TDX":
            return RawEvidence(TDX_KIND, evidence.encode(), _collateral(files))
        vcek = {"vcek.der": _certificate(found["vcek"])}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise EvidenceError(f"{EVIDENCE_FILE} is not Azure evidence of a known form") from None
    others = {name: raw for name, raw in files.items() if name != "ek.der"}
    snp = read_snp_case({**others, **vcek, "report.bin": report})
    return RawEvidence(SNP_KIND, evidence.encode(), snp.endorsements)


def _bare_key() -> EvidenceError:
    # Without its attributes a key may be one that signs whatever it is given, a false quote too.
    return EvidenceError(
        f"{EVIDENCE_FILE} is not Azure evidence, but a TPM quote by a key without its attributes",
        hint="take the key from the TPM as TPMT_PUBLIC: quote.attest, quote.sig, ak_pub.tpmt",
    )


def _collateral(files: Mapping[str, bytes]) -> dict[str, bytes]:
    raw = files.get(COLLATERAL_FILE)
    return {} if raw is None else read_collateral(raw)


def _certificate(value: Any) -> bytes:
    if isinstance(value, str) and value.startswith("-----BEGIN"):
        return split_pem(value.encode(), "the VCEK", most=1)[0]
    return _bytes(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, list):
        return bytes(value)
    if not isinstance(value, str):
        raise TypeError
    if not set(value) - set("0123456789abcdef"):
        return bytes.fromhex(value)
    padded = value + "=" * (-len(value) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)
