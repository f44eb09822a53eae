"""What no genuine document covers, on a synthetic AWS."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from tests.support.certificates import NOW, pin
from tests.support.nitro_hierarchy import LEAF, PATH, Nitro

from mc2.attestation.cbor import decode_cbor
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.nitro.verify import NitroVerifier
from mc2.errors import EvidenceError

SECOND = timedelta(seconds=1)


def verify(nitro: Nitro, at=NOW) -> VerifiedClaims:
    raw, pins = nitro.evidence()
    return NitroVerifier(roots=pins).verify(raw, at=at)


def refused(nitro: Nitro, match: str, at=NOW) -> None:
    with pytest.raises(EvidenceError, match=match):
        verify(nitro, at)


def path_but(place: int, **changes) -> tuple:
    return (*PATH[:place], PATH[place].but(**changes), *PATH[place + 1 :])


def test_a_right_document() -> None:
    claims = verify(Nitro(tagged=True))
    assert claims.debug is False
    assert claims.report_data == b"u" * 64
    assert claims.details["age_seconds"] == 2
    assert claims.platform_id == "instance:0123456789abcdef0"
    assert claims.valid_until == LEAF.window[1]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_zero_or_absent_code_register_is_debug(index: int) -> None:
    pcrs = dict(Nitro().pcrs)
    pcrs[index] = bytes(48)
    assert verify(Nitro(pcrs=pcrs)).debug
    del pcrs[index]
    assert verify(Nitro(pcrs=pcrs)).debug


def test_without_user_data_nothing_is_bound() -> None:
    assert verify(Nitro(fields={"user_data": None})).report_data == b""


def test_an_odd_module_names_no_machine() -> None:
    assert verify(Nitro(fields={"module_id": "something"})).platform_id == ""


@pytest.mark.parametrize("place", range(5))
def test_each_signature_in_the_path_counts(place: int) -> None:
    nitro = Nitro(path=path_but(place, signer="a stranger"))
    refused(nitro, "signature of .* is false")


def test_the_document_must_be_signed_by_the_leaf() -> None:
    refused(Nitro(signer="a stranger"), "signature of the Nitro document is false")


def test_another_root_is_refused() -> None:
    raw, _ = Nitro().evidence()
    _, pins = Nitro().evidence()
    for roots in (pins, pin(b"x"), ()):
        with pytest.raises(EvidenceError, match="not a root that is trusted"):
            NitroVerifier(roots=roots).verify(raw, at=NOW)


def test_the_bundle_has_an_order() -> None:
    bundle = decode_cbor(Nitro().payload(), "x")["cabundle"]
    swapped = [bundle[0], bundle[2], bundle[1], bundle[3]]
    refused(Nitro(fields={"cabundle": swapped}), "not issued by|is false|as long as")
    refused(Nitro(fields={"cabundle": bundle[1:]}), "may not|not issued by|false")


@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_authorities_must_be_authorities(place: int) -> None:
    refused(Nitro(path=path_but(place, usage=frozenset({"digital_signature"}))), "may not sign")
    refused(Nitro(path=path_but(place, ca=False, length=None)), "may not sign")


def test_path_lengths_are_kept() -> None:
    refused(Nitro(path=path_but(2, length=0)), "as long as this one")


def test_a_leaf_must_be_a_signer() -> None:
    refused(Nitro(path=path_but(0, usage=frozenset({"key_agreement"}))), "may not sign documents")
    refused(Nitro(path=path_but(0, usage=frozenset())), "may not sign documents")
    refused(Nitro(path=path_but(0, ca=True)), "certificate of an authority")


def test_only_p384_with_sha384_is_accepted() -> None:
    refused(Nitro(path=path_but(1, digest=hashes.SHA256())), "not allowed")


def test_a_document_is_dated_within_its_certificate() -> None:
    start, end = LEAF.window
    for moment in (start, end):
        verify(Nitro(timestamp=moment))
    for moment in (start - SECOND, end + SECOND):
        refused(Nitro(timestamp=moment), "dated outside")


def test_the_age_is_signed() -> None:
    assert verify(Nitro(timestamp=NOW + 90 * SECOND)).details["age_seconds"] == -90
    assert verify(Nitro(timestamp=NOW - 90 * SECOND)).details["age_seconds"] == 90
