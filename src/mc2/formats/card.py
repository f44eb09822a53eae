"""A party's card: its public keys, signed by itself. Spec: docs/spec/card.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from mc2.crypto.digest import Digest, digest
from mc2.crypto.hpke import RECEIVING_PUBLIC_BYTES, ReceivingPublicKey
from mc2.crypto.signatures import VERIFY_KEY_BYTES, Signer, VerifyKey
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import Fields, to_base64
from mc2.formats.limits import LIMITS

TYPE: Final = "mc2/card/v1"
_ORGANISATION_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Card:
    """Who a party is: a short name, the organisation, the key that verifies, the key to seal to."""

    name: str
    organisation: str
    signing_key: VerifyKey
    receiving_key: ReceivingPublicKey

    def json(self) -> Json:
        """The card as canonical JSON has it."""
        return {
            "type": TYPE,
            "name": self.name,
            "organisation": self.organisation,
            "signing_key": to_base64(self.signing_key.raw),
            "receiving_key": to_base64(self.receiving_key.raw),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded card; its own signature is not looked at. Raises: FormatError."""
        fields = Fields(value, "a card")
        fields.type(TYPE)
        card = cls(
            fields.name("name"),
            fields.text("organisation", _ORGANISATION_LENGTH),
            VerifyKey(fields.base64("signing_key", VERIFY_KEY_BYTES)),
            ReceivingPublicKey(fields.base64("receiving_key", RECEIVING_PUBLIC_BYTES)),
        )
        fields.done()
        return card

    @property
    def digest(self) -> Digest:
        """The card's name."""
        return digest(encode(self.json()))

    @property
    def fingerprint(self) -> str:
        """What two people compare by telephone: 32 hex digits (128 bits) in groups of four."""
        short = self.digest.removeprefix("sha256:")[:32]
        return " ".join(short[i : i + 4] for i in range(0, len(short), 4))


@dataclass(frozen=True, slots=True)
class VerifiedCard:
    """A card whose holder has the signing key. Only `verify_card` makes one."""

    card: Card
    envelope: bytes


def sign_card(card: Card, signer: Signer) -> bytes:
    """The signed card, to be handed out."""
    return Envelope.sign(PayloadType.CARD, encode(card.json()), signer).encode()


def verify_card(raw: bytes) -> VerifiedCard:
    """Check that a card is signed by the key it names. Whose key that is, people must compare.

    Raises: FormatError, SignatureError.
    """
    envelope = Envelope.parse(raw, PayloadType.CARD, LIMITS.card_bytes)
    card = Card.read(decode(envelope.payload, LIMITS.card_bytes, "a card"))
    envelope.verify({card.name: card.signing_key})
    return VerifiedCard(card, raw)
