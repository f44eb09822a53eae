"""Certificates in PEM, in one spelling."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.attestation.pem import join_pem, split_pem
from mc2.errors import EvidenceError

ONE, TWO = bytes(range(256)) * 3, b"\x01" * 47
PEM = join_pem((ONE, TWO))


def test_a_chain_comes_back() -> None:
    assert split_pem(PEM, "it", most=2) == (ONE, TWO)


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4))
def test_every_chain_comes_back(chain: list[bytes]) -> None:
    assert split_pem(join_pem(chain), "it", most=4) == tuple(chain)


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n\n"])
def test_line_feeds_may_follow(end: bytes) -> None:
    assert split_pem(PEM.rstrip(b"\n") + end, "it", most=2) == (ONE, TWO)


def test_a_chain_has_a_ceiling() -> None:
    with pytest.raises(EvidenceError, match="more than 1"):
        split_pem(PEM, "it", most=1)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n" + PEM,
        PEM + b" ",
        PEM + b"\0",
        PEM.replace(b"\n", b"\r\n"),
        PEM.replace(b"-----BEGIN", b"x-----BEGIN"),
        PEM.replace(b"CERTIFICATE", b"X509 CRL"),
        PEM.replace(b"=\n", b"\n"),
        PEM.replace(b"-----\n-----BEGIN", b"-----\n\n-----BEGIN"),
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(ONE) + b"\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----\n",  # unused bits set
        b"-----BEGIN CERTIFICATE-----\nAA=A\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    ],
)
def test_other_spellings_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        split_pem(raw, "it", most=4)


def test_one_certificate_has_a_ceiling() -> None:
    with pytest.raises(EvidenceError, match="larger"):
        split_pem(join_pem((bytes(70_000),)), "it", most=1)


@given(st.integers(0, len(PEM) - 1), st.integers(1, 255))
def test_every_changed_byte_changes_the_chain(at: int, change: int) -> None:
    raw = PEM[:at] + bytes([PEM[at] ^ change]) + PEM[at + 1 :]
    with suppress(EvidenceError):
        assert split_pem(raw, "it", most=2) != (ONE, TWO)
