"""A party's identity: what it signs with, what others seal to, what its data keys come from.

One file, mode 0600, made once and never overwritten. Spec: docs/spec/identity.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mc2.client.durable import create_file, read_secret_file
from mc2.crypto.digest import digest_bytes
from mc2.crypto.kdf import KEY_BYTES
from mc2.crypto.secret import (
    SALT_BYTES,
    ReceivingKey,
    SigningKey,
    lock_with_passphrase,
    unlock_with_passphrase,
)
from mc2.errors import FormatError, UsageError
from mc2.formats.canonical import decode, encode
from mc2.formats.card import Card, sign_card
from mc2.formats.fields import Fields, check_name, to_base64

TYPE: Final = "mc2/identity/v1"
PROTECTIONS: Final = ("none", "passphrase")

_DIGEST_BYTES: Final = 32
_SIGNING_BYTES: Final = 32
_RECEIVING_BYTES: Final = 96
_SECRET_BYTES: Final = _DIGEST_BYTES + _SIGNING_BYTES + _RECEIVING_BYTES + KEY_BYTES
_TAG_BYTES: Final = 16
_FILE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A party's private keys and its card.

    `master` is the 32-byte secret from which the key of every dataset version is derived; it
    never leaves this machine, and no data key tells anything about another.
    """

    card: Card
    signing: SigningKey
    receiving: ReceivingKey
    master: bytearray

    @classmethod
    def generate(cls, name: str, organisation: str) -> Self:
        """Make fresh keys for a party. Raises: FormatError for a bad name."""
        signing, receiving = SigningKey.generate(), ReceivingKey.generate()
        card = Card(check_name(name, "the party"), organisation, signing.public, receiving.public)
        return cls(card, signing, receiving, bytearray(secrets.token_bytes(KEY_BYTES)))

    @property
    def name(self) -> str:
        """The party's short name."""
        return self.card.name

    def signed_card(self) -> bytes:
        """The card to hand out."""
        return sign_card(self.card, self.signing)

    def close(self) -> None:
        """Overwrite the master secret; the rest dies with the process."""
        self.master[:] = bytes(len(self.master))

    def __repr__(self) -> str:
        return f"<Identity {self.name}>"


def store_identity(identity: Identity, path: Path, passphrase: str | None = None) -> None:
    """Write an identity, under a passphrase if there is one.

    Raises: UsageError where there already is a file: its keys may be all that opens a result.
    """
    secret = _secret(identity)
    salt, kept = b"", secret
    if passphrase is not None:
        if not passphrase:
            raise UsageError("an empty passphrase protects nothing", hint="give one, or none")
        salt, kept = lock_with_passphrase(secret, passphrase)
    raw = encode(
        {
            "type": TYPE,
            "card": identity.card.json(),
            "protection": PROTECTIONS[passphrase is not None],
            "salt": to_base64(salt),
            "secret": to_base64(kept),
        }
    )
    try:
        create_file(path, raw)
    except FileExistsError:
        raise UsageError(
            f"{path} exists; an identity is never overwritten",
            hint="use the identity that is there, or another home (--home, MC2_HOME)",
        ) from None


def load_identity(path: Path, ask_passphrase: Callable[[], str] | None = None) -> Identity:
    """Read an identity; `ask_passphrase` is called only if the file is locked.

    Raises: UsageError if it is missing, open to others, or locked and nobody can be asked;
    FormatError, CryptoError.
    """
    try:
        raw = read_secret_file(path, _FILE_BYTES)
    except FileNotFoundError:
        raise UsageError(
            f"there is no identity at {path}", hint="make one: mc2 init NAME"
        ) from None
    fields = Fields(decode(raw, _FILE_BYTES, "an identity"), "an identity")
    fields.type(TYPE)
    card = Card.read(fields.value("card"))
    protection = fields.choice("protection", PROTECTIONS)
    salt = fields.base64("salt", SALT_BYTES)
    kept = fields.base64("secret", _SECRET_BYTES + _TAG_BYTES)
    fields.done()
    if protection == "none":
        if salt:
            raise FormatError("an identity without a passphrase has no salt")
        return _identity(card, kept)
    if len(salt) != SALT_BYTES:
        raise FormatError(f"the salt of an identity has {SALT_BYTES} bytes")
    if ask_passphrase is None:
        raise UsageError(
            f"the identity {card.name} is locked with a passphrase",
            hint="run this where you can type it, or give it in MC2_PASSPHRASE",
        )
    return _identity(card, unlock_with_passphrase(salt, kept, ask_passphrase()))


def _secret(identity: Identity) -> bytes:
    """The secret part: the card's digest, then the private keys, then the master secret.

    The digest stands inside, under the passphrase, so that nobody renames a locked identity.
    """
    return (
        digest_bytes(identity.card.digest)
        + identity.signing.private_bytes()
        + identity.receiving.private_bytes()
        + bytes(identity.master)
    )


def _identity(card: Card, secret: bytes) -> Identity:
    if len(secret) != _SECRET_BYTES:
        raise FormatError(f"the secret part of an identity has {_SECRET_BYTES} bytes")
    signing_at = _DIGEST_BYTES
    receiving_at = signing_at + _SIGNING_BYTES
    master_at = receiving_at + _RECEIVING_BYTES
    signing = SigningKey(secret[signing_at:receiving_at])
    receiving = ReceivingKey(secret[receiving_at:master_at])
    if (
        secret[:signing_at] != digest_bytes(card.digest)
        or signing.public != card.signing_key
        or receiving.public != card.receiving_key
    ):
        raise FormatError("the card in an identity is not that of its keys: the file was altered")
    return Identity(card, signing, receiving, bytearray(secret[master_at:]))
