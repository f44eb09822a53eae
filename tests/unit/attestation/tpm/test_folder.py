"""A folder with a TPM quote."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.support.tpm_quotes import NOW, Maker, Tpm, rsa_key
from tests.support.vectors import case_files, needs_vectors

from mc2.attestation.claims import ClaimsToActivate, VerifiedClaims
from mc2.attestation.pem import join_pem, split_pem
from mc2.attestation.tpm.folder import read_tpm_case
from mc2.attestation.tpm.verify import TpmVerifier
from mc2.errors import EvidenceError

MAKER, TPM = Maker(), Tpm()
ATTEST = TPM.attest()
ISSUER, ROOT = split_pem(MAKER.chain(), "", most=2)
FILES = {
    "quote.attest": ATTEST,
    "quote.sig": TPM.signature(ATTEST),
    "ak_pub.tpmt": TPM.public,
    "pcrs.json": json.dumps({str(n): value.hex() for n, value in TPM.pcrs.items()}).encode(),
    "ek_cert.der": MAKER.certificate(rsa_key("ek")),
    "issuer.pem": join_pem((ISSUER,)),
    "root.pem": join_pem((ROOT,)),
}


def test_a_folder_becomes_evidence() -> None:
    raw = read_tpm_case(FILES)
    assert raw.endorsements["ek_chain"] == MAKER.chain()
    found = TpmVerifier(MAKER.pins()).verify(raw, at=NOW)
    claims = found.claims if isinstance(found, ClaimsToActivate) else found
    assert claims.measurements["PCR4"] == "04" * 32


def test_the_key_may_come_with_its_length() -> None:
    files = {k: v for k, v in FILES.items() if k != "ak_pub.tpmt"}
    sized = len(TPM.public).to_bytes(2, "big") + TPM.public
    assert read_tpm_case({**files, "ak_pub.tpm2b": sized}) == read_tpm_case(FILES)
    with pytest.raises(EvidenceError, match="too many"):
        read_tpm_case({**files, "ak_pub.tpm2b": sized + b"\0"})
    with pytest.raises(EvidenceError, match="no ak_pub"):
        read_tpm_case(files)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"4":1}', b'{"4":"0g"}', b'{"x":"00"}'])
def test_registers_are_hex_by_number(raw: bytes) -> None:
    with pytest.raises(EvidenceError, match=r"pcrs\.json"):
        read_tpm_case({**FILES, "pcrs.json": raw})


def test_registers_are_needed() -> None:
    with pytest.raises(EvidenceError, match=r"no pcrs\.json and no eventlog\.bin"):
        read_tpm_case({k: v for k, v in FILES.items() if k != "pcrs.json"})


@needs_vectors
def test_registers_can_come_from_the_log() -> None:
    raw = read_tpm_case(case_files("tpm-uki-vm-local"))
    log = {"event_log": raw.endorsements["event_log"]}
    claims = TpmVerifier(()).verify(replace(raw, endorsements=log), at=NOW)
    assert isinstance(claims, VerifiedClaims)
    assert claims.report_data.hex() == "00112233445566778899aabbccddeeff"
    assert claims.measurements["PCR11"].startswith("01a6a681")
    assert claims.details["origin"] == "unproven"
    events = claims.details["events"]
    assert isinstance(events, dict)
    assert len(events["11"]) == 8
