"""Key release: challenge, runtime data, evidence, grant. Spec: docs/spec/key-release.md.

The steps are numbered there; `mc2.enclave.session` and `mc2.client.release` carry the numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Self

from mc2.crypto.activation import ACTIVATION_TOKEN_BYTES
from mc2.crypto.digest import Digest, digest
from mc2.crypto.hpke import RECEIVING_PUBLIC_BYTES, ReceivingPublicKey
from mc2.crypto.labels import Label
from mc2.crypto.signatures import VERIFY_KEY_BYTES, VerifyKey
from mc2.errors import FormatError
from mc2.formats.canonical import Json, encode
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import (
    Fields,
    check_name,
    check_sorted_unique,
    to_base64,
    to_time,
)
from mc2.formats.job import JOB_ID_BYTES
from mc2.formats.limits import LIMITS
from mc2.formats.statement import Statement, Verified

NONCE_BYTES: Final = 32
BOOT_ID_BYTES: Final = 16
CREDENTIAL_BLOB_BYTES: Final = 68
"""A credential of 32 bytes for an attestation key, with its HMAC-SHA256 and both lengths."""

ENCRYPTED_SEED_BYTES: Final = 256
"""Its seed under an endorsement key of RSA-2048."""

ENCLAVE: Final = "enclave"
"""The signer of evidence and receipts: the key that the runtime data of the attempt names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What every message of a key release is about. All six must agree, always."""

    contract: Digest
    policy: Digest
    plan: Digest
    job_id: str
    attempt: int

    def json(self) -> dict[str, Json]:
        """The context's fields as canonical JSON has them."""
        return {
            "contract": self.contract,
            "policy": self.policy,
            "plan": self.plan,
            "job_id": self.job_id,
            "attempt": self.attempt,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the context's fields. Raises: FormatError."""
        return cls(
            contract=fields.digest("contract"),
            policy=fields.digest("policy"),
            plan=fields.digest("plan"),
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            attempt=fields.integer("attempt", 1, LIMITS.attempts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge(Statement):
    """An owner asks an enclave to prove itself, for one attempt of one job.

    The nonce is used once; `issued` and `not_after` are by the owner's clock, the only one that
    counts: the enclave has no trusted time of its own.
    """

    TYPE: ClassVar[str] = "mc2/challenge/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.CHALLENGE
    LIMIT: ClassVar[int] = LIMITS.message_bytes

    context: JobContext
    owner: str
    nonce: bytes
    issued: datetime
    not_after: datetime

    @property
    def signer(self) -> str:
        """The owner signs."""
        return self.owner

    def json(self) -> Json:
        """The challenge as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "owner": self.owner,
            "nonce": to_base64(self.nonce),
            "issued": to_time(self.issued),
            "not_after": to_time(self.not_after),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the challenge's fields. Raises: FormatError."""
        return cls(
            context=JobContext.read(fields),
            owner=fields.name("owner"),
            nonce=fields.base64("nonce", NONCE_BYTES, exactly=NONCE_BYTES),
            issued=fields.time("issued"),
            not_after=fields.time("not_after"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeData:
    """What an enclave commits to in its evidence: the attempt, its fresh keys, the challenges."""

    TYPE: ClassVar[str] = "mc2/runtime-data/v1"

    context: JobContext
    boot_id: str
    receiving_key: ReceivingPublicKey
    signing_key: VerifyKey
    challenges: Mapping[str, Digest]

    def json(self) -> Json:
        """The runtime data as canonical JSON has them."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "boot_id": self.boot_id,
            "receiving_key": to_base64(self.receiving_key.raw),
            "signing_key": to_base64(self.signing_key.raw),
            "challenges": dict(self.challenges),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read runtime data. Raises: FormatError."""
        fields = Fields(value, "runtime data")
        fields.type(cls.TYPE)
        found = cls(
            context=JobContext.read(fields),
            boot_id=fields.hex("boot_id", BOOT_ID_BYTES),
            receiving_key=ReceivingPublicKey(
                fields.base64("receiving_key", RECEIVING_PUBLIC_BYTES)
            ),
            signing_key=VerifyKey(fields.base64("signing_key", VERIFY_KEY_BYTES)),
            challenges=_read_challenges(fields.value("challenges")),
        )
        fields.done()
        return found

    def report_data(self) -> bytes:
        """The 64 bytes that the evidence must carry: SHA-512 over the label and these data."""
        return hashlib.sha512(Label.REPORT_DATA.prefix() + encode(self.json())).digest()


def _read_challenges(value: Json) -> dict[str, Digest]:
    if not isinstance(value, Mapping) or len(value) > LIMITS.members:
        raise FormatError("the challenges in runtime data are not an object")
    fields = Fields(value, "the challenges in runtime data")
    found = {check_name(name, "a challenger"): fields.digest(name) for name in value}
    fields.done()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Statement):
    """Evidence with what is needed to verify it, signed by the key that it commits to.

    `kind` names who can verify `evidence`; `endorsements` are certificates, revocation lists
    and logs by name, as the enclave's host found them: worth what their signatures are worth.
    """

    TYPE: ClassVar[str] = "mc2/evidence/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.EVIDENCE
    LIMIT: ClassVar[int] = LIMITS.evidence_bytes

    kind: str
    evidence: bytes
    endorsements: Mapping[str, bytes]
    runtime_data: RuntimeData

    @property
    def signer(self) -> str:
        """The enclave's key of this attempt signs."""
        return ENCLAVE

    def json(self) -> Json:
        """The evidence as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **evidence_json(self.kind, self.evidence, self.endorsements),
            "runtime_data": self.runtime_data.json(),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the evidence's fields. Raises: FormatError."""
        kind, evidence, endorsements = read_evidence(fields)
        return cls(
            kind=kind,
            evidence=evidence,
            endorsements=endorsements,
            runtime_data=RuntimeData.read(fields.value("runtime_data")),
        )


def evidence_json(kind: str, evidence: bytes, endorsements: Mapping[str, bytes]) -> dict[str, Json]:
    """What every statement with evidence says of it: who can verify it, with what."""
    return {
        "kind": kind,
        "evidence": to_base64(evidence),
        "endorsements": {name: to_base64(raw) for name, raw in endorsements.items()},
    }


def read_evidence(fields: Fields) -> tuple[str, bytes, dict[str, bytes]]:
    """Take the fields that `evidence_json` writes. Raises: FormatError."""
    endorsements = fields.value("endorsements")
    if not isinstance(endorsements, Mapping):
        raise FormatError("endorsements are not an object")
    named = Fields(endorsements, "endorsements")
    return (
        fields.text("kind", 64),
        fields.base64("evidence", LIMITS.evidence_bytes),
        {n: named.base64(n, LIMITS.evidence_bytes) for n in endorsements},
    )


def verify_evidence(raw: bytes) -> Verified[Evidence]:
    """Check that evidence is signed by the very key that its runtime data name.

    Whether that key is an enclave's is for the evidence itself to prove.

    Raises: FormatError, SignatureError.
    """
    envelope = Envelope.parse(raw, Evidence.PAYLOAD_TYPE, Evidence.LIMIT)
    evidence = Evidence.parse(envelope.payload)
    envelope.verify({ENCLAVE: evidence.runtime_data.signing_key})
    return Verified(evidence, envelope.payload_digest, raw)


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A dataset's key, sealed to the enclave of one attempt."""

    dataset: str
    manifest: Digest
    sealed: bytes

    def json(self) -> Json:
        """The sealed key as canonical JSON has it."""
        return {
            "dataset": self.dataset,
            "manifest": self.manifest,
            "sealed": to_base64(self.sealed),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one sealed key. Raises: FormatError."""
        fields = Fields(value, "a sealed key")
        found = cls(
            fields.dataset("dataset"), fields.digest("manifest"), fields.base64("sealed", 4096)
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """What a machine must open before the keys of a grant open: proof of where its key is.

    `blob` and `encrypted_seed` are the parameters of TPM2_ActivateCredential, without their outer
    lengths; `token` is the digest of what the enclave shows afterwards, in its receipt.
    """

    blob: bytes
    encrypted_seed: bytes
    token: Digest

    def json(self) -> dict[str, Json]:
        """The activation as canonical JSON has it."""
        return {
            "blob": to_base64(self.blob),
            "encrypted_seed": to_base64(self.encrypted_seed),
            "token": self.token,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the activation's fields. Raises: FormatError."""
        found = cls(
            blob=fields.base64("blob", CREDENTIAL_BLOB_BYTES, exactly=CREDENTIAL_BLOB_BYTES),
            encrypted_seed=fields.base64(
                "encrypted_seed", ENCRYPTED_SEED_BYTES, exactly=ENCRYPTED_SEED_BYTES
            ),
            token=fields.digest("token"),
        )
        fields.done()
        return found


def read_token(fields: Fields, name: str) -> bytes:
    """Take the token of an activation. Raises: FormatError."""
    return fields.base64(name, ACTIVATION_TOKEN_BYTES, exactly=ACTIVATION_TOKEN_BYTES)


def read_tokens(value: Json, most: int, what: str) -> dict[str, bytes]:
    """Read tokens of activations by name. `what` is said in errors. Raises: FormatError."""
    if not isinstance(value, Mapping) or len(value) > most:
        raise FormatError(f"{what} are not an object")
    named = Fields(value, what)
    return {check_name(name, f"a name in {what}"): read_token(named, name) for name in value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Statement):
    """An owner releases the keys of its datasets to one enclave, for one attempt.

    Signed, because HPKE's base mode does not say who sealed: without the signature a host could
    feed the enclave keys, and so data, of its own making. `activation` is there for exactly the
    kinds of evidence that are not complete without it; the keys are then locked by its secret.
    """

    TYPE: ClassVar[str] = "mc2/grant/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.GRANT
    LIMIT: ClassVar[int] = LIMITS.grant_bytes

    context: JobContext
    owner: str
    evidence: Digest
    challenge: Digest
    sequence: int
    lease_seconds: int
    activation: Activation | None
    keys: tuple[SealedKey, ...]

    @property
    def signer(self) -> str:
        """The owner signs."""
        return self.owner

    def json(self) -> Json:
        """The grant as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "owner": self.owner,
            "evidence": self.evidence,
            "challenge": self.challenge,
            "sequence": self.sequence,
            "lease_seconds": self.lease_seconds,
            "activation": None if self.activation is None else self.activation.json(),
            "keys": [k.json() for k in self.keys],
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the grant's fields. Raises: FormatError."""
        grant = cls(
            context=JobContext.read(fields),
            owner=fields.name("owner"),
            evidence=fields.digest("evidence"),
            challenge=fields.digest("challenge"),
            sequence=fields.integer("sequence", 1, 2**53 - 1),
            lease_seconds=fields.integer("lease_seconds", 1, 30 * 24 * 3600),
            activation=fields.optional(
                "activation", lambda name: Activation.read(fields.fields(name))
            ),
            keys=fields.items("keys", LIMITS.inputs, SealedKey.read),
        )
        check_sorted_unique(tuple(k.dataset for k in grant.keys), "the keys of a grant")
        return grant

    def key_info(self, dataset: str, manifest: Digest) -> bytes:
        """The HPKE `info` under which the key of one dataset is sealed.

        All that the grant says but the ciphertexts: a sealed key opens in no other grant.
        """
        return grant_key_info(
            self.context, self.owner, self.evidence, self.challenge, dataset, manifest
        )


def grant_key_info(
    context: JobContext,
    owner: str,
    evidence: Digest,
    challenge: Digest,
    dataset: str,
    manifest: Digest,
) -> bytes:
    """The HPKE `info` of a key in a grant: a digest of everything that it is bound to."""
    bound: Json = {
        **context.json(),
        "owner": owner,
        "evidence": evidence,
        "challenge": challenge,
        "dataset": dataset,
        "manifest": manifest,
    }
    return Label.GRANT_INFO.prefix() + digest(encode(bound)).encode("ascii")
