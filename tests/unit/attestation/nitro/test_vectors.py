"""Genuine Nitro documents at their time, their mutations, and false ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.genuine import NITRO_INVALID, NITRO_VALID
from tests.support.vectors import VECTORS, expected, needs_vectors

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.folder import load_case
from mc2.attestation.nitro.document import parse_document
from mc2.attestation.nitro.verify import NitroVerifier, verify_document
from mc2.attestation.roots import AMD_ROOTS, NITRO_ROOTS
from mc2.attestation.x509 import parse_certificate
from mc2.errors import EvidenceError

pytestmark = needs_vectors

UNSIGNED: frozenset[int] = frozenset()


def test_every_case_of_the_corpus_is_here() -> None:
    cases = {path.parent.name for path in VECTORS.glob("nitro-*/document.cbor")}
    assert cases == {*NITRO_VALID, *NITRO_INVALID}


@pytest.mark.parametrize("case", NITRO_VALID)
def test_the_claims_of_a_genuine_document_are_exact(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    want = expected(case)
    claims = NitroVerifier().verify(raw, at=at)
    assert (claims.kind, claims.tier) == ("aws-nitro/v1", Tier.PROVIDER_ATTESTED)
    set_pcrs = {name: pcr for name, pcr in claims.measurements.items() if int(pcr, 16)}
    assert set_pcrs == {f"PCR{index}": pcr for index, pcr in want["pcrs"].items()}
    assert set(claims.measurements) == {f"PCR{index}" for index in range(16)}
    assert claims.debug is want["debug_mode_pcr0_zero"]
    assert claims.report_data.hex() == (want["user_data"] or "")
    assert claims.platform_id == "instance:" + want["module_id"].split("-")[1]
    assert claims.details["module_id"] == want["module_id"]
    assert claims.details["timestamp_ms"] == want["timestamp_ms"]
    for name in ("public_key", "user_data", "nonce"):
        assert claims.details[name] == want[name]
    made = datetime.fromtimestamp(want["timestamp_ms"] / 1000, UTC)
    assert claims.details["age_seconds"] == (at - made) // timedelta(seconds=1)
    end = want["leaf_valid"][1].replace("Z", "+00:00")
    assert claims.valid_until == datetime.fromisoformat(end)


@pytest.mark.parametrize("case", NITRO_INVALID)
def test_a_false_document_is_refused_for_the_right_reason(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    with pytest.raises(EvidenceError, match=NITRO_INVALID[case]):
        NitroVerifier().verify(raw, at=at)


@pytest.mark.parametrize("case", NITRO_VALID)
def test_a_flip_in_any_byte_is_refused(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    document, found = raw.evidence, set()
    for position in range(len(document)):
        changed = bytearray(document)
        changed[position] ^= 1 << (position * 3) % 8
        try:
            verify_document(parse_document(bytes(changed)), roots=NITRO_ROOTS, at=at)
        except EvidenceError:
            continue
        found.add(position)
    assert found == UNSIGNED


def test_every_bit_of_the_shell_is_refused() -> None:
    raw, at = load_case(VECTORS / "nitro-veracruz-prod")
    document = raw.evidence
    shell = [*range(12), *range(len(document) - 98, len(document))]
    for bit in (8 * position + k for position in shell for k in range(8)):
        changed = bytearray(document)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EvidenceError):
            verify_document(parse_document(bytes(changed)), roots=NITRO_ROOTS, at=at)


@pytest.mark.parametrize("case", NITRO_VALID)
def test_time_is_swept_over_every_edge(case: str) -> None:
    raw, _ = load_case(VECTORS / case)
    document = parse_document(raw.evidence)
    path = [parse_certificate(der, "x") for der in (document.certificate, *document.authorities)]
    start, end = max(c.not_before for c in path), min(c.not_after for c in path)
    second = timedelta(seconds=1)
    for at in (start, start + second, end - second, end):
        assert NitroVerifier().verify(raw, at=at).valid_until == end
    edges = {c.not_before - second for c in path} | {c.not_after + second for c in path}
    for at in edges:
        with pytest.raises(EvidenceError, match=r"not valid before|ended on"):
            NitroVerifier().verify(raw, at=at)


@pytest.mark.parametrize("given", NITRO_VALID)
@pytest.mark.parametrize("taken", NITRO_VALID)
def test_a_signature_of_another_document_is_refused(taken: str, given: str) -> None:
    raw, at = load_case(VECTORS / taken)
    other, _ = load_case(VECTORS / given)
    if taken != given:
        mixed = raw.evidence[:-96] + other.evidence[-96:]
        with pytest.raises(EvidenceError, match="signature of the Nitro document is false"):
            NitroVerifier().verify(replace(raw, evidence=mixed), at=at)


def test_roots_of_others_are_not_roots() -> None:
    raw, at = load_case(VECTORS / "nitro-veracruz-prod")
    for roots in (AMD_ROOTS, ()):
        with pytest.raises(EvidenceError, match="not a root that is trusted"):
            NitroVerifier(roots=roots).verify(raw, at=at)


def test_kind_and_endorsements_must_be_ours() -> None:
    raw, at = load_case(VECTORS / "nitro-veracruz-prod")
    with pytest.raises(EvidenceError, match="not a Nitro document"):
        NitroVerifier().verify(RawEvidence("amd-sev-snp/v1", raw.evidence), at=at)
    with pytest.raises(EvidenceError, match="nothing comes with it"):
        NitroVerifier().verify(replace(raw, endorsements={"root": b""}), at=at)


def test_bytes_behind_a_document_are_refused() -> None:
    raw, at = load_case(VECTORS / "nitro-veracruz-prod")
    for extra in (b"\x00", b"\xf6", b"\n"):
        with pytest.raises(EvidenceError, match="too many"):
            NitroVerifier().verify(replace(raw, evidence=raw.evidence + extra), at=at)
