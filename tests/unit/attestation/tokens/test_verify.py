"""What the genuine token does not cover, on a synthetic Google."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from tests.support.certificates import NOW
from tests.support.space_tokens import IMAGE, NONCE, Space, at, name_of, space_path

from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.tokens.maa import MaaVerifier
from mc2.attestation.tokens.verify import ConfidentialSpaceVerifier
from mc2.errors import EvidenceError


def verify(space: Space, moment=NOW) -> VerifiedClaims:
    raw, pins = space.evidence()
    return ConfidentialSpaceVerifier(roots=pins).verify(raw, at=moment)


def refused(space: Space, match: str, moment=NOW) -> None:
    with pytest.raises(EvidenceError, match=match):
        verify(space, moment)


def path_but(place: int, **changes) -> tuple:
    path = space_path()
    return (*path[:place], path[place].but(**changes), *path[place + 1 :])


def test_a_right_token() -> None:
    raw, pins = Space().evidence()
    claims = ConfidentialSpaceVerifier(roots=pins).verify(raw, at=NOW)
    assert claims.measurements == {"IMAGE_DIGEST": IMAGE}
    assert claims.report_data.hex() == NONCE
    assert claims.platform_id == "instance:123456789"
    assert claims.evidence_digest == name_of(raw)
    assert claims.valid_until == at(3590)
    assert claims.details["age_seconds"] == 10


@pytest.mark.parametrize(
    "status", ["enabled", "disabled", "disabled-since-boot ", "disabled-permanently"]
)
def test_anything_but_locked_since_boot_is_debug(status: str) -> None:
    assert verify(Space(changed={"dbgstat": status})).debug


@pytest.mark.parametrize(
    "nonce", [[], [NONCE, NONCE], "ab", NONCE.upper(), NONCE + "00", [NONCE[:-1]], "x" * 64]
)
def test_only_one_nonce_of_32_bytes_binds(nonce: object) -> None:
    claims = verify(Space(changed={"eat_nonce": nonce}))
    assert claims.report_data == b""
    assert claims.details["nonces"] == ([nonce] if isinstance(nonce, str) else nonce)


def test_a_single_nonce_may_stand_in_a_list() -> None:
    assert verify(Space(changed={"eat_nonce": [NONCE]})).report_data.hex() == NONCE


def test_lists_that_are_not_there_are_empty() -> None:
    claims = verify(
        Space(dropped=("google_service_accounts", "submods/container/args", "tdx", "eat_nonce"))
    )
    assert claims.details["service_accounts"] == []
    assert claims.details["arguments"] == []
    assert claims.details["tcb_status"] is None
    assert claims.report_data == b""


@pytest.mark.parametrize(
    ("where", "value", "match"),
    [
        ("iss", "https://confidentialcomputing.googleapis.com/", "not issued by Google"),
        ("iss", 1, "iss of the token"),
        ("swname", "GCE", "not for a Confidential Space"),
        ("submods", [], "submods of the token"),
        ("submods/container", None, "container of submods"),
        ("submods/container/image_digest", "sha256:" + "AB" * 32, "not named by a SHA-256"),
        ("submods/container/image_digest", "sha512:" + "ab" * 64, "not named by a SHA-256"),
        ("submods/container/args", "x", "args of container"),
        ("submods/container/args", [1], "item of args"),
        ("submods/container/env", {"A": 1}, "item of env"),
        ("submods/container/env", [], "env of container"),
        ("submods/gce/instance_id", 5, "instance_id of gce"),
        ("iat", -1, "is not a time"),
        ("iat", True, "is not a time"),
        ("iat", "1", "absent or of an odd type"),
        ("exp", 2**52, "is not a time"),
        ("secboot", "true", "absent or of an odd type"),
        ("hwmodel", None, "absent or of an odd type"),
        ("eat_nonce", 5, "is not a list"),
        ("tdx", "UpToDate", "absent or of an odd type"),
    ],
)
def test_odd_claims_are_refused(where: str, value: object, match: str) -> None:
    refused(Space(changed={where: value}), match)


@pytest.mark.parametrize(
    "name",
    ["iss", "aud", "iat", "nbf", "exp", "swname", "hwmodel", "dbgstat", "secboot", "submods"],
)
def test_claims_that_rules_look_at_are_required(name: str) -> None:
    refused(Space(dropped=(name,)), f"{name} of the token is absent")


def test_time_has_three_edges() -> None:
    issued = int(NOW.timestamp())
    for name in ("iat", "nbf"):
        verify(Space(changed={name: issued}))
        refused(Space(changed={name: issued + 1}), "is good from")
    verify(Space(changed={"exp": issued}))
    refused(Space(changed={"exp": issued - 1}), "is good from")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_signature_in_the_path_counts(place: int) -> None:
    stranger = space_path()[(place + 1) % 3].key
    path = path_but(place)
    below = [link if n != place else replace(link, key=stranger) for n, link in enumerate(path)]
    with pytest.raises(EvidenceError):
        verify(Space(path=tuple(below), signer="root"))


def test_the_token_must_be_signed_by_the_leaf() -> None:
    refused(Space(signer="authority"), "signature of the token is false")


def test_another_root_is_refused() -> None:
    raw, _ = Space().evidence()
    _, pins = Space(path=path_but(2, length=5)).evidence()
    with pytest.raises(EvidenceError, match="not a root that is trusted"):
        ConfidentialSpaceVerifier(roots=pins).verify(raw, at=NOW)


def test_a_leaf_must_be_a_signer() -> None:
    verify(Space(path=path_but(0, usage=frozenset({"digital_signature"}))))
    refused(Space(path=path_but(0, usage=frozenset({"key_agreement"}))), "may not sign tokens")
    refused(Space(path=path_but(0, ca=True)), "certificate of an authority")
    refused(Space(path=path_but(1, ca=False)), "may not sign certificates")


def test_other_hashes_are_refused() -> None:
    refused(Space(path=path_but(0, digest=hashes.SHA384())), "not allowed")


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ({"crit": ["b64"]}, "not known"),
        ({"jku": "https://example"}, "not known"),
        ({"jwk": {}}, "not known"),
        ({"x5c": []}, "does not carry"),
        ({"x5c": ["AA=="]}, "does not carry"),
        ({"x5c": ["AA=="] * 9}, "does not carry"),
        ({"x5c": ["AA", "AA"]}, "base64"),
        ({"x5c": ["AB==", "AA=="]}, "spelling"),
        ({"x5c": ["AA==", "AA=="]}, "does not decode"),
        ({"x5c": "AA=="}, "is not a list"),
    ],
)
def test_odd_headers_are_refused(header: dict, match: str) -> None:
    refused(Space(header=header), match)


def test_kind_and_endorsements_must_be_ours() -> None:
    raw, pins = Space().evidence()
    verifier = ConfidentialSpaceVerifier(roots=pins)
    with pytest.raises(EvidenceError, match="not a Confidential Space token"):
        verifier.verify(replace(raw, kind="azure-maa/v1"), at=NOW)
    with pytest.raises(EvidenceError, match="nothing comes with it"):
        verifier.verify(replace(raw, endorsements={"jwks": b"{}"}), at=NOW)


def test_azure_tokens_never_pass() -> None:
    raw, _ = Space(
        header={"jku": "https://example"}, changed={"x-ms-attestation-type": "sevsnpvm"}
    ).evidence()
    with pytest.raises(EvidenceError, match="not verified by mc2"):
        MaaVerifier().verify(replace(raw, kind="azure-maa/v1"), at=NOW)
