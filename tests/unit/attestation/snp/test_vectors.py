"""Genuine reports of every product line, report version and signing key, at their time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from tests.support.genuine import SNP_INVALID, SNP_VALID
from tests.support.vectors import VECTORS, expected, needs_vectors

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.folder import load_case
from mc2.attestation.roots import AMD_ROOTS, NITRO_ROOTS
from mc2.attestation.snp.report import SIGNED_BYTES
from mc2.attestation.snp.verify import SnpVerifier
from mc2.attestation.x509 import parse_certificate
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError

pytestmark = needs_vectors


def test_every_case_of_the_corpus_is_here() -> None:
    cases = {path.parent.name for path in VECTORS.glob("amd-*/report.bin")}
    assert cases == {*SNP_VALID, *SNP_INVALID}


@pytest.mark.parametrize("case", SNP_VALID)
def test_the_claims_of_a_genuine_report_are_exact(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    want = expected(case)
    claims = SnpVerifier().verify(raw, at=at)
    found = claims.details
    assert (claims.kind, claims.tier) == ("amd-sev-snp/v1", Tier.HARDWARE_CVM)
    assert claims.measurements == {"MEASUREMENT": want["measurement"]}
    assert claims.report_data.hex() == want["report_data"]
    assert claims.debug is want["debug_allowed"]
    masked = not int(want["chip_id"], 16)
    assert claims.platform_id == ("" if masked else f"chip:{want['chip_id']}")
    assert claims.evidence_digest == digest(raw.evidence[:SIGNED_BYTES])
    assert claims.valid_until is not None
    assert claims.valid_until.strftime("%Y-%m-%dT%H:%M:%SZ") == want["ek_valid"][1]
    assert found["product_line"] == want["product_line"]
    assert found["report_version"] == want["report_version"]
    assert found["signing_key"] == want["signing_key"]
    assert found["vmpl"] == want["vmpl"]
    assert found["guest_svn"] == want["guest_svn"]
    assert found["policy"]["raw"] == want["policy"]
    assert found["policy"]["migrate_ma"] is want["migrate_ma"]
    assert found["policy"]["smt"] is want["smt_allowed"]
    assert found["policy"]["unknown"] is False
    assert found["platform_info"]["raw"] == want["platform_info"]
    assert found["host_data"] == want["host_data"]
    assert found["id_key_digest"] == want["id_key_digest"]
    assert found["cpuid"] == want["cpuid_fam_mod_step"]
    assert found["tcb"] == want["tcb"]
    assert (found["provider"] is not None) == (want["signing_key"] == "VLEK")
    assert found["crl"] is None


def test_a_vlek_names_its_provider() -> None:
    raw, at = load_case(VECTORS / "amd-milan-vlek-v3-coco-aws")
    claims = SnpVerifier().verify(raw, at=at)
    assert claims.details["provider"] == "CN=cc-us-east-2.amazonaws.com"
    assert claims.details["mask_chip_key"] is False


@pytest.mark.parametrize("case", SNP_INVALID)
def test_a_false_report_is_refused_for_the_right_reason(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    with pytest.raises(EvidenceError, match=SNP_INVALID[case]):
        SnpVerifier().verify(raw, at=at)


@pytest.mark.parametrize(("taken", "given"), list(permutations(SNP_VALID, 2)))
def test_endorsements_of_another_case_are_refused(taken: str, given: str) -> None:
    raw, at = load_case(VECTORS / taken)
    other, other_at = load_case(VECTORS / given)
    for moment in (at, other_at):
        with pytest.raises(EvidenceError):
            SnpVerifier().verify(replace(raw, endorsements=other.endorsements), at=moment)


@pytest.mark.parametrize("name", ["vcek", "ask", "ark"])
def test_one_certificate_of_another_line_is_refused(name: str) -> None:
    raw, at = load_case(VECTORS / "amd-genoa-vcek-ms")
    other, _ = load_case(VECTORS / "amd-milan-vcek-ms")
    mixed = {**raw.endorsements, name: other.endorsements[name]}
    with pytest.raises(EvidenceError):
        SnpVerifier().verify(replace(raw, endorsements=mixed), at=at)


@pytest.mark.parametrize("case", SNP_VALID)
def test_time_is_swept_over_every_edge(case: str) -> None:
    raw, _ = load_case(VECTORS / case)
    path = [parse_certificate(der, name) for name, der in raw.endorsements.items()]
    start, end = max(c.not_before for c in path), min(c.not_after for c in path)
    second = timedelta(seconds=1)
    for at in (start, start + second, end - second, end):
        assert SnpVerifier().verify(raw, at=at).valid_until == end
    edges = {c.not_before - second for c in path} | {c.not_after + second for c in path}
    for at in edges | {start - second, end + second}:
        if not start <= at <= end:
            with pytest.raises(EvidenceError, match=r"not valid before|ended on"):
                SnpVerifier().verify(raw, at=at)


def test_roots_of_others_are_not_roots() -> None:
    raw, at = load_case(VECTORS / "amd-genoa-vcek-ms")
    others = tuple(pin for pin in AMD_ROOTS if pin.meaning != "Genoa")
    for roots in (others, NITRO_ROOTS, ()):
        with pytest.raises(EvidenceError, match="not a root that is trusted"):
            SnpVerifier(roots=roots).verify(raw, at=at)


def test_a_pin_with_the_wrong_meaning_does_not_lend_its_line() -> None:
    """The line comes from the pin: the layout of another line does not fit the certificate."""
    raw, at = load_case(VECTORS / "amd-turin-vcek-ms")
    turin = next(pin for pin in AMD_ROOTS if pin.meaning == "Turin")
    for meaning in ("Genoa", "Rome"):
        with pytest.raises(EvidenceError):
            SnpVerifier(roots=(replace(turin, meaning=meaning),)).verify(raw, at=at)


def test_the_kind_must_be_ours() -> None:
    raw, at = load_case(VECTORS / "amd-genoa-vcek-ms")
    with pytest.raises(EvidenceError, match="not an SNP report"):
        SnpVerifier().verify(RawEvidence("aws-nitro/v1", raw.evidence, raw.endorsements), at=at)
