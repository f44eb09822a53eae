"""The layout of a report, and everything that is none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.amd_hierarchy import Amd, Guest

from mc2.attestation.snp.report import POLICY_BITS, REPORT_BYTES, parse_report
from mc2.errors import EvidenceError

GOOD = Amd().report()


def test_fields_stand_where_the_specification_says() -> None:
    report = parse_report(Amd(guest=Guest(policy=0x3000000 | 0x20103, vmpl=2)).report())
    assert (report.version, report.guest_svn, report.vmpl) == (5, 3, 2)
    assert report.report_data == b"r" * 64
    assert report.measurement == b"m" * 48
    assert report.host_data == b"h" * 32
    assert report.id_key_digest == b"i" * 48
    assert report.author_key_digest == b"a" * 48
    assert report.report_id_ma == b"\xff" * 32
    assert report.cpuid == (26, 2, 1)
    assert report.reported_tcb == bytes((4, 0, 0, 0, 0, 0, 30, 80))
    assert report.current_firmware == "1.55.41"
    assert report.allows("ciphertext_hiding")
    assert report.allows("page_swap_disabled")
    assert not report.allows("debug")
    assert report.platform_has("alias_check")
    assert not report.platform_has("tsme")
    assert report.signed == report.raw[:0x2A0]


@pytest.mark.parametrize("bit", POLICY_BITS)
def test_each_policy_bit_is_read(bit: str) -> None:
    report = parse_report(Amd(guest=Guest(policy=0x20000 | 1 << POLICY_BITS[bit])).report())
    assert [name for name in POLICY_BITS if report.allows(name)] == [bit]


def test_older_versions_lack_newer_fields() -> None:
    def of(version: int):
        return parse_report(Amd(guest=Guest(version=version)).report())

    assert (of(2).cpuid, of(2).mitigations) == (None, None)
    assert of(3).cpuid == (26, 2, 1)
    assert (of(4).mitigations, of(5).mitigations) == (None, (0, 0))


@pytest.mark.parametrize("version", [0, 1, 6, 2**32 - 1])
def test_other_versions_are_refused(version: int) -> None:
    with pytest.raises(EvidenceError, match="version"):
        parse_report(Amd(guest=Guest(version=version)).report())


@pytest.mark.parametrize("size", [0, 1, 1183, 1185, 4000])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(EvidenceError, match="1184 bytes"):
        parse_report(GOOD[:size].ljust(size, b"\0"))


@pytest.mark.parametrize("at", [0, 1, 200, 367])
def test_the_unsigned_tail_is_zero(at: int) -> None:
    tail = bytes(at) + b"\x01" + bytes(367 - at)
    with pytest.raises(EvidenceError, match="not zero"):
        parse_report(Amd(guest=Guest(tail=tail)).report())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"policy": 0x10000}, "bit 17"),
        ({"algorithm": 0}, "P-384"),
        ({"algorithm": 2}, "P-384"),
        ({"vmpl": 4}, "not requested by the guest"),
        ({"vmpl": 0xFFFFFFFF}, "not requested by the guest"),
        ({"key_info": 7 << 2}, "no key signed"),
        ({"key_info": 2 << 2}, "no key signed"),
        ({"key_info": 1 << 5}, "reserved bits"),
    ],
)
def test_reports_that_no_guest_gets_are_refused(change: dict, match: str) -> None:
    with pytest.raises(EvidenceError, match=match):
        parse_report(Amd().guest_but(**change).report())


@given(st.binary(max_size=1300))
def test_any_bytes_parse_or_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_report(raw)


@given(st.binary(min_size=REPORT_BYTES, max_size=REPORT_BYTES), st.integers(2, 5))
def test_bytes_of_the_right_size_parse_or_are_refused(raw: bytes, version: int) -> None:
    raw = bytes((version, 0, 0, 0)) + raw[4:]
    with suppress(EvidenceError):
        assert parse_report(raw).raw == raw
