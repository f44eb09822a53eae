"""MakeCredential: opens for one endorsement key and one name, and for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.tpm_quotes import activate, ec_key, rsa_key, spki

from mc2.attestation.tpm.credential import Credential, kdfa, make_credential
from mc2.errors import EvidenceError

EK = spki(rsa_key("ek"))
NAME = b"\0\x0b" + b"a" * 32
SEED = bytes(range(32))


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=1, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_secret_comes_out(secret: bytes, seed: bytes) -> None:
    assert activate("ek", NAME, make_credential(EK, NAME, secret, seed)) == secret


def test_another_name_or_key_does_not_open_it() -> None:
    credential = make_credential(EK, NAME, b"s" * 32, SEED)
    with pytest.raises(ValueError, match="integrity"):
        activate("ek", NAME[:-1] + b"b", credential)
    with pytest.raises(ValueError):
        activate("another ek", NAME, credential)


def test_no_byte_of_it_can_change() -> None:
    credential = make_credential(EK, NAME, b"s" * 32, SEED)
    for at in range(2, len(credential.blob)):
        blob = credential.blob[:at] + bytes([credential.blob[at] ^ 1]) + credential.blob[at + 1 :]
        with pytest.raises(ValueError):
            activate("ek", NAME, Credential(blob, credential.encrypted_seed))


def test_the_blob_depends_on_seed_name_and_secret_alone() -> None:
    def blob(name: bytes, secret: bytes, seed: bytes) -> bytes:
        return make_credential(EK, name, secret, seed).blob

    first = blob(NAME, b"s" * 32, SEED)
    assert blob(NAME, b"s" * 32, SEED) == first
    others = {
        blob(NAME[::-1], b"s" * 32, SEED),
        blob(NAME, b"t" * 32, SEED),
        blob(NAME, b"s" * 32, SEED[::-1]),
    }
    assert first not in others
    assert len(others) == 3


@pytest.mark.parametrize(("secret", "seed"), [(b"", SEED), (b"s" * 33, SEED), (b"s", SEED[:31])])
def test_sizes_are_checked(secret: bytes, seed: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        make_credential(EK, NAME, secret, seed)


@pytest.mark.parametrize("key", [spki(ec_key("ek")), b"", b"noise"])
def test_only_rsa_2048_endorsement_keys_are_supported(key: bytes) -> None:
    with pytest.raises(EvidenceError, match="not RSA-2048") as caught:
        make_credential(key, NAME, b"s" * 32, SEED)
    assert "0x01C00002" in caught.value.hint


def test_kdfa_is_one_block() -> None:
    assert len(kdfa(SEED, b"STORAGE", NAME, 128)) == 16
    assert kdfa(SEED, b"STORAGE", NAME, 128) != kdfa(SEED, b"STORAGE", NAME, 256)[:16]
    for bits in (257, 512, 12):
        with pytest.raises(ValueError, match="one block"):
            kdfa(SEED, b"STORAGE", NAME, bits)
