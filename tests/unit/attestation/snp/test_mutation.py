"""No byte of genuine evidence may change. The declared set of unsigned, accepted bytes is empty."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.genuine import SNP_VALID
from tests.support.vectors import VECTORS, needs_vectors

from mc2.attestation.folder import load_case
from mc2.attestation.roots import AMD_ROOTS
from mc2.attestation.snp.endorsements import parse_endorsements
from mc2.attestation.snp.report import SIGNED_BYTES, parse_report
from mc2.attestation.snp.verify import SnpVerifier, verify_report
from mc2.errors import EvidenceError

pytestmark = needs_vectors

UNSIGNED: frozenset[int] = frozenset()
LINES = ("amd-milan-vlek-v3-coco-aws", "amd-genoa-vcek-ms", "amd-turin-vcek-ms")


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def accepted(case: str, bits: list[int]) -> set[int]:
    """Which flipped bits of the report are accepted; the certificates are read once."""
    raw, at = load_case(VECTORS / case)
    found = set()
    for bit in bits:
        try:
            report = parse_report(flipped(raw.evidence, bit))
            endorsements = parse_endorsements(raw.endorsements, report.signing_key)
            verify_report(report, endorsements, roots=AMD_ROOTS, at=at)
        except EvidenceError:
            continue
        found.add(bit // 8)
    return found


@pytest.mark.parametrize("case", SNP_VALID)
def test_a_flip_in_any_byte_of_a_report_is_refused(case: str) -> None:
    raw, _ = load_case(VECTORS / case)
    # One bit of each byte; which one depends on the byte, so that all eight positions occur.
    bits = [8 * at + (at * 5 + len(case)) % 8 for at in range(len(raw.evidence))]
    assert accepted(case, bits) == UNSIGNED


def test_every_bit_behind_the_signed_part_is_refused() -> None:
    raw, _ = load_case(VECTORS / "amd-turin-vcek-ms")
    bits = [bit for bit in range(8 * SIGNED_BYTES, 8 * len(raw.evidence)) if bit % 3 == 0]
    assert accepted("amd-turin-vcek-ms", bits) == UNSIGNED


@pytest.mark.parametrize("case", LINES)
def test_a_flip_in_any_byte_of_a_certificate_is_refused(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    verifier, found = SnpVerifier(), []
    for name, der in raw.endorsements.items():
        for position in range(len(der)):
            changed = flipped(der, 8 * position + position % 8)
            endorsements = {**raw.endorsements, name: changed}
            try:
                verifier.verify(replace(raw, endorsements=endorsements), at=at)
            except EvidenceError:
                continue
            found.append((name, position))
    assert found == []


@pytest.mark.parametrize("extra", [b"\x00", b"\x30\x00", b"\n"])
def test_bytes_behind_evidence_or_certificates_are_refused(extra: bytes) -> None:
    raw, at = load_case(VECTORS / "amd-genoa-vcek-ms")
    with pytest.raises(EvidenceError, match="1184 bytes"):
        SnpVerifier().verify(replace(raw, evidence=raw.evidence + extra), at=at)
    for name, der in raw.endorsements.items():
        longer = {**raw.endorsements, name: der + extra}
        with pytest.raises(EvidenceError, match="does not decode"):
            SnpVerifier().verify(replace(raw, endorsements=longer), at=at)
