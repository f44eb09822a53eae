"""Azure's chain: hardware, runtime data, vTPM key, quote. Each link can break it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.support.amd_hierarchy import Amd, Guest
from tests.support.azure_machines import QUOTING, Azure, json_key
from tests.support.intel_hierarchy import Intel, Td
from tests.support.tpm_quotes import rsa_key, spki
from tests.support.vectors import case_files, needs_vectors, verify_at

from mc2.attestation.azure import SNP_KIND, TDX_KIND
from mc2.attestation.azure.evidence import AzureEvidence
from mc2.attestation.azure.folder import read_azure_case
from mc2.attestation.azure.verify import AzureSnpVerifier, AzureTdxVerifier
from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.roots import AMD_ROOTS, INTEL_ROOTS
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError
from mc2.formats.canonical import encode

SNP = Azure(hardware=Amd(guest=Guest(version=3)))
TDX = Azure(hardware=Intel(body=Td(), version=4))
BOTH = pytest.mark.parametrize("azure", [SNP, TDX], ids=["snp", "tdx"])


def refused(azure: Azure, match: str, raw: RawEvidence | None = None) -> None:
    with pytest.raises(EvidenceError, match=match):
        azure.verify(raw)


@BOTH
def test_the_whole_chain(azure: Azure) -> None:
    claims = azure.verify()
    assert claims.kind == (SNP_KIND if azure.snp else TDX_KIND)
    assert (claims.tier, claims.debug) == (Tier.HARDWARE_CVM, False)
    assert claims.report_data == b"n" * 32
    assert claims.measurements["PCR4"] == "04" * 32
    assert claims.measurements["MEASUREMENT" if azure.snp else "MRTD"]
    assert claims.platform_id.startswith("chip:" if azure.snp else "piid:")
    assert claims.details["vtpm_key"] == digest(spki(rsa_key("vtpm")))
    assert (claims.details["secure_boot"], claims.details["console"]) == (True, False)
    encode(dict(claims.details))


@BOTH
@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"bound": bytes(64)}, "not for these runtime data"),
        ({"tpm": QUOTING.but(signed_by="mallory")}, "signature of the TPM quote is false"),
        ({"tpm": QUOTING.but(digest=bytes(32))}, "not the quoted ones"),
        ({"tpm": QUOTING.but(kind="ecc")}, "another way"),
        ({"runtime_changes": {"keys": [json_key("HCLAkPub", "other")]}}, "quote is false"),
        ({"runtime_changes": {"keys": [json_key("HCLEkPub", "vtpm")]}}, "one key HCLAkPub"),
        ({"runtime_changes": {"keys": [json_key("HCLAkPub", "vtpm")] * 2}}, "one key HCLAkPub"),
        ({"endorsements": {"event_log": b""}}, "ends too early"),
    ],
)
def test_each_link_counts(azure: Azure, changes: dict[str, object], match: str) -> None:
    refused(azure.but(**changes), match)


@BOTH
def test_nothing_but_the_runtime_data_may_be_bound(azure: Azure) -> None:
    right = hashlib.sha256(azure.runtime_data()).digest()
    azure.but(bound=right + bytes(32)).verify()
    refused(azure.but(bound=right + bytes(31) + b"\1"), "not for these runtime data")


@pytest.mark.parametrize("vmpl", [1, 2, 3])
def test_the_system_in_the_vm_cannot_speak_for_the_vtpm(vmpl: int) -> None:
    """It can ask the hardware for a report over any data, from its own privilege level."""
    refused(SNP.but(hardware=Amd(guest=Guest(version=3, vmpl=vmpl))), "not by the paravisor")


def test_false_hardware_is_refused() -> None:
    refused(SNP.but(hardware=Amd(signed_by={"report": "mallory"})), "SNP report is false")
    refused(
        TDX.but(hardware=Intel(body=Td(), version=4, signed_by={"quote": "mallory"})),
        "quote is false",
    )


def test_debug_hardware_is_seen() -> None:
    assert SNP.but(hardware=Amd(guest=Guest(policy=0xB0000))).verify().debug
    td = Td(attributes=bytes.fromhex("0100001000000000"))
    assert TDX.but(hardware=Intel(body=td, version=4)).verify().debug


def test_an_sgx_quote_is_no_vm() -> None:
    raw = TDX.evidence()
    found = AzureEvidence.parse(raw.evidence)
    sgx = Intel()
    swapped = replace(found, report=sgx.quote()).encode()
    refused(TDX, "a quote of SGX", RawEvidence(TDX_KIND, swapped, raw.endorsements))


def test_a_verifier_takes_its_own_kind_only() -> None:
    raw = SNP.evidence()
    refused(TDX, "azure-tdx-vtpm/v1", raw)
    refused(SNP, "azure-snp-vtpm/v1", replace(raw, kind="amd-sev-snp/v1"))


def test_evidence_is_named_by_its_signed_parts() -> None:
    first, second = SNP.verify(), SNP.verify()
    assert first.evidence_digest == second.evidence_digest  # other signatures, same statements
    later = SNP.but(tpm=QUOTING.but(clock=99)).verify()
    assert later.evidence_digest != first.evidence_digest


@BOTH
def test_no_byte_of_the_evidence_can_change(azure: Azure) -> None:
    raw = azure.evidence()
    azure.verify(raw)
    accepted = []
    for at in range(0, len(raw.evidence), 3 if azure.snp else 7):
        flipped = bytearray(raw.evidence)
        flipped[at] ^= 1 << at % 8
        try:
            azure.verify(replace(raw, evidence=bytes(flipped)))
        except EvidenceError:
            continue
        accepted.append(at)
    assert accepted == []


# --- genuine evidence -----------------------------------------------------------------------

SNP_CASES = ("vtpm-azure-snp-evidence-genoa", "vtpm-azure-snp-evidence-v1")
SNP_AT = datetime(2025, 6, 1, tzinfo=UTC)


def snp_case(case: str) -> RawEvidence:
    bundles = case_files("amd-roots").items()
    roots = {f"amd-roots/{name}": raw for name, raw in bundles if name.endswith(".pem")}
    return read_azure_case({**case_files(case), **roots})


def tdx_case() -> RawEvidence:
    collateral = case_files("tdx-v4-azure-no-septve")["collateral.json"]
    return read_azure_case({**case_files("vtpm-azure-tdx"), "collateral.json": collateral})


def snp_claims(raw: RawEvidence, at: datetime = SNP_AT) -> VerifiedClaims:
    return AzureSnpVerifier(AMD_ROOTS).verify(raw, at=at)


@needs_vectors
@pytest.mark.parametrize(
    ("case", "line", "report_data"),
    [
        (
            SNP_CASES[0],
            "Genoa",
            "0218488bae25d2509232bf676f1a66a30d7372add909109b36016ef136f2938ca05475f8b46094de6b64270ea35d950f",
        ),
        (SNP_CASES[1], "Milan", b"challenge".hex()),
    ],
)
def test_genuine_snp_machines(case: str, line: str, report_data: str) -> None:
    claims = snp_claims(snp_case(case))
    assert claims.report_data.hex() == report_data
    hardware = claims.details["hardware"]
    assert isinstance(hardware, dict)
    assert (hardware["product_line"], hardware["vmpl"]) == (line, 0)
    assert len([name for name in claims.measurements if name.startswith("PCR")]) == 24
    assert (claims.details["secure_boot"], claims.details["console"]) == (True, True)


@needs_vectors
def test_a_genuine_tdx_machine() -> None:
    at = verify_at("tdx-v4-azure-no-septve")
    claims = AzureTdxVerifier(INTEL_ROOTS).verify(tdx_case(), at=at)
    assert claims.report_data == b"challenge"
    hardware = claims.details["hardware"]
    assert isinstance(hardware, dict)
    assert hardware["td_attributes"] == "00" * 8
    assert claims.debug is False


@needs_vectors
def test_parts_of_two_machines_do_not_fit() -> None:
    first, second = (AzureEvidence.parse(snp_case(case).evidence) for case in SNP_CASES)
    given = snp_case(SNP_CASES[0]).endorsements
    for changed in (
        {"report": second.report},
        {"runtime_data": second.runtime_data},
        {"quote": second.quote},
        {"signature": second.signature},
        {"quote": second.quote, "signature": second.signature},
        {"quote": second.quote, "signature": second.signature, "pcrs": second.pcrs},
        {"pcrs": second.pcrs},
    ):
        raw = RawEvidence(SNP_KIND, replace(first, **changed).encode(), given)
        with pytest.raises(EvidenceError):
            snp_claims(raw)
    with pytest.raises(EvidenceError):
        snp_claims(replace(snp_case(SNP_CASES[1]), endorsements=given))


@needs_vectors
@pytest.mark.parametrize("case", SNP_CASES)
def test_no_byte_of_genuine_evidence_can_change(case: str) -> None:
    raw = snp_case(case)
    accepted = []
    for at in range(0, len(raw.evidence), 5):
        flipped = bytearray(raw.evidence)
        flipped[at] ^= 1 << at % 8
        try:
            snp_claims(replace(raw, evidence=bytes(flipped)))
        except EvidenceError:
            continue
        accepted.append(at)
    assert accepted == []


@needs_vectors
def test_genuine_machines_are_not_of_other_roots_or_times() -> None:
    raw = snp_case(SNP_CASES[0])
    with pytest.raises(EvidenceError, match="not a root that is trusted"):
        AzureSnpVerifier(INTEL_ROOTS).verify(raw, at=SNP_AT)
    for at in (datetime(2015, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)):
        with pytest.raises(EvidenceError):
            snp_claims(raw, at)
