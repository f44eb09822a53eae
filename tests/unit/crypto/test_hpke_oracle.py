"""HPKE against an independent implementation and RFC 9180, for the suite both know.

No second implementation of the hybrid KEM is at hand; its composition is exercised by
`test_secret.py`, and X25519 with the same key schedule is compared here.
"""

import pyhpke
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


def _ours():
    return hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _theirs():
    return pyhpke.CipherSuite.new(
        pyhpke.KEMId.DHKEM_X25519_HKDF_SHA256, pyhpke.KDFId.HKDF_SHA256, pyhpke.AEADId.AES256_GCM
    )


def test_both_directions_agree_with_pyhpke():
    private = X25519PrivateKey.generate()
    public = private.public_key()
    their_private = pyhpke.KEMKey.from_pyca_cryptography_key(private)
    their_public = pyhpke.KEMKey.from_pyca_cryptography_key(public)

    enc, sender = _theirs().create_sender_context(their_public, info=b"info")
    assert _ours().decrypt(enc + sender.seal(b"there"), private, b"info") == b"there"

    sealed = _ours().encrypt(b"back", public, b"info")
    recipient = _theirs().create_recipient_context(sealed[:32], their_private, info=b"info")
    assert recipient.open(sealed[32:]) == b"back"


def test_rfc_9180_appendix_a_1_1_opens():
    """A.1.1 (X25519, HKDF-SHA256, AES-128-GCM), base mode, first message, without its AAD.

    The vector's ciphertexts carry associated data, which this single-shot API has not; so the
    derivation of the key pair is what is compared: skRm must give pkRm.
    """
    private = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    )
    assert private.public_key().public_bytes_raw().hex() == (
        "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"
    )
