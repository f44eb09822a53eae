"""The genuine tokens: one verifies at its time, one can only be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.vectors import VECTORS, expected, needs_vectors

from mc2.attestation.claims import Tier
from mc2.attestation.folder import load_case
from mc2.attestation.roots import CONFIDENTIAL_SPACE_ROOTS, GOOGLE_VTPM_ROOTS
from mc2.attestation.tokens.jwt import parse_token
from mc2.attestation.tokens.maa import MaaVerifier, parse_maa_token
from mc2.attestation.tokens.verify import ConfidentialSpaceVerifier, verify_space_token
from mc2.errors import EvidenceError

pytestmark = needs_vectors

CASE = "jwt-gcp-confidential-space"
SECOND = timedelta(seconds=1)
UNSIGNED: frozenset[int] = frozenset()


def test_the_claims_of_a_genuine_token_are_exact() -> None:
    raw, at = load_case(VECTORS / CASE)
    want = expected(CASE)
    claims = ConfidentialSpaceVerifier().verify(raw, at=at)
    assert (claims.kind, claims.tier) == (
        "google-confidential-space/v1", Tier.PROVIDER_ATTESTED,
    )  # fmt: skip
    assert claims.measurements == {"IMAGE_DIGEST": want["image_digest"].removeprefix("sha256:")}
    assert claims.report_data.hex() == want["eat_nonce"]
    assert claims.details["debug_status"] == want["dbgstat"]
    assert claims.debug is False
    assert claims.details["age_seconds"] == int(at.timestamp()) - want["iat"]
    assert claims.valid_until.timestamp() == want["exp"]
    assert claims.details["hardware"] == "GCP_INTEL_TDX"
    assert claims.details["support"] == ["LATEST", "STABLE", "USABLE"]
    assert claims.details["tcb_status"] == "UpToDate"


def test_time_is_swept_over_both_edges() -> None:
    raw, at = load_case(VECTORS / CASE)
    want = expected(CASE)
    start = at + timedelta(seconds=want["iat"] - at.timestamp())
    end = at + timedelta(seconds=want["exp"] - at.timestamp())
    for moment in (start, start + SECOND, end - SECOND, end):
        ConfidentialSpaceVerifier().verify(raw, at=moment)
    for moment in (start - SECOND, end + SECOND):
        with pytest.raises(EvidenceError, match="is good from"):
            ConfidentialSpaceVerifier().verify(raw, at=moment)
    for days in (-400, 400, 4000):
        with pytest.raises(EvidenceError, match=r"not valid before|ended on"):
            ConfidentialSpaceVerifier().verify(raw, at=at + timedelta(days=days))


def test_a_flip_in_any_byte_is_refused() -> None:
    raw, at = load_case(VECTORS / CASE)
    found = set()
    for position in range(len(raw.evidence)):
        changed = bytearray(raw.evidence)
        changed[position] ^= 1 << position % 7
        try:
            token = parse_token(bytes(changed))
            verify_space_token(token, roots=CONFIDENTIAL_SPACE_ROOTS, at=at)
        except EvidenceError:
            continue
        found.add(position)
    assert found == UNSIGNED


@pytest.mark.parametrize("extra", [b"\n", b"=", b".", b" ", b"\x00"])
def test_bytes_behind_a_token_are_refused(extra: bytes) -> None:
    raw, at = load_case(VECTORS / CASE)
    with pytest.raises(EvidenceError):
        ConfidentialSpaceVerifier().verify(replace(raw, evidence=raw.evidence + extra), at=at)


def test_roots_of_others_are_not_roots() -> None:
    raw, at = load_case(VECTORS / CASE)
    for roots in (GOOGLE_VTPM_ROOTS, ()):
        with pytest.raises(EvidenceError, match="not a root that is trusted"):
            ConfidentialSpaceVerifier(roots=roots).verify(raw, at=at)


def test_an_azure_token_is_read_and_never_verified() -> None:
    raw, at = load_case(VECTORS / "jwt-azure-maa-parse-only")
    assert (raw.kind, at) == ("azure-maa/v1", None)
    token = parse_maa_token(raw.evidence)
    assert token.claims["x-ms-attestation-type"] == "sevsnpvm"
    assert token.claims["x-ms-sevsnpvm-is-debuggable"] is False
    _, moment = load_case(VECTORS / CASE)
    with pytest.raises(EvidenceError, match="not verified by mc2"):
        MaaVerifier().verify(raw, at=moment)


def test_tokens_do_not_pass_for_each_other() -> None:
    space, at = load_case(VECTORS / CASE)
    azure, _ = load_case(VECTORS / "jwt-azure-maa-parse-only")
    with pytest.raises(EvidenceError, match="not one of Microsoft"):
        parse_maa_token(space.evidence)
    with pytest.raises(EvidenceError, match="not issued by Google"):
        ConfidentialSpaceVerifier().verify(replace(space, evidence=azure.evidence), at=at)
