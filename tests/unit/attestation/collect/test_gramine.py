"""Quotes through Gramine's made-up files."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from tests.support.fake_tee import FakeGramine, FakeMachine, failure, quote_over
from tests.support.intel_hierarchy import NOW, Intel, Td

from mc2.attestation.claims import Tier
from mc2.attestation.collect.gramine import GramineCollector
from mc2.attestation.dcap.verify import SgxVerifier
from mc2.errors import AttestationError, EvidenceError

SGX = Intel()
DATA = bytes(range(64))


def machine() -> FakeGramine:
    return FakeGramine(lambda data: quote_over(SGX, data))


def refused(found: FakeGramine, match: str) -> AttestationError:
    with pytest.raises(AttestationError, match=match) as caught:
        GramineCollector(found).collect(DATA)
    assert found.open_files == 0
    return caught.value


@pytest.mark.parametrize("part", [1, 63, 1 << 20])
def test_a_quote_verifies_with_intels_collateral(part: int) -> None:
    found = machine()
    found.part = part
    raw = GramineCollector(found).collect(DATA)
    assert (raw.kind, raw.endorsements) == ("intel-sgx/v1", {})
    full = replace(raw, endorsements=SGX.evidence().endorsements)
    claims = SgxVerifier(SGX.pins()).verify(full, at=NOW)
    assert claims.report_data == DATA
    assert claims.tier == GramineCollector.tier == Tier.HARDWARE_ENCLAVE
    assert found.open_files == 0


STEPS = ("open attestation_type", "open user_report_data", "write user_report_data", "open quote")


@pytest.mark.parametrize("step", STEPS)
def test_errors(step: str) -> None:
    found = machine()
    found.failures[step] = [errno.EINTR, errno.EAGAIN]
    assert GramineCollector(found).collect(DATA).evidence
    found.failures[step] = [errno.EACCES]
    refused(found, failure(errno.EACCES).strerror)
    found.failures[step] = [errno.EBUSY] * 1000
    refused(found, "still busy")


def test_another_sort_of_attestation_is_refused() -> None:
    for kind in ("none", "epid", "", "DCAP", "dcap" * 40):
        found = FakeGramine(lambda data: quote_over(SGX, data), kind)
        with pytest.raises(AttestationError):
            GramineCollector(found).collect(DATA)
        assert not GramineCollector(found).available()
        assert found.report_data == bytes(64)


def test_odd_quotes_are_refused() -> None:
    refused(FakeGramine(lambda _: quote_over(SGX, b"e" * 64)), "about other data")
    refused(FakeGramine(lambda _: bytes(32 * 1024 + 1)), "more than 32768 bytes")
    td = Intel(body=Td(), version=4)
    refused(FakeGramine(lambda data: quote_over(td, data)), "another quote than SGX's")
    for raw in (b"", bytes(432)):
        with pytest.raises(EvidenceError):
            GramineCollector(FakeGramine(lambda _, raw=raw: raw)).collect(DATA)


def test_report_data_have_64_bytes() -> None:
    for size in (0, 63, 65):
        with pytest.raises(AttestationError, match="64 bytes"):
            GramineCollector(machine()).collect(bytes(size))


def test_says_whether_and_why_not() -> None:
    assert GramineCollector(machine()).available()
    assert "does not exist" in GramineCollector(FakeMachine()).why_not()
    assert "'epid'" in GramineCollector(FakeGramine(lambda _: b"", "epid")).why_not()
