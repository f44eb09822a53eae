"""Registers of a Nitro enclave from its image: a slow twin, and everything that is no image."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.machine_images import (
    KERNEL,
    LINE,
    METADATA,
    RAMDISK,
    SIGNATURE,
    eif,
    with_checksum,
)

from mc2.attestation.nitro.image import predict_image
from mc2.errors import FormatError

PLAIN = [(KERNEL, b"kernel"), (LINE, b"console=ttyS0"), (METADATA, b"{}"), (RAMDISK, b"init"), (RAMDISK, b"app")]  # fmt: skip


def register(*parts):
    return hashlib.sha384(bytes(48) + hashlib.sha384(b"".join(parts)).digest()).digest()


@given(
    st.binary(max_size=99), st.binary(max_size=20), st.lists(st.binary(max_size=50), min_size=1, max_size=5),
    st.booleans(), st.sampled_from([2, 3, 4]),
)  # fmt: skip
def test_registers_are_what_the_format_says(kernel, line, ramdisks, signed, version):
    sections = [(KERNEL, kernel), (LINE, line), *((RAMDISK, r) for r in ramdisks)]
    found = predict_image(
        eif([*sections, (SIGNATURE, b"s")] if signed else sections, version=version)
    )
    assert found.registers == {
        "pcr0": register(kernel, line, *ramdisks),
        "pcr1": register(kernel, line, ramdisks[0]),
        "pcr2": register(*ramdisks[1:]),
    }
    assert (found.signed, found.version) == (signed, version)


def test_any_bit_that_is_not_the_checksum_of_itself_is_refused():
    raw = eif(PLAIN)
    for at in range(len(raw)):
        with pytest.raises(FormatError, match="not an enclave image"):
            predict_image(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "too early|begin"),
        (eif(PLAIN)[:-1], "checksum"),
        (eif(PLAIN, magic=b".eiF"), "begin with .eif"),
        (eif(PLAIN, version=1), "version is 1"),
        (eif(PLAIN, version=5), "version is 5"),
        (eif(PLAIN, gap=1), "follow"),
        (eif(PLAIN, tail=b"x"), "too many"),
        (eif(PLAIN, count=4), "does not count"),
        (eif([*PLAIN, (6, b"?")]), "unknown sort"),
        (eif([*PLAIN, (0, b"?")]), "unknown sort"),
        (eif([*PLAIN, (KERNEL, b"another")]), "one kernel"),
        (eif(PLAIN[1:]), "one kernel"),
        (eif(PLAIN[:3]), "ramdisks"),
        (eif([*PLAIN, (SIGNATURE, b"a"), (SIGNATURE, b"b")]), "one signature"),
    ],
)
def test_what_is_no_sound_image_is_refused(raw, why):
    with pytest.raises(FormatError, match=why) as caught:
        predict_image(raw)
    assert "nitro-cli" in caught.value.hint


def test_a_section_that_contradicts_the_header_is_refused():
    raw = bytearray(eif(PLAIN))
    raw[548 + 11] += 1  # the size in the first section's own header
    with pytest.raises(FormatError, match="contradicts"):
        predict_image(with_checksum(bytes(raw)))
