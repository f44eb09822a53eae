"""What people say about a job: proposal, approval, rejection. Spec: docs/spec/job.md.

A job is one execution of a plan: a random 128-bit id that its proposer chose. An approval is for
one job of one plan under one contract, so that nobody can run an approved plan twice unasked.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from mc2.crypto.digest import Digest
from mc2.formats.canonical import Json
from mc2.formats.envelope import PayloadType
from mc2.formats.fields import Fields, to_time
from mc2.formats.limits import LIMITS
from mc2.formats.statement import Statement

JOB_ID_BYTES = 16


def new_job_id() -> str:
    """A fresh job id: 32 hex digits."""
    return secrets.token_hex(JOB_ID_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal(Statement):
    """An analyst asks for one run of a plan."""

    TYPE: ClassVar[str] = "mc2/proposal/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.PROPOSAL
    LIMIT: ClassVar[int] = LIMITS.message_bytes

    contract: Digest
    plan: Digest
    job_id: str
    proposer: str
    created: datetime
    note: str

    @property
    def signer(self) -> str:
        """The proposer signs."""
        return self.proposer

    def json(self) -> Json:
        """The proposal as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "contract": self.contract,
            "plan": self.plan,
            "job_id": self.job_id,
            "proposer": self.proposer,
            "created": to_time(self.created),
            "note": self.note,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the proposal's fields. Raises: FormatError."""
        return cls(
            contract=fields.digest("contract"),
            plan=fields.digest("plan"),
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            proposer=fields.name("proposer"),
            created=fields.time("created"),
            note=fields.text("note", LIMITS.note_bytes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(Statement):
    """A member allows one job, until a moment and for a number of attempts."""

    TYPE: ClassVar[str] = "mc2/approval/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.APPROVAL
    LIMIT: ClassVar[int] = LIMITS.message_bytes

    contract: Digest
    plan: Digest
    job_id: str
    approver: str
    max_attempts: int
    not_after: datetime

    @property
    def signer(self) -> str:
        """The approver signs."""
        return self.approver

    def json(self) -> Json:
        """The approval as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "contract": self.contract,
            "plan": self.plan,
            "job_id": self.job_id,
            "approver": self.approver,
            "max_attempts": self.max_attempts,
            "not_after": to_time(self.not_after),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the approval's fields. Raises: FormatError."""
        return cls(
            contract=fields.digest("contract"),
            plan=fields.digest("plan"),
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            approver=fields.name("approver"),
            max_attempts=fields.integer("max_attempts", 1, LIMITS.attempts),
            not_after=fields.time("not_after"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection(Statement):
    """A member refuses a job, with a reason for the proposer."""

    TYPE: ClassVar[str] = "mc2/rejection/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.REJECTION
    LIMIT: ClassVar[int] = LIMITS.message_bytes

    contract: Digest
    plan: Digest
    job_id: str
    member: str
    reason: str

    @property
    def signer(self) -> str:
        """The member signs."""
        return self.member

    def json(self) -> Json:
        """The rejection as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "contract": self.contract,
            "plan": self.plan,
            "job_id": self.job_id,
            "member": self.member,
            "reason": self.reason,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the rejection's fields. Raises: FormatError."""
        return cls(
            contract=fields.digest("contract"),
            plan=fields.digest("plan"),
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            member=fields.name("member"),
            reason=fields.text("reason", LIMITS.note_bytes),
        )
