"""What the enclaves of one job say to each other while they form a cluster.

Invitation, member evidence, probe and admission; all pass through the untrusted host. The steps
C1 to C16 of docs/spec/cluster.md are taken by `mc2.enclave.cluster_leader` and `cluster_member`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest, digest
from mc2.crypto.hpke import RECEIVING_PUBLIC_BYTES, ReceivingPublicKey
from mc2.crypto.kdf import KEY_BYTES
from mc2.crypto.labels import Label
from mc2.crypto.signatures import VERIFY_KEY_BYTES, VerifyKey
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import Fields, check_dataset_name, to_base64
from mc2.formats.limits import LIMITS
from mc2.formats.release import (
    BOOT_ID_BYTES,
    NONCE_BYTES,
    Activation,
    JobContext,
    evidence_json,
    read_evidence,
    read_token,
)
from mc2.formats.statement import Statement, Verified

LEADER: Final = "leader"
"""The signer of invitations and admissions: the key that the owners' evidence names."""

MEMBER: Final = "member"
"""The signer of member evidence: the key that its member data name."""

LONGEST_LEASE_SECONDS: Final = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Member:
    """One enclave of an epoch: its number, the evidence it proved itself with, its fresh key.

    The leader has the number 0, and its evidence is the one that the owners appraised. `home` is
    the party on whose premises it runs, if it opens rows that stay at home.
    """

    number: int
    evidence: Digest
    signing_key: VerifyKey
    home: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation(Statement):
    """The leader begins an epoch and asks other enclaves to prove themselves for it.

    `leader` names the evidence that the owners appraised; the nonce is used for this epoch alone.
    """

    TYPE: ClassVar[str] = "mc2/invitation/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.INVITATION
    LIMIT: ClassVar[int] = LIMITS.message_bytes

    context: JobContext
    leader: Digest
    epoch: int
    nonce: bytes

    @property
    def signer(self) -> str:
        """The leader signs."""
        return LEADER

    def json(self) -> Json:
        """The invitation as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "leader": self.leader,
            "epoch": self.epoch,
            "nonce": to_base64(self.nonce),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the invitation's fields. Raises: FormatError."""
        return cls(
            context=JobContext.read(fields),
            leader=fields.digest("leader"),
            epoch=fields.integer("epoch", 1, LIMITS.epochs),
            nonce=fields.base64("nonce", NONCE_BYTES, exactly=NONCE_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberData:
    """What a member commits to in its evidence: the epoch it was invited to, its fresh keys."""

    TYPE: ClassVar[str] = "mc2/member-data/v1"

    context: JobContext
    leader: Digest
    epoch: int
    nonce: bytes
    boot_id: str
    receiving_key: ReceivingPublicKey
    signing_key: VerifyKey

    def json(self) -> Json:
        """The member data as canonical JSON has them."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "leader": self.leader,
            "epoch": self.epoch,
            "nonce": to_base64(self.nonce),
            "boot_id": self.boot_id,
            "receiving_key": to_base64(self.receiving_key.raw),
            "signing_key": to_base64(self.signing_key.raw),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read member data. Raises: FormatError."""
        fields = Fields(value, "member data")
        fields.type(cls.TYPE)
        found = cls(
            context=JobContext.read(fields),
            leader=fields.digest("leader"),
            epoch=fields.integer("epoch", 1, LIMITS.epochs),
            nonce=fields.base64("nonce", NONCE_BYTES, exactly=NONCE_BYTES),
            boot_id=fields.hex("boot_id", BOOT_ID_BYTES),
            receiving_key=ReceivingPublicKey(
                fields.base64("receiving_key", RECEIVING_PUBLIC_BYTES)
            ),
            signing_key=VerifyKey(fields.base64("signing_key", VERIFY_KEY_BYTES)),
        )
        fields.done()
        return found

    def report_data(self) -> bytes:
        """The 64 bytes that the evidence must carry.

        Under a label of their own: a member's evidence never passes for that of an enclave which
        owners challenged.
        """
        return hashlib.sha512(Label.MEMBER_REPORT_DATA.prefix() + encode(self.json())).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberEvidence(Statement):
    """A member's evidence with what is needed to verify it, signed by the key it commits to.

    `activation` is there if the leader's evidence is not complete without one: what the leader's
    machine must open before this member takes anything from it.
    """

    TYPE: ClassVar[str] = "mc2/member-evidence/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.MEMBER_EVIDENCE
    LIMIT: ClassVar[int] = LIMITS.evidence_bytes

    kind: str
    evidence: bytes
    endorsements: Mapping[str, bytes]
    member_data: MemberData
    activation: Activation | None

    @property
    def signer(self) -> str:
        """The member's key of this epoch signs."""
        return MEMBER

    def json(self) -> Json:
        """The evidence as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **evidence_json(self.kind, self.evidence, self.endorsements),
            "member_data": self.member_data.json(),
            "activation": None if self.activation is None else self.activation.json(),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the evidence's fields. Raises: FormatError."""
        kind, evidence, endorsements = read_evidence(fields)
        return cls(
            kind=kind,
            evidence=evidence,
            endorsements=endorsements,
            member_data=MemberData.read(fields.value("member_data")),
            activation=fields.optional(
                "activation", lambda name: Activation.read(fields.fields(name))
            ),
        )


def verify_member_evidence(raw: bytes) -> Verified[MemberEvidence]:
    """Check that member evidence is signed by the very key that its member data name.

    Whether that key is an enclave's is for the evidence itself to prove.

    Raises: FormatError, SignatureError.
    """
    envelope = Envelope.parse(raw, MemberEvidence.PAYLOAD_TYPE, MemberEvidence.LIMIT)
    evidence = MemberEvidence.parse(envelope.payload)
    envelope.verify({MEMBER: evidence.member_data.signing_key})
    return Verified(evidence, envelope.payload_digest, raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Statement):
    """The leader asks a member to open what it sealed to the machine that the member names.

    For the kinds of evidence that are not complete without. The answer is the activation's token,
    bare: who has it has opened the secret.
    """

    TYPE: ClassVar[str] = "mc2/probe/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.PROBE
    LIMIT: ClassVar[int] = LIMITS.message_bytes

    context: JobContext
    leader: Digest
    epoch: int
    member: Digest
    activation: Activation

    @property
    def signer(self) -> str:
        """The leader signs."""
        return LEADER

    def json(self) -> Json:
        """The probe as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "leader": self.leader,
            "epoch": self.epoch,
            "member": self.member,
            "activation": self.activation.json(),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the probe's fields. Raises: FormatError."""
        return cls(
            context=JobContext.read(fields),
            leader=fields.digest("leader"),
            epoch=fields.integer("epoch", 1, LIMITS.epochs),
            member=fields.digest("member"),
            activation=Activation.read(fields.fields("activation")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission(Statement):
    """The leader takes one member into an epoch: the roster, the member's place, sealed secrets.

    `sealed` is an `EpochSecrets` under HPKE, to the key in the member's evidence. `token` shows
    that the leader opened the activation in that evidence, if there is one.
    """

    TYPE: ClassVar[str] = "mc2/admission/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.ADMISSION
    LIMIT: ClassVar[int] = LIMITS.grant_bytes

    context: JobContext
    leader: Digest
    epoch: int
    roster: tuple[Member, ...]
    number: int
    token: bytes | None
    sealed: bytes

    @property
    def signer(self) -> str:
        """The leader signs."""
        return LEADER

    def json(self) -> Json:
        """The admission as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "leader": self.leader,
            "epoch": self.epoch,
            "roster": _roster_json(self.roster),
            "number": self.number,
            "token": None if self.token is None else to_base64(self.token),
            "sealed": to_base64(self.sealed),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the admission's fields. Raises: FormatError."""
        return cls(
            context=JobContext.read(fields),
            leader=fields.digest("leader"),
            epoch=fields.integer("epoch", 1, LIMITS.epochs),
            roster=_read_roster(fields),
            number=fields.integer("number", 1, LIMITS.cluster_members - 1),
            token=fields.optional("token", lambda name: read_token(fields, name)),
            sealed=fields.base64("sealed", cls.LIMIT),
        )

    def secrets_info(self) -> bytes:
        """The HPKE `info` of the secrets in this admission."""
        return admission_info(self.context, self.leader, self.epoch, self.roster, self.number)


def admission_info(
    context: JobContext, leader: Digest, epoch: int, roster: tuple[Member, ...], number: int
) -> bytes:
    """The HPKE `info` of an epoch's secrets: all that the admission says but the ciphertext.

    Sealed secrets open in no other epoch, with no other roster, in no other place.
    """
    bound: Json = {
        **context.json(),
        "leader": leader,
        "epoch": epoch,
        "roster": _roster_json(roster),
        "number": number,
    }
    return Label.ADMISSION_INFO.prefix() + digest(encode(bound)).encode("ascii")


def _roster_json(roster: tuple[Member, ...]) -> list[Json]:
    """A member's number is its place, so that there is one way to write it."""
    return [
        {
            "evidence": m.evidence,
            "signing_key": to_base64(m.signing_key.raw),
            "home": m.home,
        }
        for m in roster
    ]


def _read_roster(fields: Fields) -> tuple[Member, ...]:
    pairs = fields.items("roster", LIMITS.cluster_members, _read_entry)
    return tuple(Member(number, *pair) for number, pair in enumerate(pairs))


def _read_entry(value: Json) -> tuple[Digest, VerifyKey, str | None]:
    fields = Fields(value, "a member in a roster")
    evidence = fields.digest("evidence")
    key = VerifyKey(fields.base64("signing_key", VERIFY_KEY_BYTES))
    home = fields.optional("home", fields.name)
    fields.done()
    return evidence, key, home


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSecrets:
    """What an admission seals: the key of the epoch's blocks, and the data keys of the inputs.

    `lease_seconds` is what is left of the leader's own lease.
    """

    TYPE: ClassVar[str] = "mc2/epoch-secrets/v1"

    block_key: bytes = field(repr=False)
    lease_seconds: int
    keys: Mapping[str, bytes] = field(repr=False)

    def encode(self) -> bytes:
        """The secrets' bytes, to be sealed."""
        return encode(
            {
                "type": self.TYPE,
                "block_key": to_base64(self.block_key),
                "lease_seconds": self.lease_seconds,
                "keys": {name: to_base64(raw) for name, raw in self.keys.items()},
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read opened secrets. Raises: FormatError."""
        fields = Fields(decode(raw, LIMITS.grant_bytes, "an epoch's secrets"), "an epoch's secrets")
        fields.type(cls.TYPE)
        found = cls(
            block_key=fields.base64("block_key", KEY_BYTES, exactly=KEY_BYTES),
            lease_seconds=fields.integer("lease_seconds", 1, LONGEST_LEASE_SECONDS),
            keys=_read_keys(fields.value("keys")),
        )
        fields.done()
        return found


def _read_keys(value: Json) -> dict[str, bytes]:
    if not isinstance(value, Mapping) or len(value) > LIMITS.inputs:
        raise FormatError("the keys of an epoch are not an object")
    named = Fields(value, "the keys of an epoch")
    return {
        check_dataset_name(name, "a name in the keys"): named.base64(
            name, KEY_BYTES, exactly=KEY_BYTES
        )
        for name in value
    }
