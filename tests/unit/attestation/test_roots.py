"""The pins are those of the genuine roots, where these are at hand."""

from __future__ import annotations

import pytest
from tests.support.vectors import VECTORS, needs_vectors

from mc2.attestation.certificate_path import check_pinned
from mc2.attestation.pem import split_pem
from mc2.attestation.roots import (
    AMD_ROOTS,
    CONFIDENTIAL_SPACE_ROOTS,
    GOOGLE_VTPM_ROOTS,
    INTEL_ROOTS,
    NITRO_ROOTS,
    PinnedRoot,
)
from mc2.attestation.x509 import parse_certificate

ALL = (*AMD_ROOTS, *INTEL_ROOTS, *NITRO_ROOTS, *CONFIDENTIAL_SPACE_ROOTS, *GOOGLE_VTPM_ROOTS)
FILES = {
    "amd-roots/milan_ask_ark_asvk.pem": (1, AMD_ROOTS, "Milan"),
    "amd-roots/genoa_ask_ark_asvk.pem": (1, AMD_ROOTS, "Genoa"),
    "amd-roots/turin_ask_ark_asvk.pem": (1, AMD_ROOTS, "Turin"),
    "intel-root/intel_sgx_root_ca.der": (0, INTEL_ROOTS, "Intel SGX Root CA"),
    "nitro-root/aws_nitro_root_g1.pem": (0, NITRO_ROOTS, "aws.nitro-enclaves G1"),
    "jwt-gcp-confidential-space/confidential_space_root.pem": (
        0, CONFIDENTIAL_SPACE_ROOTS, "Confidential Space Root CA",
    ),
    "vtpm-gcp-certs/ek_root.pem": (0, GOOGLE_VTPM_ROOTS, "EK/AK CA Root"),
    "vtpm-gcp-certs/ak_root.pem": (0, GOOGLE_VTPM_ROOTS, "EK/AK CA Root"),
}  # fmt: skip


def test_no_pin_stands_twice() -> None:
    assert len({pin.sha256 for pin in ALL}) == len(ALL) == 7


@needs_vectors
@pytest.mark.parametrize("name", FILES)
def test_a_pin_matches_its_genuine_root(name: str) -> None:
    place, pins, meaning = FILES[name]
    raw = (VECTORS / name).read_bytes()
    ders = split_pem(raw, name, most=3) if name.endswith(".pem") else (raw,)
    root = parse_certificate(ders[place], name)
    found: PinnedRoot = check_pinned(root, pins)
    assert found.meaning == meaning
    assert found.not_after == root.not_after
    for other in ALL:
        assert other.matches(root.der, root.spki) is (other is found)
