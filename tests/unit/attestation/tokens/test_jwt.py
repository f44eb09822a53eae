"""One token has one spelling."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.space_tokens import encoded

from mc2.attestation.tokens.jwt import TOKEN_BYTES, parse_token
from mc2.errors import EvidenceError

HEADER = encoded({"alg": "RS256", "typ": "JWT"})
PAYLOAD = encoded({"a": 1})
GOOD = HEADER + b"." + PAYLOAD + b"." + encoded(b"sig")


def test_the_parts_are_read() -> None:
    token = parse_token(GOOD)
    assert token.header == {"alg": "RS256", "typ": "JWT"}
    assert token.claims == {"a": 1}
    assert token.signature == b"sig"
    assert token.signed == HEADER + b"." + PAYLOAD


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "JWT"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": "RS384", "typ": "JWT"},
        {"alg": "rs256", "typ": "JWT"},
        {"alg": ["RS256"], "typ": "JWT"},
        {"typ": "JWT"},
        {"alg": "RS256"},
        {"alg": "RS256", "typ": "JOSE"},
    ],
)
def test_the_algorithm_is_fixed(header: dict) -> None:
    with pytest.raises(EvidenceError, match="RS256"):
        parse_token(encoded(header) + b"." + PAYLOAD + b".AA")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"..",
        b"a.b",
        HEADER + b"." + PAYLOAD,
        GOOD + b".AA",
        GOOD + b"=",
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b".", b" ."),
        HEADER + b"=." + PAYLOAD + b".AA",
        HEADER + b"." + PAYLOAD + b".A",
        HEADER + b"." + PAYLOAD + b".AB",  # two stray bits
        HEADER + b"." + PAYLOAD + b".A+",
        HEADER + b"." + PAYLOAD + b".A/",
        HEADER + b".\xff." + b"AA",
    ],
)
def test_other_spellings_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_token(raw)


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"1",
        b"null",
        b"",
        b"{",
        b'{"a":1}{}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":1.5}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":12345678901234567890}',
        b"\xff",
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_odd_json_is_refused(payload: bytes) -> None:
    with pytest.raises(EvidenceError, match=r"JSON|object"):
        parse_token(HEADER + b"." + encoded(payload) + b".AA")


def test_absurd_sizes_are_refused_unread() -> None:
    with pytest.raises(EvidenceError, match="larger than"):
        parse_token(b"." * (TOKEN_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes) -> None:
    for token in (raw, HEADER + b"." + raw, HEADER + b"." + base64.urlsafe_b64encode(raw) + b".A"):
        with pytest.raises(EvidenceError):
            parse_token(token)


@given(st.dictionaries(st.text(max_size=5), st.integers(-9, 9), max_size=4))
def test_claims_come_back(claims: dict) -> None:
    raw = HEADER + b"." + encoded(json.dumps(claims).encode()) + b".AA"
    assert parse_token(raw).claims == claims
