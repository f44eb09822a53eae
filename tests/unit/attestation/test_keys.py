"""Signature schemes: the right one passes, and nothing else of the key does."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.amd_hierarchy import PSS, rsa_key

from mc2.attestation.keys import Scheme, ecdsa_signature, verify_signature
from mc2.errors import EvidenceError

MESSAGE = b"a report"
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ECDSA = {
    Scheme.ECDSA_P256_SHA256: (P256, hashes.SHA256()),
    Scheme.ECDSA_P384_SHA384: (P384, hashes.SHA384()),
}
RSA = {
    Scheme.RSA_PSS_SHA384: (PSS, hashes.SHA384()),
    Scheme.RSA_PKCS1_SHA256: (padding.PKCS1v15(), hashes.SHA256()),
    Scheme.RSA_PKCS1_SHA384: (padding.PKCS1v15(), hashes.SHA384()),
    Scheme.RSA_PKCS1_SHA512: (padding.PKCS1v15(), hashes.SHA512()),
}


def spki(key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signed(scheme: Scheme) -> tuple[bytes, bytes]:
    if scheme in ECDSA:
        key, digest = ECDSA[scheme]
        return spki(key), key.sign(MESSAGE, ec.ECDSA(digest))
    key = rsa_key("keys", 2048)
    return spki(key), key.sign(MESSAGE, *RSA[scheme])


@pytest.mark.parametrize("made", Scheme)
@pytest.mark.parametrize("claimed", Scheme)
def test_a_signature_passes_by_its_own_scheme_only(made: Scheme, claimed: Scheme) -> None:
    key, signature = signed(made)
    if made is claimed:
        verify_signature(key, claimed, signature, MESSAGE, what="it")
        with pytest.raises(EvidenceError, match="signature of it is false"):
            verify_signature(key, claimed, signature, MESSAGE + b".", what="it")
    else:
        with pytest.raises(EvidenceError):
            verify_signature(key, claimed, signature, MESSAGE, what="it")


def test_a_curve_belongs_to_its_scheme() -> None:
    signature = P256.sign(MESSAGE, ec.ECDSA(hashes.SHA384()))
    with pytest.raises(EvidenceError, match="does not fit ecdsa-p384-sha384"):
        verify_signature(spki(P256), Scheme.ECDSA_P384_SHA384, signature, MESSAGE, what="it")


def test_small_rsa_keys_do_not_fit() -> None:
    key, signature = signed(Scheme.RSA_PSS_SHA384)
    with pytest.raises(EvidenceError, match="does not fit"):
        verify_signature(
            key, Scheme.RSA_PSS_SHA384, signature, MESSAGE, what="it", least_rsa_bits=4096
        )


def test_other_keys_do_not_fit() -> None:
    other = spki(ed25519.Ed25519PrivateKey.generate())
    for scheme in Scheme:
        with pytest.raises(EvidenceError, match="does not fit"):
            verify_signature(other, scheme, b"", MESSAGE, what="it")
    with pytest.raises(EvidenceError, match="does not decode"):
        verify_signature(other[:-1], Scheme.ECDSA_P256_SHA256, b"", MESSAGE, what="it")


def test_the_two_numbers_of_a_signature_join() -> None:
    raw = P384.sign(MESSAGE, ec.ECDSA(hashes.SHA384()))
    r, s = decode_dss_signature(raw)
    assert ecdsa_signature(r, s) == raw
    for pair in ((0, 0), (r, 0), (0, s), (s, r), (r, s + 1), (1 << 384, s), (1 << 500, s)):
        with pytest.raises(EvidenceError):
            verify_signature(
                spki(P384), Scheme.ECDSA_P384_SHA384, ecdsa_signature(*pair), MESSAGE, what="it"
            )
