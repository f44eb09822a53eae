"""Registers predicted from a unified kernel image: the rules, what is refused, a genuine boot."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pe_images import HEADERS, deploy_script, pe_image, stub
from tests.support.vectors import VECTORS, needs_vectors

from mc2.attestation.tpm.eventlog import parse_event_log, replay
from mc2.attestation.tpm.uki import PeImage, predict_uki
from mc2.errors import FormatError

KERNEL = pe_image((".text", b"kernel"))
PARTS = ((".osrel", b"ID=mc2\n"), (".cmdline", b"quiet"), (".linux", KERNEL), (".initrd", b"ram"))
CHECKSUM = 0x40 + 24 + 64


def uki(*parts: tuple[str, bytes], version: str = "252.39-1") -> bytes:
    return deploy_script("pe").add_sections(stub(version), parts or PARTS)


def sha256(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def fold(*parts: tuple[str, bytes]) -> bytes:
    return replay((d for n, c in parts for d in (sha256(n.encode() + b"\0"), sha256(c))), "sha256")


def test_sections_are_measured_in_the_stubs_order_not_the_files() -> None:
    found = predict_uki(uki())
    order = [PARTS[2], PARTS[0], PARTS[1], PARTS[3]]
    assert list(found.sections) == [".linux", ".osrel", ".cmdline", ".initrd"]
    assert found.pcrs[11] == fold(*order)


def test_newer_stubs_measure_more() -> None:
    parts = (*PARTS, (".uname", b"6.1"))
    assert list(predict_uki(uki(*parts)).sections) == [
        n for n, _ in (PARTS[2], *PARTS[:2], PARTS[3])
    ]
    newer = predict_uki(uki(*parts, version="257.1"))
    assert list(newer.sections) == [".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat"]


def test_register_4_has_the_attempt_the_separator_the_image_and_the_kernel() -> None:
    found = predict_uki(uki())
    attempt = sha256(b"Calling EFI Application from Boot Option")
    assert found.pcrs[4] == replay(
        (attempt, sha256(bytes(4)), found.image, PeImage.parse(KERNEL).authenticode()), "sha256"
    )


@given(st.data())
def test_every_byte_that_is_not_a_checksum_changes_a_register(data: st.DataObject) -> None:
    raw = bytearray(uki())
    before = predict_uki(bytes(raw))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        after = predict_uki(bytes(raw))
    except FormatError:
        return
    inside = CHECKSUM <= at < CHECKSUM + 4
    assert (after.image == before.image) == inside


def test_a_signature_does_not_change_the_digest() -> None:
    plain, signed = pe_image((".text", b"x")), pe_image((".text", b"x"), signature=b"s" * 64)
    # The directory entry and the bytes that it names are left out, and nothing else.
    assert PeImage.parse(plain).authenticode() == PeImage.parse(signed).authenticode()


def test_what_follows_the_sections_is_hashed() -> None:
    raw = pe_image((".text", b"x"))
    assert PeImage.parse(raw).authenticode() != PeImage.parse(raw + b"more").authenticode()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "begins with MZ"),
        (b"MZ", "ends in the middle"),
        (b"MZ" + bytes(0x100), "no PE signature"),
        (uki()[: HEADERS + 10], "behind the end"),
        (pe_image((".linux", KERNEL)), "not made with systemd-stub"),
        (uki((".osrel", b"x")), r"no section \.linux"),
        (uki(*PARTS, (".profile", b"x")), "depends on the machine"),
        (uki(*PARTS, (".dtbauto", b"x")), "depends on the machine"),
        (uki(*PARTS, (".initrd", b"second")), r"two sections \.initrd"),
        (uki((".linux", b"not a kernel")), "begins with MZ"),
        (uki(version="251.1"), "is not known"),
        (uki(version="253.1"), "is not known"),
    ],
)
def test_refused(raw: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        predict_uki(raw)


def test_overlapping_sections_are_refused() -> None:
    raw = bytearray(pe_image((".one", b"x" * 600), (".two", b"y" * 600)))
    second = 0x40 + 24 + 240 + 40 + 20
    struct.pack_into("<I", raw, second, HEADERS)
    with pytest.raises(FormatError, match="overlap"):
        PeImage.parse(bytes(raw)).authenticode()


@given(st.binary(max_size=600))
def test_rubbish_is_refused_and_nothing_else_happens(raw: bytes) -> None:
    with pytest.raises(FormatError):
        predict_uki(b"MZ" + raw)


@needs_vectors
def test_a_genuine_boot_log_has_the_events_that_are_predicted() -> None:
    case = VECTORS / "tpm-uki-vm-local"
    log = parse_event_log((case / "eventlog.bin").read_bytes()).digests("sha256")
    sections = json.loads((case / "expected.json").read_text())["uki_section_sha256_in_stub_order"]
    expected = [
        d for n, v in sections.items() for d in (sha256(n.encode() + b"\0"), bytes.fromhex(v))
    ]
    assert list(log[11]) == expected
    # Register 4: the attempt and the separator as they are predicted; then image and kernel.
    assert log[4][:2] == (sha256(b"Calling EFI Application from Boot Option"), sha256(bytes(4)))
    assert len(log[4]) == 4
