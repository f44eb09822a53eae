"""Certificates and lists are read strictly: one spelling outside of what is signed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from asn1crypto import core, parser
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.support.amd_hierarchy import Amd
from tests.support.certificates import NOW, WINDOW, Link, build, common_name, p384_key

from mc2.attestation.keys import Scheme
from mc2.attestation.x509 import CERTIFICATE_BYTES, CRL_BYTES, parse_certificate, parse_crl
from mc2.errors import EvidenceError

ROOT = Link(name="root", length=3)
DER = build(ROOT, None)


def changed(field: str, value: object) -> bytes:
    certificate = asn1_x509.Certificate.load(DER)
    certificate[field] = value
    return certificate.dump(force=True)


def test_all_fields_are_read() -> None:
    found = parse_certificate(DER, "the root")
    other = x509.load_der_x509_certificate(DER)
    assert found.tbs == other.tbs_certificate_bytes
    assert found.signature == other.signature
    assert found.serial == other.serial_number
    assert (found.not_before, found.not_after) == WINDOW
    assert found.subject == found.issuer == other.subject.public_bytes()
    assert found.common_name == "root"
    assert (found.ca, found.path_length) == (True, 3)
    assert found.key_usage == {"key_cert_sign", "crl_sign"}
    assert found.scheme is Scheme.ECDSA_P384_SHA384
    assert found.spki == p384_key("root").public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    assert found.extensions["2.5.29.19"].critical


def test_a_serial_number_of_zero_is_read_without_a_warning() -> None:
    assert parse_certificate(Amd().leaf(), "a VCEK").serial == 0


def test_absent_extensions_are_absent() -> None:
    found = parse_certificate(
        build(Link(name="x", ca=False, constraints=False, usage=frozenset()), ROOT), "x"
    )
    assert (found.ca, found.path_length, found.key_usage) == (False, None, None)
    assert found.extensions == {}


@pytest.mark.parametrize("extra", [b"\x00", b"\x05\x00", b"\n"])
def test_bytes_around_are_refused(extra: bytes) -> None:
    for raw in (DER + extra, extra + DER):
        with pytest.raises(EvidenceError, match="does not decode"):
            parse_certificate(raw, "x")


def test_the_outer_algorithm_must_be_the_signed_one() -> None:
    with pytest.raises(EvidenceError, match="does not decode"):
        parse_certificate(changed("signature_algorithm", {"algorithm": "sha256_ecdsa"}), "x")


@pytest.mark.parametrize("name", ["sha1_rsa", "sha1_ecdsa", "md5_rsa", "ed25519"])
def test_other_schemes_are_refused(name: str) -> None:
    certificate = asn1_x509.Certificate.load(DER)
    certificate["signature_algorithm"] = {"algorithm": name}
    certificate["tbs_certificate"]["signature"] = {"algorithm": name}
    with pytest.raises(EvidenceError, match="does not decode"):
        parse_certificate(certificate.dump(force=True), "x")


@pytest.mark.parametrize(("hash_name", "salt"), [("sha256", 48), ("sha384", 20)])
def test_other_parameters_of_pss_are_refused(hash_name: str, salt: int) -> None:
    certificate = asn1_x509.Certificate.load(Amd().leaf())
    for algorithm in (
        certificate["signature_algorithm"],
        certificate["tbs_certificate"]["signature"],
    ):
        algorithm["parameters"]["hash_algorithm"] = {"algorithm": hash_name}
        algorithm["parameters"]["salt_length"] = salt
    with pytest.raises(EvidenceError, match="does not decode"):
        parse_certificate(certificate.dump(force=True), "x")


def test_old_versions_are_refused() -> None:
    certificate = asn1_x509.Certificate.load(DER)
    certificate["tbs_certificate"]["version"] = "v1"
    with pytest.raises(EvidenceError, match="does not decode"):
        parse_certificate(certificate.dump(force=True), "x")


def test_an_extension_stands_once() -> None:
    certificate = asn1_x509.Certificate.load(DER)
    extensions = certificate["tbs_certificate"]["extensions"]
    extensions.append(extensions[0])
    with pytest.raises(EvidenceError, match="does not decode"):
        parse_certificate(certificate.dump(force=True), "x")


def test_longer_heads_are_refused() -> None:
    """BER would allow the outer length in more bytes than it needs."""
    size = len(DER) - 4
    assert DER[:2] == b"\x30\x82"
    longer = b"\x30\x83\x00" + size.to_bytes(2, "big") + DER[4:]
    endless = b"\x30\x80" + DER[4:] + b"\x00\x00"
    for raw in (longer, endless):
        with pytest.raises(EvidenceError, match="does not decode"):
            parse_certificate(raw, "x")


def test_unused_bits_of_a_signature_are_refused() -> None:
    body = asn1_x509.Certificate.load(DER)
    bits = core.BitString.load(body["signature_value"].dump()).dump()
    at = DER.rindex(bits[2:4]) if len(bits) < 0x80 else DER.rindex(bits[:4]) + 2
    raw = bytearray(DER)
    assert raw[at] == 0
    raw[at] = 1
    with pytest.raises(EvidenceError, match="does not decode"):
        parse_certificate(bytes(raw), "x")


def test_absurd_sizes_are_refused_unread() -> None:
    with pytest.raises(EvidenceError, match="larger than"):
        parse_certificate(bytes(CERTIFICATE_BYTES + 1), "x")
    with pytest.raises(EvidenceError, match="larger than"):
        parse_crl(bytes(CRL_BYTES + 1), "x")


def test_certificates_are_not_lists() -> None:
    with pytest.raises(EvidenceError):
        parse_crl(DER, "x")
    with pytest.raises(EvidenceError):
        parse_certificate(Amd(revoked=(3,)).crl(), "x")


def test_a_list_without_an_end_is_refused() -> None:
    der = Amd(revoked=()).crl()
    whole = asn1_crl.CertificateList.load(der)
    end = whole["tbs_cert_list"]["next_update"].dump()
    endless = whole["tbs_cert_list"].contents.replace(end, b"")
    tbs = parser.emit(0, 1, 16, endless)
    rest = whole["signature_algorithm"].dump() + whole["signature"].dump()
    raw = parser.emit(0, 1, 16, tbs + rest)
    assert parse_crl(der, "x").next_update
    with pytest.raises(EvidenceError, match="does not decode"):
        parse_crl(raw, "x")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(raw: bytes) -> None:
    for parse in (parse_certificate, parse_crl):
        with pytest.raises(EvidenceError):
            parse(raw, "x")


@given(st.integers(0, len(DER) - 1), st.binary(min_size=1, max_size=4))
def test_altered_certificates_parse_or_are_refused(at: int, new: bytes) -> None:
    raw = DER[:at] + new + DER[at + 1 :]
    with suppress(EvidenceError):
        assert parse_certificate(raw, "x").der == raw


def test_times_have_a_zone() -> None:
    assert parse_certificate(DER, "x").not_before < NOW


@pytest.mark.parametrize("number", [0, 1, 255, 1 << 64, (1 << 159) - 1])
def test_numbers_of_lists(number: int) -> None:
    der = numbered_list(x509.CRLNumber(number))
    assert parse_crl(der, "x").number == number


def test_lists_without_a_number_or_with_an_odd_one() -> None:
    assert parse_crl(numbered_list(None), "x").number is None
    for value in (
        b"",
        b"\x02\x00",
        b"\x02\x01\xff",
        b"\x02\x01\x01\x00",
        b"\x02\x15" + b"\x7f" * 21,
    ):
        odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.20"), value)
        with pytest.raises(EvidenceError, match="does not decode"):
            parse_crl(numbered_list(odd), "x")


def numbered_list(extension: x509.ExtensionType | None) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(common_name("root"))
        .last_update(WINDOW[0])
        .next_update(WINDOW[1])
    )
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(p384_key("root"), hashes.SHA384()).public_bytes(Encoding.DER)
