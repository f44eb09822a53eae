import json
from enum import IntEnum, StrEnum
from types import MappingProxyType

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import FormatError
from mc2.formats.canonical import LARGEST_INTEGER, decode, encode

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(values)
def test_a_value_has_one_encoding_and_comes_back(value):
    raw = encode(value)
    assert decode(raw, 1 << 20, "test") == value
    assert encode(decode(raw, 1 << 20, "test")) == raw


def nested(characters):
    """Values of every kind whose texts, and the keys among them, have such characters."""
    texts = st.text(characters)
    return st.recursive(
        st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | texts,
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(texts, inner),
        max_leaves=20,
    )


@given(nested(st.characters(max_codepoint=127)) | values)
def test_the_encoding_is_that_of_rfc_8785(value):
    assert encode(value) == rfc8785.dumps(value)


def test_every_character_is_spelled_as_rfc_8785_does():
    ascii_alone = [chr(i) for i in range(128)]
    others = [chr(i) for i in (0x80, 0xFF, 0x2028, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF)]
    for found in (ascii_alone, ascii_alone + others):
        value = {c: [c, {c + c: c + "x" + c}] for c in reversed(found)}
        assert encode(value) == rfc8785.dumps(value)


def test_words_and_numbers_with_names_are_spelled_by_their_values():
    value = {StrEnum("Word", {"A": "a b"}).A: IntEnum("Number", {"ONE": 1}).ONE}
    assert encode(value) == b'{"a b":1}'


@given(values)
def test_other_spellings_are_refused(value):
    raw = encode(value)
    for other in (
        json.dumps(value, indent=1).encode(),
        json.dumps(value, ensure_ascii=True).encode(),
        raw + b" ",
        b" " + raw,
    ):
        if other != raw:
            with pytest.raises(FormatError):
                decode(other, 1 << 20, "test")


@given(st.binary(max_size=64))
def test_arbitrary_bytes_give_a_value_or_a_format_error(raw):
    try:
        value = decode(raw, 64, "test")
    except FormatError:
        return
    assert rfc8785.dumps(value) == raw


@given(st.floats())
def test_floats_have_no_form(number):
    with pytest.raises(FormatError):
        encode({"x": number})


@pytest.mark.parametrize(
    "value",
    [
        *(2**53, -(2**53), {1: 2}, {"x": b"bytes"}, {"x": object()}, "\ud800", {"\ud800": 1}),
        MappingProxyType({"x": 1}),
    ],
)
def test_what_has_no_form_is_refused(value):
    with pytest.raises(FormatError):
        encode(value)


def test_the_ceiling_applies_before_parsing():
    with pytest.raises(FormatError, match="larger than 10 bytes"):
        decode(b"[" * 1_000_000, 10, "test")


def test_many_small_items_are_refused_before_they_become_objects():
    raw = b"[" + b",".join([b"[]"] * 5_000_000) + b"]"
    with pytest.raises(FormatError, match="items"):
        decode(raw, len(raw), "test")


def test_deep_nesting_is_an_error_and_not_a_crash():
    with pytest.raises(FormatError):
        decode(b"[" * 100_000 + b"]" * 100_000, 1 << 20, "test")


def test_a_huge_number_is_never_converted():
    with pytest.raises(FormatError):
        decode(b"9" * 100_000, 1 << 20, "test")
