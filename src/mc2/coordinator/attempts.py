"""What members may do with a job that runs: start it, challenge, grant, fetch its proof."""

from __future__ import annotations

from dataclasses import dataclass

from mc2.coordinator.job_rules import JobRules
from mc2.coordinator.jobs import (
    CHALLENGE,
    EVIDENCE,
    GRANT,
    MEMBER,
    RECEIPT,
    REFUSAL,
    RESULT,
    AttemptRecord,
    JobRecord,
)
from mc2.coordinator.refusals import NotFoundError
from mc2.crypto.digest import Digest
from mc2.errors import ApprovalError, GrantError, JobError
from mc2.formats.bundle import Proof
from mc2.formats.contract import verify_contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import to_time
from mc2.formats.limits import LIMITS
from mc2.formats.release import Challenge, Grant, JobContext
from mc2.formats.status import JobState


@dataclass(frozen=True, slots=True)
class AttemptRules:
    """The rules about running jobs."""

    jobs: JobRules

    # --- for members ---

    def start(self, caller: str, job_id: str) -> int:
        """Start an approved job; the number of the attempt under way if there is one.

        Raises: JobError, ApprovalError, ContractError, NotFoundError.
        """
        rules = self.jobs
        job = rules.visible(caller, job_id)
        if caller not in (job.proposer, *job.approvers):
            raise JobError(f"it is for {job.proposer} or those who approve to start the job")
        with rules.mailbox.store.database.transaction():
            job = rules.visible(caller, job_id)
            if job.state is JobState.RUNNING:
                return job.attempt
            if job.state is JobState.PROPOSED:
                raise JobError("the job is not approved by all yet", hint="see `mc2 status`")
            if job.state.final:
                raise JobError(f"the job is {job.state.word}", hint="propose it again")
            self._check_time(job)
            rules.table.set_state(job, JobState.RUNNING)
            now = int(rules.mailbox.clock().timestamp())
            rules.table.add_attempt(job_id, 1, now, "waits for a worker")
        rules.mailbox.bell.ring()
        return 1

    def _check_time(self, job: JobRecord) -> None:
        rules = self.jobs
        now = rules.mailbox.clock()
        verify_contract(rules.bundle_of(job).contract, at=now)
        for name, approval in rules.approvals(job).items():
            if now > approval.not_after:
                raise ApprovalError(
                    f"the approval by {name} lapsed on {to_time(approval.not_after)}",
                    hint=f"{name} can approve again, until the job starts",
                )

    def put_challenge(self, caller: str, job_id: str, attempt: int, raw: bytes) -> None:
        """Take in an owner's challenge; until evidence is asked for, a newer one replaces it.

        Raises: FormatError, SignatureError, JobError, NotFoundError.
        """
        job = self.jobs.visible(caller, job_id)
        said = Challenge.verify(raw, self.jobs.contract_of(job).key_of).value
        if said.owner != caller or said.context != self._context(job, attempt):
            raise JobError("the challenge is by another party, or for something else")
        with self.jobs.mailbox.store.database.transaction():
            at = self._under_way(job_id, attempt, CHALLENGE, caller, raw)
            if at is None:
                return
            self.jobs.table.put_message(at, CHALLENGE, caller, raw)
        self.jobs.mailbox.bell.ring()

    def put_grant(self, caller: str, job_id: str, attempt: int, raw: bytes) -> None:
        """Take in an owner's grant, one for each attempt.

        Raises: FormatError, SignatureError, GrantError, JobError, NotFoundError.
        """
        job = self.jobs.visible(caller, job_id)
        said = Grant.verify(raw, self.jobs.contract_of(job).key_of).value
        if said.owner != caller or said.context != self._context(job, attempt):
            raise GrantError("the grant is by another party, or for something else")
        with self.jobs.mailbox.store.database.transaction():
            at = self._under_way(job_id, attempt, GRANT, caller, raw)
            if at is None:
                return
            table = self.jobs.table
            if caller in table.messages(job_id, attempt, GRANT):
                raise GrantError(f"{caller} has granted attempt {attempt} already")
            evidence = table.messages(job_id, attempt, EVIDENCE)[EVIDENCE]
            challenge = table.messages(job_id, attempt, CHALLENGE)[caller]
            if (said.evidence, said.challenge) != (
                _name(evidence, PayloadType.EVIDENCE, LIMITS.evidence_bytes),
                _name(challenge, PayloadType.CHALLENGE, LIMITS.message_bytes),
            ):
                raise GrantError("the grant is for other evidence or another challenge")
            table.put_message(at, GRANT, caller, raw)
        self.jobs.mailbox.bell.ring()

    def refuse(self, caller: str, job_id: str, attempt: int, code: str) -> None:
        """An owner will not grant on this evidence: nobody needs to wait for it any longer.

        `code` names the kind of error; which rules failed stays with the owner.

        Raises: JobError, NotFoundError.
        """
        self.jobs.visible(caller, job_id)
        with self.jobs.mailbox.store.database.transaction():
            at = self._under_way(job_id, attempt, GRANT, caller, b"")
            if at is None or caller in self.jobs.table.messages(job_id, attempt, GRANT):
                raise JobError(f"{caller} has granted attempt {attempt} already")
            self.jobs.table.put_message(at, REFUSAL, caller, code.encode("ascii"))
        self.jobs.mailbox.bell.ring()

    def _under_way(
        self, job_id: str, attempt: int, kind: str, caller: str, raw: bytes
    ) -> AttemptRecord | None:
        """The attempt, if it waits for such a message of the caller; None if it has this one."""
        if self.jobs.table.messages(job_id, attempt, kind).get(caller) == raw:
            return None
        job = self.jobs.visible(caller, job_id)
        at = self.jobs.table.find_attempt(job_id, attempt)
        if at is None or at.ended or job.state is not JobState.RUNNING or job.attempt != attempt:
            raise JobError(f"attempt {attempt} is not under way", hint="see `mc2 status`")
        if at.phase != kind:  # the phases are called after what they wait for
            raise JobError(f"attempt {attempt} does not wait for a {kind} now, but for {at.phase}")
        if caller not in job.owners:
            raise JobError(f"{caller} brings no data into this job, so nobody waits for a {kind}")
        return at

    def evidence(self, caller: str, job_id: str, attempt: int) -> bytes | None:
        """The enclave's signed evidence, once it is there."""
        self._visible_attempt(caller, job_id, attempt)
        return self.jobs.table.messages(job_id, attempt, EVIDENCE).get(EVIDENCE)

    def challenges(self, caller: str, job_id: str, attempt: int) -> dict[str, bytes]:
        """The challenges that are there, by owner."""
        self._visible_attempt(caller, job_id, attempt)
        return self.jobs.table.messages(job_id, attempt, CHALLENGE)

    def _visible_attempt(self, caller: str, job_id: str, attempt: int) -> None:
        self.jobs.visible(caller, job_id)
        if self.jobs.table.find_attempt(job_id, attempt) is None:
            raise NotFoundError(f"there is no attempt {attempt} of the job {job_id}")

    def proof(self, caller: str, job_id: str) -> bytes:
        """The proof of a job that has succeeded. Raises: JobError for every other."""
        job = self.jobs.visible(caller, job_id)
        if job.state is not JobState.SUCCEEDED:
            raise JobError(
                f"the job is {job.state.word}; only one that succeeded has a proof",
                hint="propose it again" if job.state.final else "see it through: mc2 run",
            )
        table = self.jobs.table
        with self.jobs.mailbox.store.database.transaction():
            return Proof(
                job=self.jobs.bundle_of(job),
                challenges=table.messages(job_id, job.attempt, CHALLENGE),
                evidence=table.messages(job_id, job.attempt, EVIDENCE)[EVIDENCE],
                members={
                    Digest(name): raw
                    for name, raw in table.messages(job_id, job.attempt, MEMBER).items()
                },
                grants=table.messages(job_id, job.attempt, GRANT),
                receipt=table.messages(job_id, job.attempt, RECEIPT)[RECEIPT],
                results=table.messages(job_id, job.attempt, RESULT),
            ).encode()

    def _context(self, job: JobRecord, attempt: int) -> JobContext:
        return JobContext(
            contract=job.contract,
            policy=self.jobs.contract_of(job).policy_digest,
            plan=job.plan,
            job_id=job.job_id,
            attempt=attempt,
        )


def _name(envelope: bytes, kind: str, limit: int) -> Digest:
    return Envelope.parse(envelope, kind, limit).payload_digest
