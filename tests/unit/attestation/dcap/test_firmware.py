"""MRTD from firmware: a slow twin, and everything that is no firmware."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.machine_images import OTHER, TDVF_METADATA, entry, tdvf

from mc2.attestation.dcap.firmware import predict_mrtd
from mc2.errors import FormatError

PAGE = 4096


def slow(sections, *, by_page):
    """What the TDX module's description says, one call after the other."""
    calls = []
    for content, address, memory, attributes in sections:
        if attributes & 2:
            continue
        added = [("MEM.PAGE.ADD", address + at, b"") for at in range(0, memory, PAGE)]
        pieces = [
            ("MR.EXTEND", address + at, content[at : at + 256])
            for at in range(0, memory if attributes & 1 else 0, 256)
        ]
        if by_page:
            for number, page in enumerate(added):
                calls += [page, *pieces[16 * number : 16 * number + 16]]
        else:
            calls += [*added, *pieces]
    found = hashlib.sha384()
    for name, address, content in calls:
        found.update(name.encode().ljust(16, b"\0") + struct.pack("<Q", address) + bytes(104))
        found.update(content)
    return found.digest()


@st.composite
def parts(draw):
    found = []
    for _ in range(draw(st.integers(1, 4))):
        pages, attributes = draw(st.integers(0, 3)), draw(st.sampled_from([0, 1, 2]))
        content = draw(st.integers(0, 255)).to_bytes(1) * (pages * PAGE if attributes == 1 else draw(st.integers(0, pages * PAGE)))  # fmt: skip
        found.append((content, draw(st.integers(0, 2**40)) * PAGE, pages * PAGE, attributes))
    return found


@given(parts())
def test_mrtd_is_what_the_module_would_compute(sections):
    found = predict_mrtd(tdvf(sections))
    assert found.by_page == slow(sections, by_page=True)
    assert found.by_section == slow(sections, by_page=False)


SOUND = [(bytes(range(256)) * 16, 0xFFC00000, PAGE, 1), (b"", 0x800000, PAGE, 0)]


def test_content_address_and_order_count():
    first = predict_mrtd(tdvf(SOUND))
    content, address, memory, attributes = SOUND[0]
    for other in [
        [(content[:-1] + b"\0", address, memory, attributes), SOUND[1]],
        [(content, address + PAGE, memory, attributes), SOUND[1]],
        SOUND[::-1],
        SOUND[:1],
    ]:
        assert predict_mrtd(tdvf(other)).by_page != first.by_page


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no table"),
        (bytes(4096), "no table"),
        (tdvf(SOUND, footer=OTHER), "no table"),
        (tdvf(SOUND, entries=entry(OTHER, b"x")), "names no metadata"),
        (tdvf(SOUND, entries=entry(TDVF_METADATA, b"xyz")), "contradicts"),
        (tdvf(SOUND, entries=b"\0\0" + OTHER), "contradicts"),
        (tdvf(SOUND, offset=1 << 31), "not within"),
        (tdvf(SOUND, offset=4), "not within"),
        (tdvf(SOUND, offset=60), "begin with TDVF"),
        (tdvf(SOUND, signature=b"TDVG"), "begin with TDVF"),
        (tdvf(SOUND, version=2), "another version"),
        (tdvf(SOUND, length=17), "contradict"),
        (tdvf([], count=0), "another version, or contradict"),
        (tdvf([(b"x", 0, PAGE, 4)]), "attribute"),
        (tdvf([(b"x", 1, PAGE, 0)]), "whole pages"),
        (tdvf([(b"x", 0, 100, 0)]), "whole pages"),
        (tdvf([(bytes(PAGE + 1), 0, PAGE, 0)]), "within the image"),
        (tdvf([(b"x", 0, PAGE, 1)]), "not all in the image"),
        (tdvf([(bytes(PAGE), 0, PAGE, 3)]), "not all in the image"),
        (tdvf([(b"", 0, PAGE << 21, 0)]), "4 GiB"),
    ],
)
def test_what_is_no_firmware_is_refused(raw, why):
    with pytest.raises(FormatError, match=why) as caught:
        predict_mrtd(raw)
    assert "OVMF.fd" in caught.value.hint
