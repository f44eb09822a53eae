"""Reports through /dev/sev-guest: the bytes of each structure, the host's table, every refusal."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from tests.support.amd_hierarchy import NOW, Amd
from tests.support.fake_tee import FakeMachine, FakeSevGuest, certificate_table, failure

from mc2.attestation.collect import sev_guest
from mc2.attestation.collect.sev_guest import SevGuestCollector
from mc2.attestation.snp.verify import SnpVerifier
from mc2.errors import AttestationError

AMD = Amd(revoked=())
DATA = bytes(range(64))


def machine(**changes) -> FakeSevGuest:
    return FakeSevGuest(AMD, **({"table": certificate_table(AMD)} | changes))


def refused(found: FakeSevGuest, match: str) -> AttestationError:
    with pytest.raises(AttestationError, match=match) as caught:
        SevGuestCollector(found).collect(DATA)
    assert found.open_files == 0
    return caught.value


def test_a_report_with_the_hosts_certificates_verifies() -> None:
    found = machine()
    raw = SevGuestCollector(found).collect(DATA)
    assert raw.endorsements.keys() == {"vcek", "ask", "ark", "crl"}
    assert SnpVerifier(AMD.pins()).verify(raw, at=NOW).report_data == DATA
    assert [request for request, _ in found.ioctls] == [0xC0205302]
    assert found.open_files == 0


def test_a_host_without_certificates_gives_none() -> None:
    assert SevGuestCollector(machine(table=b"")).collect(DATA).endorsements == {}


def test_a_table_that_is_too_large_is_left_out() -> None:
    found = machine(table=certificate_table(AMD, pad=5 * 4096))
    raw = SevGuestCollector(found).collect(DATA)
    assert raw.endorsements == {}
    assert raw.evidence[0x50:0x90] == DATA
    assert [request for request, _ in found.ioctls] == [0xC0205302, 0xC0205300]


def test_golden_bytes_of_the_structures() -> None:
    """As a C compiler lays out <linux/sev-guest.h> on x86-64."""
    assert sev_guest.REPORT_REQUEST.size == 96
    assert sev_guest.EXT_REQUEST.size == 112
    assert sev_guest.ARGUMENT.size == 32
    assert sev_guest.RESPONSE.size == 32
    assert sev_guest.REPORT_REQUEST.pack(DATA, 3) == DATA + bytes.fromhex("03000000") + bytes(28)
    assert sev_guest.EXT_REQUEST.pack(DATA, 0, 0x1122334455667788, 0x4000) == (
        DATA + bytes(32) + bytes.fromhex("88776655443322110040000000000000")
    )
    assert sev_guest.ARGUMENT.pack(1, 0x0102030405060708, 0x1112131415161718, 0) == bytes.fromhex(
        "0100000000000000080706050403020118171615141312110000000000000000"
    )


def test_what_the_device_is_sent() -> None:
    found = machine(table=bytes(5 * 4096))
    SevGuestCollector(found).collect(DATA)
    extended, alone = found.requests
    assert extended[:96] == alone == DATA + bytes(32)
    assert extended[104:] == bytes.fromhex("0040000000000000")
    for _, argument in found.ioctls:
        assert argument[:8] == b"\1" + bytes(7)
        assert argument[24:] == bytes(8)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EINTR, errno.EAGAIN])
def test_passing_errors_are_waited_out(number: int) -> None:
    found = machine()
    found.errors = [number, number]
    assert SevGuestCollector(found).collect(DATA).evidence
    assert len(found.pauses) == 2
    found.errors = [number] * 1000
    refused(found, "still busy")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOTTY, errno.ETIMEDOUT, errno.EINVAL])
def test_other_errors_are_told_at_once(number: int) -> None:
    found = machine()
    found.errors = [number]
    refused(found, failure(number).strerror)
    assert found.pauses == []
    assert len(found.ioctls) == 1


def test_a_device_that_wants_a_table_for_a_bare_report_is_refused() -> None:
    class Stubborn(FakeSevGuest):
        def answer(self, request: int, argument: bytearray) -> None:
            argument[28:32] = (1).to_bytes(4, "little")
            raise failure(errno.EIO)

    refused(Stubborn(AMD), "room for a table")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"status": 0x16}, "status 0x16"),
        ({"size": 0}, "gave 0 bytes"),
        ({"size": 1185}, "gave 1185 bytes"),
        ({"size": 2**32 - 1}, "gave 4294967295 bytes"),
        ({"other_data": b"e" * 64}, "about other data"),
        ({"table": b"\1" * 4096}, "certificate table"),
    ],
)
def test_odd_answers_are_refused(changes, match: str) -> None:
    refused(replace(machine(), **changes), match)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_report_data_have_64_bytes(size: int) -> None:
    found = machine()
    with pytest.raises(AttestationError, match="64 bytes"):
        SevGuestCollector(found).collect(bytes(size))
    assert found.did == []


def test_says_whether_and_why_not() -> None:
    assert SevGuestCollector(machine()).available()
    assert "does not exist" in SevGuestCollector(FakeMachine()).why_not()
    closed = machine()
    closed.failures["open"] = [errno.EACCES]
    assert "Permission denied" in SevGuestCollector(closed).why_not()
    closed.failures["open"] = [errno.EACCES]
    assert "root" in refused(closed, "does not open").hint
