"""TPM structures: read strictly, back to keys and signatures that verify."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.tpm_quotes import (
    AK_ATTRIBUTES,
    Tpm,
    ec_key,
    ecc_public,
    rsa_key,
    rsa_public,
    spki,
)
from tests.support.vectors import case_files, needs_vectors

from mc2.attestation.keys import Scheme
from mc2.attestation.tpm.commands import AK_TEMPLATE, EK_TEMPLATE, sized, u16, u32
from mc2.attestation.tpm.structures import (
    check_attestation_key,
    parse_attest,
    parse_public,
    parse_signature,
)
from mc2.errors import EvidenceError

TPM = Tpm()
ATTEST = TPM.attest()


def test_a_quote_is_read() -> None:
    found = parse_attest(ATTEST)
    assert (found.extra_data, found.clock) == (b"n" * 32, 1234)
    assert (found.reset_count, found.restart_count, found.safe) == (7, 0, True)
    assert (found.bank, found.selected) == ("sha256", (0, 4, 11))
    assert found.firmware_version == 0x2019102300163636


@needs_vectors
def test_genuine_quotes_are_read() -> None:
    found = parse_attest(case_files("tpm-swtpm-local")["quote.attest"])
    assert (found.selected, found.reset_count, found.safe) == ((0, 7, 11), 2, True)
    other = parse_attest(case_files("tpm-uki-vm-local")["quote.attest"])
    assert other.selected == (0, 2, 4, 7, 9, 11, 12)
    assert other.extra_data.hex() == "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        TPM.but(magic=b"\xffTCH").attest(),  # what a restricted key would sign for anybody
        TPM.but(attest_type=0x8017).attest(),  # a certification, not a quote
        TPM.but(safe=2).attest(),
        TPM.but(bank=0x04, pcrs={}).attest(),  # SHA-1
        TPM.but(bank=0x0D).attest(),
        ATTEST + b"\0",
        ATTEST[:-1],
    ],
)
def test_other_attestations_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_attest(raw)


def test_a_quote_over_two_banks_or_none_is_refused() -> None:
    at = ATTEST.index(u32(1) + u16(0x0B))
    for count in (0, 2):
        with pytest.raises(EvidenceError, match="one bank"):
            parse_attest(ATTEST[:at] + u32(count) + ATTEST[at + 4 :])


def test_a_selection_has_three_bytes() -> None:
    at = ATTEST.index(b"\x03", ATTEST.index(u32(1) + u16(0x0B)))
    for bitmap in (b"\x02\x11\x08", b"\x04\x11\x08\x00\x01"):
        with pytest.raises(EvidenceError):
            parse_attest(ATTEST[:at] + bitmap + ATTEST[at + 4 :])


def test_an_ecc_key_is_read() -> None:
    for curve, scheme in (("P-256", Scheme.ECDSA_P256_SHA256), ("P-384", Scheme.ECDSA_P384_SHA384)):
        found = parse_public(ecc_public("ak", curve=curve))
        assert found.spki == spki(ec_key("ak", curve))
        assert found.scheme is scheme
        check_attestation_key(found)


def test_an_rsa_key_is_read() -> None:
    found = parse_public(rsa_public("ak"))
    assert found.spki == spki(rsa_key("ak"))
    assert found.scheme is Scheme.RSA_PKCS1_SHA256
    check_attestation_key(found)


def test_the_name_binds_every_byte() -> None:
    raw = ecc_public("ak")
    name = parse_public(raw).name
    assert name[:2] == b"\0\x0b"
    for at in range(len(raw)):
        with suppress(EvidenceError):
            assert parse_public(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]).name != name


@needs_vectors
def test_a_genuine_key_is_an_attestation_key() -> None:
    check_attestation_key(parse_public(case_files("tpm-swtpm-local")["ak_pub.tpmt"]))
    check_attestation_key(parse_public(case_files("tpm-uki-vm-local")["ak_pub.tpm2b"][2:]))


@pytest.mark.parametrize("bit", [1, 4, 5, 16, 17, 18])
def test_each_attribute_of_an_attestation_key_counts(bit: int) -> None:
    key = parse_public(ecc_public("ak", attributes=AK_ATTRIBUTES ^ (1 << bit)))
    with pytest.raises(EvidenceError, match="not an attestation key"):
        check_attestation_key(key)


def test_a_key_without_a_scheme_of_its_own_is_no_attestation_key() -> None:
    key = parse_public(ecc_public("ak", scheme=u16(0x10)))
    with pytest.raises(EvidenceError, match="not an attestation key"):
        check_attestation_key(key)


def test_the_endorsement_key_is_no_attestation_key() -> None:
    modulus = rsa_key("ek").public_key().public_numbers().n.to_bytes(256, "big")
    raw = EK_TEMPLATE[:-258] + sized(modulus)
    key = parse_public(raw)
    assert key.spki == spki(rsa_key("ek"))
    with pytest.raises(EvidenceError, match="not an attestation key"):
        check_attestation_key(key)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        AK_TEMPLATE,  # no point in it
        EK_TEMPLATE,  # no modulus in it
        u16(0x08) + ecc_public()[2:],  # a keyed hash
        u16(0x23) + u16(0x04) + ecc_public()[4:],  # named by SHA-1
        ecc_public(scheme=u16(0x18) + u16(0x04)),
        ecc_public(scheme=u16(0x1A) + u16(0x0B)),  # ECDAA
        ecc_public(scheme=u16(0x16) + u16(0x0B)),  # RSAPSS
        ecc_public().replace(u16(3) + u16(0x10), u16(0x20) + u16(0x10)),  # SM2
        ecc_public()[:-1] + bytes([ecc_public()[-1] ^ 1]),  # not on the curve
        rsa_public().replace(u16(2048) + u32(0), u16(1024) + u32(0)),
        rsa_public().replace(u16(2048) + u32(0), u16(2048) + u32(2)),
        rsa_public() + b"\0",
    ],
)
def test_other_keys_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_public(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        u16(0x14) + u16(0x04) + sized(bytes(256)),  # RSASSA with SHA-1
        u16(0x16) + u16(0x0B) + sized(bytes(256)),  # RSAPSS
        u16(0x18) + u16(0x0B) + sized(bytes(33)) + sized(bytes(32)),
        u16(0x18) + u16(0x0B) + sized(bytes(32)),
        u16(0x18) + u16(0x0B) + sized(bytes(32)) + sized(bytes(32)) + b"\0",
        u16(0x14) + u16(0x0B) + sized(bytes(600)),
    ],
)
def test_other_signatures_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_signature(raw)


@given(st.binary(max_size=300))
def test_noise_is_refused(raw: bytes) -> None:
    for parse in (parse_attest, parse_public, parse_signature):
        with pytest.raises(EvidenceError):
            parse(raw)


@given(st.integers(0, len(ATTEST) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_quote_is_read_or_refused(at: int, noise: bytes) -> None:
    with suppress(EvidenceError):
        parse_attest(ATTEST[:at] + noise + ATTEST[at + len(noise) :])
