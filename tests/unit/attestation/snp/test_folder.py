"""SNP reports among files: names, bundles, and what is missing."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.amd_hierarchy import NOW, Amd

from mc2.attestation.snp.folder import read_snp_case
from mc2.attestation.snp.verify import SnpVerifier
from mc2.errors import EvidenceError


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("key", ["VCEK", "VLEK"])
def test_certificates_by_name(key: str) -> None:
    amd = Amd(signing_key=key, revoked=())
    raw = amd.evidence()
    files = {f"{name}.der": der for name, der in raw.endorsements.items()}
    found = read_snp_case({"report.bin": raw.evidence, **files})
    assert found == raw
    SnpVerifier(roots=amd.pins()).verify(found, at=NOW)


@pytest.mark.parametrize("bundle", ["chain.pem", "amd-roots/chain.pem"])
def test_authorities_from_a_bundle(bundle: str) -> None:
    vcek, vlek = Amd().evidence(), Amd(signing_key="VLEK").evidence()
    authorities = (vlek.endorsements["asvk"], vcek.endorsements["ark"], vcek.endorsements["ask"])
    text = b"".join(pem(der) for der in authorities)
    files = {
        "report.bin": vcek.evidence,
        "ek.der": vcek.endorsements["vcek"],
        bundle: text,
        "expected.json": b'{"result": "valid"}',
    }
    assert read_snp_case(files) == vcek


def test_missing_certificates_are_named_by_verification() -> None:
    raw, verifier = Amd().evidence(), SnpVerifier(roots=Amd().pins())
    for files, missing in (
        ({}, "without ark, ask, vcek"),
        ({"ek.der": raw.endorsements["vcek"]}, "without ark, ask"),
        ({"ark.der": raw.endorsements["ark"]}, "without ask, vcek"),
    ):
        found = read_snp_case({"report.bin": raw.evidence, **files})
        assert found.endorsements.items() <= raw.endorsements.items()
        with pytest.raises(EvidenceError, match=missing):
            verifier.verify(found, at=NOW)
