import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import digest, digest_bytes, parse_digest, same_digest
from mc2.crypto.hpke import RECEIVING_PUBLIC_BYTES, ReceivingPublicKey
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.crypto.secret import (
    DataKey,
    ReceivingKey,
    SigningKey,
    lock_with_passphrase,
    unlock_with_passphrase,
)
from mc2.crypto.signatures import VerifyKey
from mc2.errors import CryptoError, FormatError, SignatureError


def test_rfc_8032_test_1_signature():
    key = SigningKey(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    assert key.public.raw.hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a")


def test_a_signature_is_for_one_message_and_one_key():
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign(b"message")
    key.public.verify(signature, b"message")
    with pytest.raises(SignatureError):
        key.public.verify(signature, b"massage")
    with pytest.raises(SignatureError):
        other.public.verify(signature, b"message")
    with pytest.raises(SignatureError):
        key.public.verify(signature[:-1], b"message")


def test_sealed_bytes_open_with_the_same_key_and_info_only():
    key, other = ReceivingKey.generate(), ReceivingKey.generate()
    sealed = key.public.seal(b"a key", b"info")
    assert key.open(sealed, b"info") == b"a key"
    for holder, ciphertext, info in (
        (key, sealed, b"other info"),
        (other, sealed, b"info"),
        (key, sealed[:-1], b"info"),
        (key, bytes([sealed[0] ^ 1]) + sealed[1:], b"info"),
        (key, b"", b"info"),
    ):
        with pytest.raises(CryptoError):
            holder.open(ciphertext, info)


def test_private_keys_come_back_from_their_bytes():
    receiving, signing = ReceivingKey.generate(), SigningKey.generate()
    assert ReceivingKey(receiving.private_bytes()).public == receiving.public
    assert SigningKey(signing.private_bytes()).public == signing.public


def test_no_key_shows_itself():
    for key in (SigningKey(b"\x01" * 32), ReceivingKey(b"\x02" * 96), DataKey(b"\x03" * 32)):
        text = repr(key)
        assert "\\x0" not in text
        assert "0101" not in text.split()[-1] or isinstance(key, SigningKey)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_have_one_length(size):
    for kind in (SigningKey, VerifyKey, ReceivingKey, ReceivingPublicKey):
        with pytest.raises(FormatError):
            kind(b"\x01" * size)
    with pytest.raises(CryptoError):
        DataKey(b"\x01" * size)


def test_an_impossible_receiving_key_is_refused():
    with pytest.raises(FormatError):
        ReceivingPublicKey(b"\xff" * RECEIVING_PUBLIC_BYTES)


def test_a_closed_data_key_is_wiped():
    with DataKey.generate() as key:
        view = key.raw
        assert any(view)
    assert not any(view)
    assert len(key.raw) == 0


def test_a_commitment_binds_and_is_not_the_key():
    one, two = DataKey(b"\x01" * 32), DataKey(b"\x02" * 32)
    assert one.commitment() != two.commitment()
    assert one.commitment() == DataKey(b"\x01" * 32).commitment()
    assert one.commitment() != bytes(one.raw).hex()


def test_passphrase_round_trip_and_refusal():
    salt, locked = lock_with_passphrase(b"secret", "correct horse")
    assert unlock_with_passphrase(salt, locked, "correct horse") == b"secret"
    with pytest.raises(CryptoError):
        unlock_with_passphrase(salt, locked, "correct horsf")
    with pytest.raises(CryptoError):
        unlock_with_passphrase(bytes(16), locked, "correct horse")


@given(st.binary(max_size=200), st.integers(0, 2**40), st.binary(max_size=50))
def test_chunks_open_at_their_number_and_context_only(plaintext, number, associated):
    cipher = ChunkCipher(b"\x07" * 32)
    sealed = cipher.seal(number, plaintext, associated)
    assert cipher.open(number, sealed, associated) == plaintext
    out = bytearray(len(plaintext) + 16)
    assert cipher.seal_into(number, memoryview(plaintext), associated, memoryview(out)) == len(out)
    assert bytes(out) == sealed
    for wrong in (
        (number + 1, sealed, associated),
        (number, sealed, associated + b"x"),
        (number, sealed[:-1], associated),
    ):
        with pytest.raises(CryptoError):
            cipher.open(*wrong)
    with pytest.raises(CryptoError):
        ChunkCipher(b"\x08" * 32).open(number, sealed, associated)


def test_labels_are_distinct_and_prefix_free():
    values = [label.prefix() for label in Label]
    assert len(set(values)) == len(values)
    assert not any(a != b and b.startswith(a) for a in values for b in values)
    assert all(derive(b"k" * 32, a) != derive(b"k" * 32, b) for a in Label for b in Label if a != b)


def test_digests_have_one_spelling():
    name = digest(b"x")
    assert parse_digest(name) == name
    assert len(digest_bytes(name)) == 32
    assert same_digest(name, digest(b"x"))
    assert not same_digest(name, digest(b"y"))
    for wrong in (name.upper(), name[:-1], name + "0", name + "\n", "md5:" + "0" * 32, ""):
        with pytest.raises(FormatError):
            parse_digest(wrong)
