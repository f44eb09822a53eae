"""The grammar of a document, and everything that is none."""

from __future__ import annotations

from contextlib import suppress

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.nitro_hierarchy import MODULE, Nitro

from mc2.attestation.nitro.document import DOCUMENT_BYTES, parse_document
from mc2.errors import EvidenceError

GOOD = Nitro().document()


def refused(nitro: Nitro, match: str) -> None:
    with pytest.raises(EvidenceError, match=match):
        parse_document(nitro.document())


def test_fields_are_read() -> None:
    found = parse_document(GOOD)
    assert found.module_id == MODULE
    assert found.pcrs[1] == b"\x02" * 48
    assert len(found.pcrs) == 16
    assert len(found.authorities) == 4
    assert (found.user_data, found.nonce, found.public_key) == (b"u" * 64, b"n" * 32, None)
    assert cbor2.loads(found.signed)[0] == "Signature1"


def test_the_tag_is_optional_and_not_part_of_the_name() -> None:
    assert parse_document(b"\xd2" + GOOD).signed == parse_document(GOOD).signed
    for prefix in (b"\xd2\xd2", b"\xd1", b"\xd8\x12"):
        with pytest.raises(EvidenceError):
            parse_document(prefix + GOOD)


@pytest.mark.parametrize(
    "protected",
    [
        b"",
        b"\xa0",
        bytes.fromhex("a1013823"),
        bytes.fromhex("a10126"),
        bytes.fromhex("a201382204f6"),
    ],
)
def test_the_algorithm_is_es384_and_nothing_else(protected: bytes) -> None:
    refused(Nitro(protected=protected), "ES384")


def test_unprotected_headers_are_refused() -> None:
    refused(Nitro(unprotected={4: b"key"}), "ES384")


@pytest.mark.parametrize(
    "shell",
    [
        [b"\xa1\x01\x38\x22", {}, b"", b"s" * 95],
        [b"\xa1\x01\x38\x22", {}, b"", b"s" * 97],
        [b"\xa1\x01\x38\x22", {}, b""],
        [b"\xa1\x01\x38\x22", {}, b"", b"s" * 96, b""],
        [b"\xa1\x01\x38\x22", {}, None, b"s" * 96],
        [b"\xa1\x01\x38\x22", [], b"", b"s" * 96],
        {0: b"\xa1\x01\x38\x22"},
        b"\x84",
    ],
)
def test_other_shells_are_refused(shell: object) -> None:
    with pytest.raises(EvidenceError, match=r"COSE_Sign1|ES384|payload"):
        parse_document(cbor2.dumps(shell))


@pytest.mark.parametrize(
    "name", ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"]
)
def test_required_fields_are_required(name: str) -> None:
    refused(Nitro(dropped=(name,)), f"has no {name}")


@pytest.mark.parametrize("name", ["public_key", "user_data", "nonce"])
def test_optional_fields_are_optional(name: str) -> None:
    assert getattr(parse_document(Nitro(dropped=(name,)).document()), name) is None
    assert getattr(parse_document(Nitro(fields={name: b"x"}).document()), name) == b"x"


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("module_id", "", "not a name"),
        ("module_id", b"i-1", "not a name"),
        ("module_id", "x" * 257, "not a name"),
        ("module_id", "a\nb", "not a name"),
        ("digest", "SHA256", "another hash"),
        ("digest", None, "another hash"),
        ("timestamp", 0, "not a time"),
        ("timestamp", -1, "not a time"),
        ("timestamp", True, "not a time"),
        ("timestamp", 2**53, "not a time"),
        ("timestamp", "now", "not a time"),
        ("pcrs", {}, "no PCRs"),
        ("pcrs", [], "no PCRs"),
        ("pcrs", {32: bytes(48)}, "beyond 31"),
        ("pcrs", {-1: bytes(48)}, "beyond 31"),
        ("pcrs", {"0": bytes(48)}, "beyond 31"),
        ("pcrs", {0: bytes(32)}, "48 bytes"),
        ("pcrs", {0: "0" * 48}, "48 bytes"),
        ("certificate", b"", "odd size"),
        ("certificate", bytes(1025), "odd size"),
        ("certificate", None, "odd size"),
        ("cabundle", [], "list of 1 to 8"),
        ("cabundle", [b"x"] * 9, "list of 1 to 8"),
        ("cabundle", [b""], "odd size"),
        ("cabundle", b"x", "list of 1 to 8"),
        ("public_key", bytes(1025), "at most 1024"),
        ("user_data", bytes(513), "at most 512"),
        ("nonce", bytes(513), "at most 512"),
        ("nonce", "n", "at most 512"),
        ("other", b"", "not known"),
    ],
)
def test_odd_fields_are_refused(name: str, value: object, match: str) -> None:
    refused(Nitro(fields={name: value}), match)


def test_a_payload_is_a_map_that_fills_it() -> None:
    nitro = Nitro()
    for payload in (b"", b"\xf6", b"\x80", nitro.payload() + b"\x00", nitro.payload()[:-1]):
        with pytest.raises(EvidenceError):
            parse_document(nitro.document(payload))


def test_absurd_sizes_are_refused_unread() -> None:
    with pytest.raises(EvidenceError, match="larger than"):
        parse_document(bytes(DOCUMENT_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes) -> None:
    for prefix in (b"", b"\x84\x44\xa1\x01\x38\x22\xa0"):
        with pytest.raises(EvidenceError):
            parse_document(prefix + raw)


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=3))
def test_altered_documents_parse_or_are_refused(at: int, new: bytes) -> None:
    with suppress(EvidenceError):
        parse_document(GOOD[:at] + new + GOOD[at + 1 :])
