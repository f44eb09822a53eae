"""The collaboration contract: who takes part, by which keys and rules. Spec: docs/spec/contract.md.

People write it as TOML (`mc2.client.contract_toml`); what is signed, by every member, is the
canonical form here. Its digest is the collaboration's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from mc2.crypto.digest import Digest, digest
from mc2.crypto.signatures import Signer, VerifyKey
from mc2.errors import ContractError, FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.card import Card
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import Fields, check_sorted_unique, text_item, to_time
from mc2.formats.limits import LIMITS

TYPE: Final = "mc2/contract/v1"

TIERS: Final = (
    "hardware-enclave",
    "hardware-cvm",
    "provider-attested",
    "measured-boot",
    "simulated",
)
"""Assurance tiers, the strongest first. A contract names the weakest one it accepts."""

ROLES: Final = ("analyst", "owner", "recipient")
APPROVERS: Final = ("members", "owners")
_LARGEST_EPOCH: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Member:
    """A party in a collaboration.

    Roles limit it: only analysts propose, only owners bring data, only recipients receive.
    """

    card: Card
    roles: tuple[str, ...]

    @property
    def name(self) -> str:
        """The party's short name, unique in the contract."""
        return self.card.name

    def json(self) -> Json:
        """The member as canonical JSON has it."""
        return {"card": self.card.json(), "roles": list(self.roles)}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one member. Raises: FormatError."""
        fields = Fields(value, "a member")
        card = Card.read(fields.value("card"))
        roles = fields.items("roles", len(ROLES), text_item("a role", _check_role))
        fields.done()
        check_sorted_unique(roles, "the roles of a member")
        if not roles:
            raise FormatError(f"{card.name} has no role")
        return cls(card, roles)


def _check_role(text: str, what: str) -> str:
    if text not in ROLES:
        raise FormatError(f"{what} is none of {', '.join(ROLES)}")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The rules that all members sign.

    `attestation` is the policy that enclaves must satisfy, kept as the JSON object that
    `mc2.attestation.policy` reads. `approvers`: `owners` (of the data a plan reads) or all
    `members` must approve each job. `max_attempts` bounds how often one approved job may start.
    """

    name: str
    epoch: int
    supersedes: Digest | None
    not_after: datetime
    min_tier: str
    approvers: str
    max_attempts: int
    members: tuple[Member, ...]
    attestation: Mapping[str, Json]

    def __post_init__(self) -> None:
        names = tuple(m.name for m in self.members)
        check_sorted_unique(names, "the members of a contract")
        if not names:
            raise FormatError("a contract has no members")
        if len({m.card.signing_key for m in self.members}) != len(names):
            raise FormatError("two members of a contract have one signing key")

    def json(self) -> Json:
        """The contract as canonical JSON has it."""
        return {
            "type": TYPE,
            "name": self.name,
            "epoch": self.epoch,
            "supersedes": self.supersedes,
            "not_after": to_time(self.not_after),
            "min_tier": self.min_tier,
            "approvers": self.approvers,
            "max_attempts": self.max_attempts,
            "members": [m.json() for m in self.members],
            "attestation": dict(self.attestation),
        }

    def encode(self) -> bytes:
        """The bytes that are signed."""
        return encode(self.json())

    @property
    def digest(self) -> Digest:
        """The collaboration's name."""
        return digest(self.encode())

    @property
    def policy_digest(self) -> Digest:
        """The attestation policy's name."""
        return digest(encode(dict(self.attestation)))

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the canonical form. Raises: FormatError."""
        fields = Fields(decode(raw, LIMITS.contract_bytes, "a contract"), "a contract")
        fields.type(TYPE)
        attestation = fields.value("attestation")
        if not isinstance(attestation, Mapping):
            raise FormatError("the attestation policy of a contract is not an object")
        contract = cls(
            name=fields.name("name"),
            epoch=fields.integer("epoch", 1, _LARGEST_EPOCH),
            supersedes=fields.optional("supersedes", fields.digest),
            not_after=fields.time("not_after"),
            min_tier=fields.choice("min_tier", TIERS),
            approvers=fields.choice("approvers", APPROVERS),
            max_attempts=fields.integer("max_attempts", 1, LIMITS.attempts),
            members=fields.items("members", LIMITS.members, Member.read),
            attestation=attestation,
        )
        fields.done()
        return contract

    def member(self, name: str) -> Member:
        """A member by name. Raises: ContractError."""
        for member in self.members:
            if member.name == name:
                return member
        raise ContractError(f"{name} is not a member of {self.name}")

    def key_of(self, name: str) -> VerifyKey:
        """A member's verifying key. Raises: ContractError."""
        return self.member(name).card.signing_key


@dataclass(frozen=True, slots=True)
class VerifiedContract:
    """A contract that all its members signed and that has not lapsed.

    Only `verify_contract` makes one. That the *cards* in it are those of the right organisations
    is what people checked before they signed; software cannot.
    """

    contract: Contract
    digest: Digest
    envelope: bytes


def sign_contract(contract: Contract, signer: Signer) -> bytes:
    """An envelope with one member's signature; `Envelope.merge` joins them."""
    return Envelope.sign(PayloadType.CONTRACT, contract.encode(), signer).encode()


def verify_contract(raw: bytes, *, at: datetime) -> VerifiedContract:
    """Check that all members signed, nobody else did, and the contract is still valid.

    Raises: FormatError, SignatureError, ContractError.
    """
    envelope = Envelope.parse(raw, PayloadType.CONTRACT, LIMITS.contract_bytes)
    contract = Contract.parse(envelope.payload)
    envelope.verify({m.name: m.card.signing_key for m in contract.members})
    if at > contract.not_after:
        raise ContractError(
            f"the contract {contract.name} ended on {to_time(contract.not_after)}",
            hint="agree on a new epoch of it: edit the TOML, then `mc2 join` by every member",
        )
    return VerifiedContract(contract, envelope.payload_digest, raw)
