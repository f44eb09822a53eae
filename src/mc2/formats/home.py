"""Evidence of an enclave on a party's own premises: a member's, signed for by the party.

What the enclave is, its evidence proves; whose rows it may open, only the party can say. The party
signs what its own enclave has just answered to an invitation. Spec: docs/spec/home.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest
from mc2.crypto.signatures import VerifyKey
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.cluster import MemberEvidence, verify_member_evidence
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.nested import nest
from mc2.formats.statement import Statement, Verified

_LIMIT: Final = 2 * LIMITS.evidence_bytes
_ENVELOPE_BYTES: Final = 2 * _LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeEvidence(Statement):
    """A party says that an enclave is on its premises, and may open what it keeps at home.

    `evidence` is the enclave's own signed member evidence, which names job, attempt and epoch.
    """

    TYPE: ClassVar[str] = "mc2/home-evidence/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.HOME_EVIDENCE
    LIMIT: ClassVar[int] = _LIMIT

    party: str
    evidence: bytes

    @property
    def signer(self) -> str:
        """The party signs."""
        return self.party

    def json(self) -> Json:
        """The statement as canonical JSON has it."""
        return {"type": self.TYPE, "party": self.party, "evidence": nest(self.evidence)}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the statement's fields. Raises: FormatError."""
        return cls(party=fields.name("party"), evidence=encode(fields.value("evidence")))


@dataclass(frozen=True, slots=True)
class JoinedMember:
    """A member's evidence, and the party on whose premises it runs; None for a hosted one."""

    evidence: Verified[MemberEvidence]
    party: str | None


def verify_joined(raw: bytes, key_of: Callable[[str], VerifyKey]) -> JoinedMember:
    """Check a member's evidence, and the party's signature if it runs at a home.

    `key_of` gives the key of a member of the contract.

    Raises: FormatError, SignatureError, and what `key_of` raises.
    """
    if not _is_home(raw):
        return JoinedMember(verify_member_evidence(raw), None)
    said = HomeEvidence.verify(raw, key_of).value
    return JoinedMember(verify_member_evidence(said.evidence), said.party)


def evidence_digest(raw: bytes) -> Digest:
    """What rosters call a member, by its evidence; nothing is verified. Raises: FormatError."""
    if _is_home(raw):
        outer = Envelope.parse(raw, HomeEvidence.PAYLOAD_TYPE, HomeEvidence.LIMIT)
        raw = HomeEvidence.parse(outer.payload).evidence
    return Envelope.parse(raw, MemberEvidence.PAYLOAD_TYPE, MemberEvidence.LIMIT).payload_digest


def _is_home(raw: bytes) -> bool:
    found = decode(raw, _ENVELOPE_BYTES, "a member's evidence")
    if not isinstance(found, dict):
        raise FormatError("a member's evidence is no envelope")
    return found.get("payloadType") == HomeEvidence.PAYLOAD_TYPE
