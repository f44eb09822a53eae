"""Signed objects: DSSE envelopes (Dead Simple Signing Envelope, version 1.0.2).

All signatures of mc2 are over DSSE's pre-authentication encoding, so a signature is bound to the
type of what it signs and can never be moved to an object of another type. The envelope itself is
canonical JSON. Spec: docs/spec/envelope.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from mc2.crypto.digest import Digest, digest
from mc2.crypto.signatures import SIGNATURE_BYTES, Signer, VerifyKey
from mc2.errors import FormatError, SignatureError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, check_sorted_unique, to_base64
from mc2.formats.limits import LIMITS


class PayloadType:
    """The DSSE payload types in use."""

    CARD: Final = "application/vnd.mc2.card.v1+json"
    CONTRACT: Final = "application/vnd.mc2.contract.v1+json"
    MANIFEST: Final = "application/vnd.mc2.manifest.v1+json"
    PROPOSAL: Final = "application/vnd.mc2.proposal.v1+json"
    APPROVAL: Final = "application/vnd.mc2.approval.v1+json"
    REJECTION: Final = "application/vnd.mc2.rejection.v1+json"
    CHALLENGE: Final = "application/vnd.mc2.challenge.v1+json"
    EVIDENCE: Final = "application/vnd.mc2.evidence.v1+json"
    GRANT: Final = "application/vnd.mc2.grant.v1+json"
    INVITATION: Final = "application/vnd.mc2.invitation.v1+json"
    MEMBER_EVIDENCE: Final = "application/vnd.mc2.member-evidence.v1+json"
    HOME_EVIDENCE: Final = "application/vnd.mc2.home-evidence.v1+json"
    PROBE: Final = "application/vnd.mc2.probe.v1+json"
    ADMISSION: Final = "application/vnd.mc2.admission.v1+json"
    TASK_RECEIPT: Final = "application/vnd.mc2.task-receipt.v1+json"
    TRAINING_RECEIPT: Final = "application/vnd.mc2.training-receipt.v1+json"
    RECEIPT: Final = "application/vnd.in-toto+json"


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: what is really signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the name of the key that made it."""

    key_id: Digest
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type and its signatures, none of them checked yet."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def payload_digest(self) -> Digest:
        """The name of the object inside, whoever signed it."""
        return digest(self.payload)

    @classmethod
    def sign(cls, payload_type: str, payload: bytes, signer: Signer) -> Self:
        """Make an envelope with one signature."""
        signature = signer.sign(pre_authentication_encoding(payload_type, payload))
        return cls(payload_type, payload, (Signature(signer.public.key_id, signature),))

    def merge(self, others: Iterable[Envelope]) -> Envelope:
        """Join the signatures of envelopes around the same payload; the first of a key stays.

        Raises: FormatError for another payload.
        """
        found = {s.key_id: s for s in self.signatures}
        for other in others:
            if (other.payload_type, other.payload) != (self.payload_type, self.payload):
                raise FormatError("these envelopes hold different payloads")
            for signature in other.signatures:
                found.setdefault(signature.key_id, signature)
        ordered = tuple(found[key] for key in sorted(found))
        return Envelope(self.payload_type, self.payload, ordered)

    def encode(self) -> bytes:
        """The envelope as canonical JSON."""
        signatures: list[Json] = [
            {"keyid": s.key_id, "sig": to_base64(s.signature)} for s in self.signatures
        ]
        return encode(
            {
                "payload": to_base64(self.payload),
                "payloadType": self.payload_type,
                "signatures": signatures,
            }
        )

    @classmethod
    def parse(cls, raw: bytes, payload_type: str, payload_limit: int) -> Self:
        """Read an envelope of one given type. Nothing is verified yet. Raises: FormatError."""
        what = f"signed {payload_type.removeprefix('application/')}"
        limit = payload_limit * 4 // 3 + 256 * LIMITS.members + 1024
        fields = Fields(decode(raw, limit, what), what)
        if fields.text("payloadType") != payload_type:
            raise FormatError(f"this is not a {what}")
        payload = fields.base64("payload", payload_limit)
        signatures = fields.items("signatures", LIMITS.members, _read_signature)
        fields.done()
        if not signatures:
            raise FormatError(f"{what} has no signature")
        check_sorted_unique(tuple(s.key_id for s in signatures), f"the signatures of {what}")
        return cls(payload_type, payload, signatures)

    def verify(self, signers: Mapping[str, VerifyKey]) -> bytes:
        """Check that exactly these signers signed, by name, and give the payload.

        Equality, not a subset: a missing signer is an error, and so is one too many, since
        whoever put it there expected it to mean something.

        Raises: SignatureError.
        """
        message = pre_authentication_encoding(self.payload_type, self.payload)
        found = {s.key_id: s.signature for s in self.signatures}
        for name, key in signers.items():
            signature = found.pop(key.key_id, None)
            if signature is None:
                raise SignatureError(f"{name} has not signed this")
            try:
                key.verify(signature, message)
            except SignatureError:
                raise SignatureError(f"the signature in the name of {name} is false") from None
        if found:
            raise SignatureError("there is a signature by a key that has no say here")
        return self.payload


def _read_signature(value: Json) -> Signature:
    fields = Fields(value, "a signature")
    signature = Signature(
        fields.digest("keyid"),
        fields.base64("sig", SIGNATURE_BYTES, exactly=SIGNATURE_BYTES),
    )
    fields.done()
    return signature
