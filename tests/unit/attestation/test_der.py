"""DER is read in its one spelling, and agrees with a large reader on genuine certificates."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime

import pytest
from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from hypothesis import given
from hypothesis import strategies as st
from tests.support.vectors import VECTORS, needs_vectors

from mc2.attestation.der import DerError, DerReader, Tag
from mc2.attestation.x509 import parse_certificate


@given(st.integers(-(2**200), 2**200))
def test_integers(value: int) -> None:
    reader = DerReader(core.Integer(value).dump())
    assert reader.integer() == value
    reader.done()


@given(st.binary(max_size=70000))
def test_lengths(content: bytes) -> None:
    reader = DerReader(core.OctetString(content).dump())
    assert reader.octets() == content
    reader.done()


ARCS = st.tuples(
    st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**40), min_size=1, max_size=5)
)


@given(ARCS)
def test_identifiers(arcs: tuple[int, int, list[int]]) -> None:
    first, second, rest = arcs
    dotted = ".".join(map(str, (first, second, *rest)))
    assert DerReader(core.ObjectIdentifier(dotted).dump()).oid() == dotted


def test_times() -> None:
    for raw, want in (
        (b"\x17\x0d491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"\x17\x0d500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (b"\x18\x0f99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ):
        assert DerReader(raw).time() == want


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x17\x0b4912312359Z",
        b"\x17\x0d491331235959Z",
        b"\x17\x0d490230235959Z",
        b"\x17\x0d491231235959+",
        b"\x17\x0f20491231235959Z",
        b"\x17\x11491231235959+0000",
        b"\x18\x0d491231235959Z",
        b"\x18\x1120491231235959.5Z",
        b"\x18\x0f2049123123 959Z",
        b"\x18\x0f00001231235959Z",
        b"\x17\x0d49123123595\xd9Z",
        b"\x04\x0d491231235959Z",
    ],
)
def test_odd_times_are_refused(raw: bytes) -> None:
    with pytest.raises(DerError):
        DerReader(raw).time()


@pytest.mark.parametrize(
    "raw",
    [
        "", "02", "0200", "020101"[:4], "02020001", "0202007f", "0202ff80", "0202ffff", "028101 01",
        "02820001 01", "0280 01 0000", "0284 00000001 01", "0285 0000000001 01", "0281 80", "0281",
        "1f0201 01", "030101",
    ],
)  # fmt: skip
def test_other_spellings_of_integers_are_refused(raw: str) -> None:
    with pytest.raises(DerError):
        DerReader(bytes.fromhex(raw)).integer()


@pytest.mark.parametrize("raw", ["0600", "06028001", "060181", "06022a81", "06032a8001"])
def test_other_spellings_of_identifiers_are_refused(raw: str) -> None:
    with pytest.raises(DerError):
        DerReader(bytes.fromhex(raw)).oid()


@pytest.mark.parametrize("raw", ["010101", "0100", "01020000", "0101"])
def test_other_spellings_of_booleans_are_refused(raw: str) -> None:
    with pytest.raises(DerError):
        DerReader(bytes.fromhex(raw)).boolean()


@pytest.mark.parametrize("raw", ["0300", "030101", "03020102", "0302"])
def test_bit_strings_have_whole_bytes(raw: str) -> None:
    with pytest.raises(DerError):
        DerReader(bytes.fromhex(raw)).bits()


def test_a_reader_stays_within_its_value() -> None:
    outer = DerReader(bytes.fromhex("3003020105020107"))
    inner = outer.inside()
    assert inner.integer() == 5
    assert not inner.more()
    with pytest.raises(DerError):
        inner.integer()
    inner.done()
    with pytest.raises(DerError):
        outer.done()
    assert outer.next_is(Tag.INTEGER)
    assert outer.whole(Tag.INTEGER) == b"\x02\x01\x07"
    outer.done()
    # A value that says it is longer than what it stands in.
    long = DerReader(bytes.fromhex("3003020205020107")).inside()
    with pytest.raises(DerError):
        long.integer()


@given(st.binary(max_size=40))
def test_what_is_read_has_one_spelling(raw: bytes) -> None:
    reader = DerReader(raw)
    try:
        value = reader.integer()
        reader.done()
    except DerError:
        return
    assert core.Integer(value).dump() == raw


def genuine_certificates() -> list[bytes]:
    found: set[bytes] = set()
    for path in sorted(VECTORS.glob("*/*")):
        if path.suffix == ".der":
            found.add(path.read_bytes())
        text = path.read_bytes().replace(b"\\n", b"\n") if path.is_file() else b""
        blocks = re.findall(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", text, re.DOTALL)
        found |= {b64decode(block) for block in blocks}
    return sorted(found)


@needs_vectors
def test_genuine_certificates_read_as_elsewhere() -> None:
    certificates = genuine_certificates()
    assert len(certificates) > 30
    for der in certificates:
        ours, other = parse_certificate(der, "x"), asn1_x509.Certificate.load(der)
        body = other["tbs_certificate"]
        assert ours.tbs == body.dump()
        assert ours.signature == other["signature_value"].native
        assert ours.serial == body["serial_number"].native
        assert ours.issuer == body["issuer"].dump()
        assert ours.subject == body["subject"].dump()
        assert ours.common_name == body["subject"].native.get("common_name", "")
        assert ours.not_before == body["validity"]["not_before"].native
        assert ours.not_after == body["validity"]["not_after"].native
        assert ours.spki == body["subject_public_key_info"].dump()
        assert ours.ca == bool(other.ca)
        assert ours.path_length == other.max_path_length
        usage = other.key_usage_value
        assert ours.key_usage == (None if usage is None else set(usage.native))
        assert {
            number: (extension.critical, extension.value)
            for number, extension in ours.extensions.items()
        } == {
            item["extn_id"].dotted: (item["critical"].native, bytes(item["extn_value"]))
            for item in body["extensions"]
        }
