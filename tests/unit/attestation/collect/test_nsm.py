"""Documents through /dev/nsm: the message, its CBOR, the binding, every refusal."""

from __future__ import annotations

import errno

import pytest
from tests.support.certificates import NOW
from tests.support.fake_tee import FakeMachine, FakeNsm, failure
from tests.support.nitro_hierarchy import Nitro, pin

from mc2.attestation.cbor import decode_cbor, encode_cbor
from mc2.attestation.claims import Tier
from mc2.attestation.collect import nsm
from mc2.attestation.collect.nsm import NsmCollector
from mc2.attestation.nitro.policy import NitroSection
from mc2.attestation.nitro.verify import NitroVerifier
from mc2.errors import AttestationError, EvidenceError

DATA = bytes(range(64))
HEX = DATA.hex()


def refused(found: FakeNsm, match: str) -> AttestationError:
    with pytest.raises(AttestationError, match=match) as caught:
        NsmCollector(found).collect(DATA)
    assert found.open_files == 0
    return caught.value


def test_a_document_verifies_and_is_bound_as_policies_expect() -> None:
    found = FakeNsm(Nitro())
    raw = NsmCollector(found).collect(DATA)
    assert (raw.kind, raw.endorsements) == ("aws-nitro/v1", {})
    payload = decode_cbor(decode_cbor(raw.evidence, "")[2], "")
    claims = NitroVerifier(pin(payload["cabundle"][0])).verify(raw, at=NOW)
    assert claims.report_data == NitroSection.binding(DATA) == DATA
    assert claims.tier == NsmCollector.tier == Tier.PROVIDER_ATTESTED
    assert found.open_files == 0


def test_golden_bytes() -> None:
    request = bytes.fromhex(
        "a1" "6b4174746573746174696f6e"  # {"Attestation":
        "a3" "69757365725f64617461" "5840" + HEX +  # {"user_data": 64 bytes,
        "656e6f6e6365" "f6"  # "nonce": null,
        "6a7075626c69635f6b6579" "f6"  # "public_key": null}}
    )  # fmt: skip
    assert nsm.attestation_request(DATA) == request
    found = FakeNsm(Nitro())
    NsmCollector(found).collect(DATA)
    assert found.requests == [request]
    ((number, message),) = found.ioctls
    assert number == 0xC0200A00
    assert message[8:16] == len(request).to_bytes(8, "little")
    assert message[24:] == bytes.fromhex("0030000000000000")
    assert nsm.MESSAGE.pack(1, 2, 3, 0x3000) == bytes.fromhex(
        "0100000000000000020000000000000003000000000000000030000000000000"
    )


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EINTR, errno.EAGAIN])
def test_passing_errors_are_waited_out(number: int) -> None:
    found = FakeNsm(Nitro())
    found.errors = [number] * 3
    assert NsmCollector(found).collect(DATA).evidence
    assert len(found.pauses) == 3
    found.errors = [number] * 1000
    refused(found, "still busy")


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.EMSGSIZE, errno.EFAULT])
def test_other_errors_are_told_at_once(number: int) -> None:
    found = FakeNsm(Nitro())
    found.errors = [number]
    refused(found, failure(number).strerror)
    assert found.pauses == []


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ({"Error": "InvalidArgument"}, "refused: InvalidArgument"),
        ({"Error": "a\nb"}, "something else"),
        ({"Error": "x" * 65}, "something else"),
        ({"Error": b"InvalidArgument"}, "something else"),
        ({"Attestation": {}}, "something else"),
        ({"Attestation": {"document": "text"}}, "something else"),
        ({"Attestation": {"document": b"", "more": 1}}, "something else"),
        ({"Attestation": {"document": b""}, "Error": "no"}, "something else"),
        ({"GetRandom": {"random": b"r"}}, "something else"),
        ("Attestation", "something else"),
        (None, "something else"),
    ],
)
def test_odd_answers_are_refused(value, match: str) -> None:
    refused(FakeNsm(Nitro(), says=encode_cbor(value)), match)


def test_broken_answers_are_refused() -> None:
    for raw in (b"", b"\xa1", b"\xff", encode_cbor(None) + b"\0"):
        with pytest.raises(EvidenceError):
            NsmCollector(FakeNsm(Nitro(), says=raw)).collect(DATA)
    bad = encode_cbor({"Attestation": {"document": b"no document"}})
    with pytest.raises(EvidenceError):
        NsmCollector(FakeNsm(Nitro(), says=bad)).collect(DATA)
    refused(FakeNsm(Nitro(), claims=0x3001), "too much")
    refused(FakeNsm(Nitro(), claims=2**63), "too much")


def test_a_document_about_other_data_is_refused() -> None:
    refused(FakeNsm(Nitro(), other_data=b"e" * 64), "about other data")
    refused(FakeNsm(Nitro(), other_data=DATA[:32]), "about other data")


def test_report_data_have_64_bytes() -> None:
    found = FakeNsm(Nitro())
    for size in (0, 63, 65):
        with pytest.raises(AttestationError, match="64 bytes"):
            NsmCollector(found).collect(bytes(size))
    assert found.did == []


def test_says_whether_and_why_not() -> None:
    assert NsmCollector(FakeNsm(Nitro())).available()
    assert "does not exist" in NsmCollector(FakeMachine()).why_not()
    closed = FakeNsm(Nitro())
    closed.failures["open"] = [errno.EACCES]
    assert "Permission denied" in NsmCollector(closed).why_not()
