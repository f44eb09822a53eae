"""The second lock on granted keys: it opens with its secret and its context, and its token shows it."""

from __future__ import annotations

import pytest

from mc2.crypto.activation import ActivationSecret, check_token, token_digest
from mc2.errors import CryptoError

SECRET = ActivationSecret(b"s" * 32)


def test_a_locked_key_opens_with_its_secret_and_context_alone() -> None:
    locked = SECRET.lock(b"k" * 32, b"for this")
    assert SECRET.unlock(locked, b"for this") == b"k" * 32
    for secret, raw, info in (
        (SECRET, locked, b"for that"),
        (ActivationSecret(b"t" * 32), locked, b"for this"),
        (SECRET, locked[:-1], b"for this"),
        (SECRET, bytes([locked[0] ^ 1]) + locked[1:], b"for this"),
        (SECRET, b"", b"for this"),
    ):
        with pytest.raises(CryptoError, match="does not open"):
            secret.unlock(raw, info)


def test_a_token_is_of_one_secret_and_opens_nothing() -> None:
    token = SECRET.token()
    check_token(token, token_digest(token))
    with pytest.raises(CryptoError, match="not the one"):
        check_token(ActivationSecret.generate().token(), token_digest(token))
    with pytest.raises(CryptoError):
        ActivationSecret(token).unlock(SECRET.lock(b"k" * 32, b"x"), b"x")


def test_secrets_have_one_size_and_are_in_no_text() -> None:
    with pytest.raises(CryptoError):
        ActivationSecret(b"s" * 31)
    assert "s" * 8 not in repr(SECRET)
    assert ActivationSecret.generate().raw != ActivationSecret.generate().raw
