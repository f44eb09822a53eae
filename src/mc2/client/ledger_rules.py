"""What may follow what in a ledger: pure rules, no file and no clock.

The rule that everything rests on: at most one grant for a (job, attempt), ever; and none without
an approval that is in force.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from mc2.client.ledger_events import (
    Approved,
    Begun,
    ContractAccepted,
    ContractRevoked,
    Event,
    Granted,
    JobClosed,
    Refused,
    Rejected,
    Revoked,
)
from mc2.crypto.digest import Digest
from mc2.errors import ApprovalError, ContractError, LedgerError
from mc2.formats.fields import to_time
from mc2.formats.release import JobContext

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clock of a proposer may be ahead of this party's."""


@dataclass(slots=True)
class JobRecord:
    """What the ledger knows of one job. `ended`: what forbids any further grant, or nothing."""

    approved: Approved | None = None
    grants: dict[int, Granted] = field(default_factory=dict)
    refusals: list[Refused] = field(default_factory=list)
    ended: str = ""


class LedgerState:
    """All that the entries so far amount to. Events are checked before they are applied."""

    def __init__(self) -> None:
        self._begun: Begun | None = None
        self._begun_at: datetime | None = None
        self._contracts: dict[Digest, ContractAccepted] = {}
        self._revoked_contracts: set[Digest] = set()
        self._jobs: dict[str, JobRecord] = {}

    @property
    def begun(self) -> Begun:
        """Whose ledger this is. Raises: LedgerError for one without a beginning."""
        if self._begun is None:
            raise LedgerError("the ledger has no beginning")
        return self._begun

    @property
    def contracts(self) -> Mapping[Digest, ContractAccepted]:
        """The contracts accepted, revoked ones among them."""
        return self._contracts

    @property
    def jobs(self) -> Mapping[str, JobRecord]:
        """The jobs decided on, by id."""
        return self._jobs

    def approved_jobs(self) -> list[str]:
        """The jobs for which a grant is still possible, in the order of their approval."""
        return [
            job_id
            for job_id, job in self._jobs.items()
            if job.approved is not None and not job.ended and self.takes_part(job.approved.contract)
        ]

    def check(self, event: Event, at: datetime) -> None:
        """Whether an event may be recorded now.

        Raises: LedgerError if it was done before or contradicts the ledger; ApprovalError,
        ContractError if nothing in force allows it.
        """
        if (self._begun is None) != isinstance(event, Begun):
            raise LedgerError("a ledger begins with its beginning, and has one only")
        checks: Mapping[type[Any], Callable[[Any, datetime], None]] = {
            ContractAccepted: self._check_contract_accepted,
            ContractRevoked: self._check_contract_revoked,
            Approved: self._check_approved,
            Granted: self._check_granted,
            Rejected: self._check_rejected,
            Revoked: self._check_known,
            Refused: self._check_known,
            JobClosed: self._check_known,
        }
        if check := checks.get(type(event)):
            check(event, at)

    def apply(self, event: Event, at: datetime) -> None:
        """Take an event in. Raises: as `check`, and then the state is as it was."""
        self.check(event, at)
        match event:
            case Begun():
                self._begun, self._begun_at = event, at
            case ContractAccepted():
                self._contracts[event.contract] = event
            case ContractRevoked():
                self._revoked_contracts.add(event.contract)
            case Approved():
                self._jobs.setdefault(event.job_id, JobRecord()).approved = event
            case Rejected():
                self._jobs.setdefault(event.job_id, JobRecord()).ended = "rejected"
            case Revoked():
                self._jobs[event.job_id].ended = "revoked"
            case Granted():
                self._jobs[event.context.job_id].grants[event.context.attempt] = event
            case Refused():
                self._jobs[event.job_id].refusals.append(event)
            case JobClosed():
                self._jobs[event.job_id].ended = "closed"

    def takes_part(self, contract: Digest) -> bool:
        """Whether this party has signed a contract and not left it."""
        return contract in self._contracts and contract not in self._revoked_contracts

    def check_known(self, contract: Digest) -> None:
        """Whether this party has signed a contract, left or not. Raises: ContractError."""
        if contract not in self._contracts:
            raise ContractError(
                f"this party has not signed the contract {contract}",
                hint="read it and sign it: mc2 join",
            )

    def check_in_force(self, contract: Digest) -> None:
        """Whether this party takes part in a contract. Raises: ContractError."""
        self.check_known(contract)
        if contract in self._revoked_contracts:
            raise ContractError(
                f"this party has left the contract {contract}",
                hint="agree on a new epoch of it, and sign that: mc2 join",
            )

    def check_may_grant(self, context: JobContext, at: datetime) -> Approved:
        """Whether keys may be released for this very attempt; the approval that allows it.

        Raises: ContractError, ApprovalError, LedgerError.
        """
        self.check_in_force(context.contract)
        job = self._jobs.get(context.job_id)
        if job is None or job.approved is None:
            raise ApprovalError(
                f"job {context.job_id} was not approved here",
                hint=f"look at it: mc2 review {context.job_id}",
            )
        if job.ended:
            raise ApprovalError(f"job {context.job_id} was {job.ended} here: no key is released")
        approved = job.approved
        if (approved.contract, approved.plan) != (context.contract, context.plan):
            raise ApprovalError(f"job {context.job_id} was approved for another plan or contract")
        if at > approved.not_after:
            raise ApprovalError(
                f"the approval of job {context.job_id} ended on {to_time(approved.not_after)}",
                hint="propose the job again",
            )
        if context.attempt in job.grants:
            raise LedgerError(
                f"attempt {context.attempt} of job {context.job_id} has had its grant",
                hint=f"its proposer starts the next attempt: mc2 run {context.job_id}",
            )
        # Attempts are numbered from 1, so this also bounds how many grants there can be.
        if context.attempt > approved.max_attempts:
            raise ApprovalError(
                f"job {context.job_id} was approved for {approved.max_attempts} attempts, and "
                f"this is attempt {context.attempt}",
                hint="propose the job again",
            )
        return approved

    # --- one rule for each kind of event

    def _check_contract_accepted(self, event: ContractAccepted, _at: datetime) -> None:
        if event.contract in self._contracts:
            raise LedgerError(f"the contract {event.contract} was accepted before")
        newest = max((c.epoch for c in self._contracts.values() if c.name == event.name), default=0)
        if event.epoch <= newest:
            raise ContractError(
                f"epoch {event.epoch} of {event.name} is not newer than epoch {newest}, accepted "
                "before",
                hint="a changed contract has a larger epoch",
            )

    def _check_contract_revoked(self, event: ContractRevoked, _at: datetime) -> None:
        self.check_in_force(event.contract)

    def _check_approved(self, event: Approved, at: datetime) -> None:
        self.check_in_force(event.contract)
        job = self._jobs.get(event.job_id)
        if job is not None:
            self._check_renewal(job, event)
        if at > event.not_after:
            raise ApprovalError("the approval would end before it begins")
        # What a lost ledger knew of older jobs is lost: their attempts may have had grants. A job
        # that was granted before may bear a time that is ahead by what proposers' clocks may be.
        if self.begun.replaces_lost and (
            self._begun_at is None or event.proposed <= self._begun_at + CLOCK_SKEW
        ):
            raise ApprovalError(
                f"job {event.job_id} may have been proposed before this ledger took the place of "
                "a lost one",
                hint="wait six minutes after `mc2 init --new-ledger`, then propose the job again",
            )

    def _check_renewal(self, job: JobRecord, event: Approved) -> None:
        """An approval may be given again, with another end; its grants still count."""
        before = job.approved
        if job.ended or before is None:
            raise LedgerError(
                f"job {event.job_id} was {job.ended} here before",
                hint="that stands; to run it after all, propose it again",
            )
        if (before.contract, before.plan) != (event.contract, event.plan):
            raise LedgerError(f"job {event.job_id} was approved here for another plan or contract")

    def _check_granted(self, event: Granted, at: datetime) -> None:
        self.check_may_grant(event.context, at)

    def _check_rejected(self, event: Rejected, _at: datetime) -> None:
        job = self._jobs.get(event.job_id)
        if job is not None and job.ended:
            raise LedgerError(f"job {event.job_id} was {job.ended} here before")

    def _check_known(self, event: Revoked | Refused | JobClosed, _at: datetime) -> None:
        job = self._jobs.get(event.job_id)
        if job is None or job.approved is None:
            raise LedgerError(f"job {event.job_id} was not approved here")
        if job.ended:
            raise LedgerError(f"job {event.job_id} was {job.ended} here before")
