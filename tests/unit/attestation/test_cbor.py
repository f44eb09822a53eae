"""The small CBOR reader agrees with a large one on what it takes, and takes little."""

from __future__ import annotations

from contextlib import suppress

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.attestation.cbor import decode_cbor, encode_cbor
from mc2.errors import EvidenceError

KEYS = st.one_of(st.integers(-(2**64), 2**64 - 1), st.text(max_size=8))
VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**64), 2**64 - 1), st.binary(max_size=300), st.text(max_size=30),
        st.booleans(), st.none(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_values_are_written_and_read_as_elsewhere(value: object) -> None:
    raw = cbor2.dumps(value)
    assert encode_cbor(value) == raw
    with suppress(EvidenceError):  # nested deeper than documents do
        assert decode_cbor(raw, "it") == value


@given(st.binary(max_size=60))
def test_what_is_read_has_one_spelling(raw: bytes) -> None:
    try:
        value = decode_cbor(raw, "it")
    except EvidenceError:
        return
    assert encode_cbor(value) == raw
    assert cbor2.loads(raw) == value


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        ("", "ends too early"),
        ("1800", "shortest"),
        ("1817", "shortest"),
        ("1900ff", "shortest"),
        ("1a0000ffff", "shortest"),
        ("1b00000000ffffffff", "shortest"),
        ("5801", "shortest"),
        ("5f4101ff", "indefinite"),
        ("9fff", "indefinite"),
        ("bfff", "indefinite"),
        ("ff", "indefinite"),
        ("1c", "indefinite"),
        ("c000", "tag"),
        ("c5821a0000ffff01", "tag"),
        ("d2f6", "tag"),
        ("f7", "tag"),
        ("f818", "tag"),
        ("f97e00", "tag"),
        ("fb3ff0000000000000", "tag"),
        ("0000", "too many"),
        ("a2010001f6", "stands twice"),
        ("a1f400", "is odd"),
        ("a1410000", "is odd"),
        ("a18000", "is odd"),
        ("62c328", "not UTF-8"),
        ("5bffffffffffffffff", "ends too early"),
        ("9bffffffffffffffff", "ends too early"),
        ("bbffffffffffffffff", "ends too early"),
        ("81" * 9 + "00", "deeper"),
    ],
)
def test_other_spellings_and_types_are_refused(raw: str, match: str) -> None:
    with pytest.raises(EvidenceError, match=match):
        decode_cbor(bytes.fromhex(raw), "it")


def test_integers_have_64_bits() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        encode_cbor(2**64)
