"""A host's table of certificates becomes endorsements by name."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from tests.support.amd_hierarchy import NOW, Amd

from mc2.attestation.snp.certificate_table import TABLE_BYTES, read_certificate_table
from mc2.attestation.snp.verify import SnpVerifier
from mc2.errors import EvidenceError

GUIDS = {
    "vcek": "63da758d-e664-4564-adc5-f4b93be8accd",
    "vlek": "a8074bc2-a25a-483e-aae6-39c045a0b8a1",
    "ask": "4ab7b379-bbac-4fe4-a02f-05aef327c782",
    "asvk": "4ab7b379-bbac-4fe4-a02f-05aef327c782",
    "ark": "c0b406a4-a803-4952-9743-3fb6014cd0ae",
    "crl": "92f81bc3-5811-4d3d-97ff-d19f88dc67ea",
    "other": "01234567-89ab-cdef-0123-456789abcdef",
}


def table(certificates: list[tuple[str, bytes]], padding: int = 0) -> bytes:
    head, body = b"", b""
    start = 24 * (len(certificates) + 1)
    for name, der in certificates:
        entry = struct.pack("<II", start + len(body), len(der))
        head += bytes.fromhex(GUIDS[name].replace("-", "")) + entry
        body += der
    return head + bytes(24) + body + bytes(padding)


@pytest.mark.parametrize("key", ["VCEK", "VLEK"])
def test_a_table_becomes_endorsements_that_verify(key: str) -> None:
    amd = Amd(signing_key=key, revoked=())
    raw = amd.evidence()
    found = read_certificate_table(table([*raw.endorsements.items()], padding=99), key)
    assert found == raw.endorsements
    SnpVerifier(roots=amd.pins()).verify(replace(raw, endorsements=found), at=NOW)


def test_what_a_report_has_no_use_for_is_left_out() -> None:
    raw = table([("vcek", b"a"), ("vlek", b"b"), ("ask", b"c"), ("other", b"d")])
    assert read_certificate_table(raw, "VCEK") == {"vcek": b"a", "ask": b"c"}
    assert read_certificate_table(raw, "VLEK") == {"vlek": b"b", "asvk": b"c"}


@pytest.mark.parametrize("raw", [b"", bytes(24), bytes(4096)])
def test_a_host_may_have_none(raw: bytes) -> None:
    assert read_certificate_table(raw, "VCEK") == {}


def test_pem_becomes_der() -> None:
    der = Amd().root()
    pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    assert read_certificate_table(table([("ark", pem)]), "VCEK") == {"ark": der}
    with pytest.raises(EvidenceError, match="more than 1"):
        read_certificate_table(table([("ark", pem + pem)]), "VCEK")


def test_the_digits_of_a_guid_stand_as_written() -> None:
    swapped = UUID(GUIDS["vcek"]).bytes_le + struct.pack("<II", 48, 1) + bytes(24) + b"x"
    assert read_certificate_table(swapped, "VCEK") == {}


@pytest.mark.parametrize(
    "raw",
    [
        bytes(23),
        UUID(GUIDS["ark"]).bytes,
        UUID(GUIDS["ark"]).bytes + struct.pack("<II", 0, 1) + bytes(24) + b"x",
        UUID(GUIDS["ark"]).bytes + struct.pack("<II", 47, 1) + bytes(24) + b"x",
        UUID(GUIDS["ark"]).bytes + struct.pack("<II", 48, 2) + bytes(24) + b"x",
        UUID(GUIDS["ark"]).bytes + struct.pack("<II", 2**32 - 1, 2**32 - 1) + bytes(24) + b"x",
        table([("ark", b"a"), ("ark", b"b")]),
        b"".join(bytes([n]) * 16 + struct.pack("<II", 0, 0) for n in range(1, 19)),
        bytes(TABLE_BYTES + 1),
    ],
)
def test_odd_tables_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_certificate_table(raw, "VCEK")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(EvidenceError):
        read_certificate_table(raw, "VLEK")
