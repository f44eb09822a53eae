"""The layout of quotes: every byte has one place."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.intel_hierarchy import Intel, Sgx, Td
from tests.support.vectors import case_files, needs_vectors

from mc2.attestation.dcap.quote import EnclaveReport, TdReport, parse_quote
from mc2.errors import EvidenceError

SGX = Intel(body=Sgx(miscselect=3, configid=b"c" * 64)).quote()
TD15 = Intel(body=Td(svn2=b"2" * 16, mrservicetd=b"s" * 48), version=5).quote()


def test_an_sgx_quote_is_taken_apart() -> None:
    quote = parse_quote(SGX)
    body = quote.body
    assert isinstance(body, EnclaveReport)
    assert (quote.version, quote.tee) == (3, "SGX")
    assert quote.signed == SGX[: 48 + 384]
    assert (body.mrenclave, body.mrsigner) == (b"\xe1" * 32, b"\x51" * 32)
    assert (body.isvprodid, body.isvsvn, body.miscselect) == (7, 3, 3)
    assert (body.configid, body.report_data) == (b"c" * 64, b"R" * 64)
    assert not body.debug
    assert quote.qe_auth == bytes(range(32))
    assert quote.qe_report.isvsvn == 8
    assert len(quote.pck_chain) == 3


@pytest.mark.parametrize(("version", "size"), [(4, 584), (5, 590)])
def test_a_tdx_10_quote_has_no_service_td(version: int, size: int) -> None:
    raw = Intel(body=Td(), version=version).quote()
    quote = parse_quote(raw)
    assert isinstance(quote.body, TdReport)
    assert (quote.version, quote.tee) == (version, "TDX")
    assert quote.signed == raw[: 48 + size]
    assert quote.body.tee_tcb_svn2 is None
    assert quote.body.mrservicetd is None


def test_a_tdx_15_quote_is_taken_apart() -> None:
    body = parse_quote(TD15).body
    assert isinstance(body, TdReport)
    assert (body.tee_tcb_svn2, body.mrservicetd) == (b"2" * 16, b"s" * 48)
    assert (body.mrtd, body.mrseam) == (b"\x7d" * 48, b"\x5e" * 48)
    assert [value[0] for value in body.rtmr] == [0xA0, 0xA1, 0xA2, 0xA3]
    assert body.report_data == b"R" * 64
    assert not body.debug


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_the_first_attribute_byte_is_debug(bit: int) -> None:
    body = Td(attributes=bytes([1 << bit]) + bytes(7))
    found = parse_quote(Intel(body=body, version=4).quote()).body
    assert found.debug


def test_an_sgx_debug_enclave_is_seen() -> None:
    body = Sgx(attributes=b"\x07" + bytes(15))
    assert parse_quote(Intel(body=body).quote()).body.debug


@pytest.mark.parametrize("raw", [SGX, TD15], ids=["sgx", "td15"])
def test_zeros_may_follow_and_nothing_else(raw: bytes) -> None:
    assert parse_quote(raw + bytes(3000)).signed == parse_quote(raw).signed
    with pytest.raises(EvidenceError, match="not zero"):
        parse_quote(raw + bytes(7) + b"\x01")


@pytest.mark.parametrize("raw", [SGX, TD15], ids=["sgx", "td15"])
def test_a_shorter_quote_is_refused_at_every_length(raw: bytes) -> None:
    for size in range(len(raw)):
        with pytest.raises(EvidenceError):
            parse_quote(raw[:size])


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, b"\x02\x00"),  # versions that nobody knows here
        (0, b"\x04\x00"),  # SGX of version 4
        (0, b"\x06\x00"),
        (2, b"\x03\x00"),  # ECDSA P-384
        (4, b"\x80\x00\x00\x00"),  # a TEE that is neither
        (12, b"\x00" * 16),  # another vendor's quoting enclave
    ],
)
def test_other_headers_are_refused(offset: int, value: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_quote(SGX[:offset] + value + SGX[offset + len(value) :])


def test_a_tdx_quote_of_version_3_is_refused() -> None:
    with pytest.raises(EvidenceError, match="version 3"):
        parse_quote(Intel(body=Td(), version=3).quote())


@pytest.mark.parametrize(("body_type", "size"), [(1, 648), (2, 648), (3, 584), (4, 648), (0, 648)])
def test_a_body_type_must_fit_its_size(body_type: int, size: int) -> None:
    header = body_type.to_bytes(2, "little") + size.to_bytes(4, "little")
    with pytest.raises(EvidenceError, match="body of type"):
        parse_quote(TD15[:48] + header + TD15[54:])


def test_a_quote_without_its_certificates_is_refused_with_a_hint() -> None:
    at = SGX.index(
        (5).to_bytes(2, "little") + (len(SGX) - SGX.index(b"-----BEGIN")).to_bytes(4, "little")
    )
    with pytest.raises(EvidenceError) as caught:
        parse_quote(SGX[:at] + b"\x03" + SGX[at + 1 :])
    assert "quote provider" in caught.value.hint


def test_the_length_of_the_signature_data_must_be_exact() -> None:
    size = int.from_bytes(SGX[432:436], "little")
    longer = SGX[:432] + (size + 1).to_bytes(4, "little") + SGX[436:] + b"\0"
    with pytest.raises(EvidenceError):
        parse_quote(longer)


def test_a_quote_has_a_ceiling() -> None:
    with pytest.raises(EvidenceError, match="larger"):
        parse_quote(SGX + bytes(40_000))


@given(st.binary(max_size=2000))
def test_noise_is_refused_as_evidence(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_quote(raw)


@settings(max_examples=200)
@given(st.integers(0, len(TD15) - 1), st.binary(min_size=1, max_size=8))
def test_a_damaged_quote_parses_or_is_refused(at: int, noise: bytes) -> None:
    with suppress(EvidenceError):
        parse_quote(TD15[:at] + noise + TD15[at + len(noise) :])


@needs_vectors
def test_a_genuine_quote_padded_by_its_host_parses() -> None:
    raw = case_files("tdx-v4-automata-outofdate")["quote.bin"]
    assert len(raw) == 8000
    assert len(parse_quote(raw).signed) == 632


@needs_vectors
def test_the_quote_with_a_broken_chain_is_refused() -> None:
    raw = case_files("sgx-bad-openenclave")["quote.bin"]
    with pytest.raises(EvidenceError):
        parse_quote(raw)  # with the header of Open Enclave
    with pytest.raises(EvidenceError, match="PEM"):
        parse_quote(raw[16:])
