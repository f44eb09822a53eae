"""Credential activation: how an owner learns that an attestation key is in a genuine TPM.

Three messages, once for each key and owner, each through any untrusted relay
(docs/spec/evidence-tpm.md §3)::

    enclave → owner   identity    certificate of the endorsement key, the attestation key
    owner → enclave   challenge   a secret that opens in that TPM only, if that key is in it
    enclave → owner   answer      a quote by that key, over a proof of the secret

What the owner keeps is an `ActivatedKey`; later evidence by that key needs the quote alone. All
randomness and the time are arguments.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from mc2.attestation.roots import PinnedRoot
from mc2.attestation.tpm.credential import LONGEST_SECRET, Credential, make_credential
from mc2.attestation.tpm.endorsement import CertifiedKey, verify_endorsement_key
from mc2.attestation.tpm.evidence import STRUCTURE_BYTES, TpmEvidence
from mc2.attestation.tpm.quote import hierarchy_of, match_registers, verify_signed
from mc2.attestation.tpm.structures import (
    Public,
    check_attestation_key,
    parse_attest,
    parse_public,
    parse_signature,
)
from mc2.crypto.digest import Digest
from mc2.crypto.labels import Label
from mc2.errors import EvidenceError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, to_base64, to_time

IDENTITY_TYPE: Final = "mc2/tpm-identity/v1"
CHALLENGE_TYPE: Final = "mc2/tpm-activation-challenge/v1"
_LIMIT: Final = 64 * 1024
_CERTIFICATES: Final = 32 * 1024
_NAME_BYTES: Final = 2 + 64
_COUNTER: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmIdentity:
    """Who a TPM says it is: its endorsement certificate (DER), the chain (PEM), its key."""

    ek_certificate: bytes
    ek_chain: bytes
    ak_public: bytes

    def encode(self) -> bytes:
        """The bytes that travel."""
        return encode(
            {
                "type": IDENTITY_TYPE,
                "ek_certificate": to_base64(self.ek_certificate),
                "ek_chain": to_base64(self.ek_chain),
                "ak_public": to_base64(self.ak_public),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read an identity. Raises: FormatError."""
        fields = Fields(decode(raw, _LIMIT, "a TPM identity"), "a TPM identity")
        fields.type(IDENTITY_TYPE)
        found = cls(
            ek_certificate=fields.base64("ek_certificate", _CERTIFICATES),
            ek_chain=fields.base64("ek_chain", _CERTIFICATES),
            ak_public=fields.base64("ak_public", STRUCTURE_BYTES),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationChallenge:
    """A secret for one TPM and one key in it."""

    ak_name: bytes
    credential: Credential

    def encode(self) -> bytes:
        """The bytes that travel."""
        return encode(
            {
                "type": CHALLENGE_TYPE,
                "ak_name": to_base64(self.ak_name),
                "blob": to_base64(self.credential.blob),
                "encrypted_seed": to_base64(self.credential.encrypted_seed),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a challenge. Raises: FormatError."""
        fields = Fields(decode(raw, _LIMIT, "an activation challenge"), "an activation challenge")
        fields.type(CHALLENGE_TYPE)
        found = cls(
            ak_name=fields.base64("ak_name", _NAME_BYTES),
            credential=Credential(
                fields.base64("blob", STRUCTURE_BYTES),
                fields.base64("encrypted_seed", STRUCTURE_BYTES),
            ),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingActivation:
    """What an owner remembers between challenge and answer. `secret` never leaves the owner."""

    challenge: ActivationChallenge
    key: Public
    endorsement: CertifiedKey
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivatedKey:
    """An attestation key that is known to be in a genuine TPM.

    `ak_name` is the key's name in hex, `endorsement_key` the digest of the TPM's endorsement
    key. The counts are those at the activation: later quotes are counted from here.
    """

    ak_name: str
    endorsement_key: Digest
    root: Digest
    reset_count: int
    restart_count: int
    activated: datetime

    def json(self) -> Json:
        """The record as canonical JSON has it."""
        return {
            "ak_name": self.ak_name,
            "endorsement_key": self.endorsement_key,
            "root": self.root,
            "reset_count": self.reset_count,
            "restart_count": self.restart_count,
            "activated": to_time(self.activated),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a record. Raises: FormatError."""
        fields = Fields(value, "an activated key")
        found = cls(
            ak_name=fields.text("ak_name", 2 * _NAME_BYTES),
            endorsement_key=fields.digest("endorsement_key"),
            root=fields.digest("root"),
            reset_count=fields.integer("reset_count", 0, _COUNTER),
            restart_count=fields.integer("restart_count", 0, _COUNTER),
            activated=fields.time("activated"),
        )
        fields.done()
        return found


def begin_activation(
    identity: TpmIdentity,
    *,
    roots: Iterable[PinnedRoot],
    at: datetime,
    secret: bytes,
    seed: bytes,
) -> PendingActivation:
    """The owner's challenge for a TPM. `secret` and `seed` are 32 fresh random bytes each.

    Raises: EvidenceError for a TPM without a certificate up to one of the roots, or for a key
    that is not an attestation key.
    """
    if len(secret) != LONGEST_SECRET:
        raise ValueError("the secret has 32 bytes")
    endorsement = verify_endorsement_key(
        identity.ek_certificate, identity.ek_chain, roots=roots, at=at
    )
    key = parse_public(identity.ak_public)
    check_attestation_key(key)
    credential = make_credential(endorsement.spki, key.name, secret, seed)
    challenge = ActivationChallenge(ak_name=key.name, credential=credential)
    return PendingActivation(challenge=challenge, key=key, endorsement=endorsement, secret=secret)


def activation_proof(secret: bytes, ak_name: bytes) -> bytes:
    """What the enclave has its TPM quote to show that it got the secret: 32 bytes."""
    return hmac.digest(secret, Label.TPM_ACTIVATION.prefix() + ak_name, "sha256")


def finish_activation(pending: PendingActivation, answer: bytes, *, at: datetime) -> ActivatedKey:
    """Check the answer to a challenge. Raises: EvidenceError."""
    evidence = TpmEvidence.parse(answer)
    if evidence.ak_public != pending.key.raw:
        raise EvidenceError("the answer is by another key than the one that was challenged")
    attest, signature = parse_attest(evidence.quote), parse_signature(evidence.signature)
    verify_signed(attest, signature, spki=pending.key.spki, scheme=pending.key.scheme)
    match_registers(attest, signature, evidence.pcrs)
    proof = activation_proof(pending.secret, pending.key.name)
    if not hmac.compare_digest(attest.extra_data, proof):
        raise EvidenceError(
            "the TPM did not open the challenge",
            hint="the attestation key is not in the TPM that the endorsement certificate is for",
        )
    if hierarchy_of(attest, pending.key) != "endorsement":
        raise EvidenceError(
            "the attestation key is not a primary key of the endorsement hierarchy",
            hint="elsewhere the TPM hides how often it was reset",
        )
    return ActivatedKey(
        ak_name=pending.key.name.hex(),
        endorsement_key=pending.endorsement.name,
        root=pending.endorsement.root,
        reset_count=attest.reset_count,
        restart_count=attest.restart_count,
        activated=at.replace(microsecond=0),
    )
