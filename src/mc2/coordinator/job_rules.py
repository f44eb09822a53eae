"""What members may do with a job before it runs: propose, approve, reject, cancel, start.

The enclave checks all of this again, and the owners before they grant. Here it keeps honest
people from waiting for a job that could never run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mc2.coordinator.jobs import APPROVAL, CHALLENGE, GRANT, REJECTION, JobRecord, JobTable
from mc2.coordinator.mailbox import Mailbox
from mc2.coordinator.refusals import NotFoundError
from mc2.crypto.digest import Digest, digest
from mc2.errors import ApprovalError, ContractError, DatasetError, FormatError, JobError
from mc2.formats.bundle import JobBundle
from mc2.formats.canonical import decode
from mc2.formats.contract import Contract, VerifiedContract, verify_contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import to_time
from mc2.formats.job import Approval, Proposal, Rejection
from mc2.formats.job_metrics import METRICS_BYTES, JobMetrics
from mc2.formats.limits import LIMITS
from mc2.formats.status import STATUSES_AT_ONCE, JobChanges, JobState, JobStatus
from mc2.plan.home import home_parties
from mc2.plan.plan import Plan, PlanInput

_BUNDLE_SPARE_BYTES = 64 * 1024  # names and punctuation around the objects in a bundle


@dataclass(frozen=True, slots=True)
class JobRules:
    """The rules about jobs up to their start."""

    mailbox: Mailbox
    table: JobTable

    # --- propose ---

    def propose(self, caller: str, plan: bytes, proposal: bytes) -> str:
        """Take in a plan and its signed proposal; the job's id. The same again is no error.

        Raises: FormatError, SignatureError, ContractError, DatasetError, JobError, QuotaError.
        """
        parsed = Plan.parse(plan)
        contract = self._complete_contract(caller, parsed.contract)
        said = Proposal.verify(proposal, contract.contract.key_of).value
        if (said.proposer, said.contract, said.plan) != (caller, contract.digest, digest(plan)):
            raise JobError("the proposal is by another party, or for another plan or contract")
        if "analyst" not in contract.contract.member(caller).roles:
            raise ContractError(
                f"{caller} is not an analyst of {contract.contract.name}",
                hint="a member with the role analyst proposes",
            )
        owners = parsed.owners
        job = JobRecord(
            job_id=said.job_id,
            contract=contract.digest,
            plan=said.plan,
            proposer=caller,
            approvers=_approvers(contract.contract, owners),
            owners=owners,
        )
        with self.mailbox.store.database.transaction():
            if self.table.find(said.job_id) is not None:
                return self._same_proposal(said.job_id, proposal)
            size = self._check_inputs(contract.contract, parsed.inputs)
            if size + len(contract.envelope) + len(plan) > LIMITS.bundle_bytes:
                raise FormatError("the plan and its manifests are too large for one job")
            self._keep(caller, job, plan, proposal, parsed.inputs)
        self.mailbox.bell.ring()
        return said.job_id

    def _keep(
        self,
        caller: str,
        job: JobRecord,
        plan: bytes,
        proposal: bytes,
        inputs: tuple[PlanInput, ...],
    ) -> None:
        self.mailbox.store.charge(caller, len(plan) + len(proposal))
        database = self.mailbox.store.database
        database.run("INSERT OR IGNORE INTO plans VALUES (?, ?)", job.plan, plan)
        self.table.add(job, proposal, {item.dataset: item.manifest for item in inputs})

    def _same_proposal(self, job_id: str, proposal: bytes) -> str:
        if self.table.proposal(job_id) != proposal:
            raise JobError("there is another job of this id", hint="propose again, with a fresh id")
        return job_id

    def _complete_contract(self, caller: str, name: Digest) -> VerifiedContract:
        return verify_contract(self.mailbox.contract(caller, name), at=self.mailbox.clock())

    def _check_inputs(self, contract: Contract, inputs: Iterable[PlanInput]) -> int:
        """Every input is published by a member who is an owner; how large the manifests are."""
        size = _BUNDLE_SPARE_BYTES
        for item in inputs:
            for owner in item.owners:
                if "owner" not in contract.member(owner).roles:
                    raise ContractError(f"{owner} is not an owner in {contract.name}")
            if item.kept is not None:
                size += self._check_kept(contract, item)
                continue
            row = self.mailbox.store.database.row(
                "SELECT dataset, owner, LENGTH(envelope) AS size FROM manifests WHERE digest = ?",
                item.manifest,
            )
            if row is None or (row["dataset"], row["owner"]) != (item.dataset, item.owner):
                raise DatasetError(
                    f"the version of {item.dataset} that the plan reads is not here",
                    hint=f"{item.owner} must `mc2 upload` it first",
                )
            size += row["size"]
        return size

    def _check_kept(self, contract: Contract, item: PlanInput) -> int:
        """A kept result is one of a job under this contract; how large it is."""
        row = self.mailbox.store.database.row(
            "SELECT dataset, owners, LENGTH(raw) AS size FROM kept"
            " WHERE digest = ? AND contract = ?",
            item.manifest,
            contract.digest,
        )
        if row is None or (row["dataset"], row["owners"]) != (item.dataset, " ".join(item.owners)):
            raise DatasetError(
                f"what the plan reads as {item.dataset} was not kept under {contract.name}",
                hint="run the job that keeps it, under this contract",
            )
        return int(row["size"])

    # --- look ---

    def visible(self, caller: str, job_id: str) -> JobRecord:
        """A job, for members of its contract. Raises: NotFoundError, also for all others."""
        job = self.table.find(job_id)
        if job is None or not self.mailbox.is_member(caller, job.contract):
            raise NotFoundError(f"there is no job {job_id} for {caller}", hint="see `mc2 status`")
        return job

    def status(self, caller: str, job_id: str) -> JobStatus:
        """Where a job stands, with the numbers of its newest attempt."""
        job = self.visible(caller, job_id)
        attempt = self.table.find_attempt(job.job_id, job.attempt)
        if attempt is None or not attempt.metrics:
            return self._status(job)
        value = decode(attempt.metrics, METRICS_BYTES, "the metrics of an attempt")
        return replace(self._status(job), metrics=JobMetrics.read(value))

    def statuses(self, caller: str) -> list[JobStatus]:
        """Where all jobs of the caller's contracts stand."""
        party = self.mailbox.party(caller)
        return [self._status(job) for job in self.table.visible(party.name, party.card_digest)]

    def changed(self, caller: str, seen: int, newest: int) -> JobChanges:
        """Where the caller's jobs stand that changed since event `seen`; at 0, all not over."""
        party = self.mailbox.party(caller)
        jobs = self.table.changed(party.name, party.card_digest, seen, STATUSES_AT_ONCE)
        if len(jobs) == STATUSES_AT_ONCE:
            newest = jobs[-1].event  # there may be more, which the next question finds
        return JobChanges(newest, tuple(self._status(job) for job in jobs))

    def _status(self, job: JobRecord) -> JobStatus:
        names = self.table.names(job.job_id, job.attempt)
        attempt = self.table.find_attempt(job.job_id, job.attempt)
        phase = "done" if job.state.final else attempt.phase if attempt else "waiting"
        missing: set[str] = set()
        if job.state is JobState.PROPOSED:
            missing = set(job.approvers) - set(names[APPROVAL])
        elif phase in (CHALLENGE, GRANT):
            missing = set(job.owners) - set(names[phase])
        return JobStatus(
            job_id=job.job_id,
            contract=job.contract,
            plan=job.plan,
            proposer=job.proposer,
            state=job.state,
            attempt=job.attempt,
            phase=phase,
            approvals=names[APPROVAL],
            rejections=names[REJECTION],
            challenges=names[CHALLENGE],
            grants=names[GRANT],
            missing=tuple(sorted(missing)),
            progress=attempt.progress if attempt else "",
            error_code=job.error_code,
            error=job.error,
        )

    def bundle(self, caller: str, job_id: str) -> bytes:
        """What was signed about a job so far, as a `JobBundle`."""
        return self.bundle_of(self.visible(caller, job_id)).encode()

    def bundle_of(self, job: JobRecord) -> JobBundle:
        """The bundle of a job's present attempt, or of its first before there is one."""
        database = self.mailbox.store.database
        with database.transaction():
            return JobBundle(
                contract=database.value(
                    "SELECT envelope FROM contracts WHERE digest = ?", job.contract
                ),
                plan=database.value("SELECT raw FROM plans WHERE digest = ?", job.plan),
                proposal=self.table.proposal(job.job_id),
                approvals=self.table.statements(job.job_id, APPROVAL),
                manifests=self.table.inputs(job.job_id),
                kept=self.table.kept(job.job_id),
                attempt=max(1, job.attempt),
            )

    # --- decide ---

    def approve(self, caller: str, job_id: str, raw: bytes) -> None:
        """Take in an approval. A newer one replaces it until the job starts.

        Raises: FormatError, SignatureError, ApprovalError, JobError, NotFoundError.
        """
        job = self.visible(caller, job_id)
        said = Approval.verify(raw, self.contract_of(job).key_of).value
        if (said.approver, said.job_id, said.plan, said.contract) != (
            caller,
            job_id,
            job.plan,
            job.contract,
        ):
            raise ApprovalError("the approval is by another party, or for something else")
        if caller not in job.approvers:
            raise ApprovalError(
                f"{caller} has no say in this job, so an approval would count for nothing",
                hint=f"it is for {', '.join(job.approvers)} to approve",
            )
        if self.mailbox.clock() > said.not_after:
            raise ApprovalError(f"the approval lapsed on {to_time(said.not_after)}")
        with self.mailbox.store.database.transaction():
            job = self.visible(caller, job_id)
            if self.table.statements(job_id, APPROVAL).get(caller) == raw:
                return
            if job.state not in (JobState.PROPOSED, JobState.APPROVED):
                raise JobError(f"the job is {job.state.word}; it is too late to approve")
            self.table.put_statement(job_id, APPROVAL, caller, raw)
            there = self.table.statements(job_id, APPROVAL)
            if job.state is JobState.PROPOSED and set(job.approvers) <= there.keys():
                self.table.set_state(job, JobState.APPROVED)
        self.mailbox.bell.ring()

    def reject(self, caller: str, job_id: str, raw: bytes) -> None:
        """Take in a rejection, which ends the job, even while it runs.

        Raises: FormatError, SignatureError, JobError, NotFoundError.
        """
        job = self.visible(caller, job_id)
        said = Rejection.verify(raw, self.contract_of(job).key_of).value
        if (said.member, said.job_id, said.plan, said.contract) != (
            caller,
            job_id,
            job.plan,
            job.contract,
        ):
            raise JobError("the rejection is by another party, or for something else")
        with self.mailbox.store.database.transaction():
            if self.table.statements(job_id, REJECTION).get(caller) == raw:
                return
            self.table.set_state(job, JobState.REJECTED, "job", f"rejected by {caller}")
            self.table.put_statement(job_id, REJECTION, caller, raw)
        self.mailbox.bell.ring()

    def rejections(self, caller: str, job_id: str) -> list[bytes]:
        """The signed rejections."""
        return list(self.table.statements(self.visible(caller, job_id).job_id, REJECTION).values())

    def cancel(self, caller: str, job_id: str) -> None:
        """The proposer takes a job back. Raises: JobError, NotFoundError."""
        job = self.visible(caller, job_id)
        if caller != job.proposer:
            raise JobError(
                f"only {job.proposer}, who proposed the job, can cancel it",
                hint="reject it instead: `mc2 reject`",
            )
        if job.state is JobState.CANCELLED:
            return
        self.table.set_state(job, JobState.CANCELLED, "job", f"cancelled by {caller}")
        self.mailbox.bell.ring()

    def approvals(self, job: JobRecord) -> dict[str, Approval]:
        """What the members who approved allow, by member."""
        return {
            name: Approval.parse(Envelope.parse(raw, PayloadType.APPROVAL, Approval.LIMIT).payload)
            for name, raw in self.table.statements(job.job_id, APPROVAL).items()
        }

    def contract_of(self, job: JobRecord) -> Contract:
        """A job's contract, for its members' keys, lapsed or not: one may still reject."""
        envelope = self.mailbox.store.database.value(
            "SELECT envelope FROM contracts WHERE digest = ?", job.contract
        )
        found = Envelope.parse(envelope, PayloadType.CONTRACT, LIMITS.contract_bytes)
        return Contract.parse(found.payload)


def _approvers(contract: Contract, owners: tuple[str, ...]) -> tuple[str, ...]:
    if contract.approvers == "owners":
        return owners
    return tuple(member.name for member in contract.members)


def parties_at_home(bundle: bytes) -> tuple[str, ...]:
    """The parties whose rows stay at home, in a job's bundle. Raises: FormatError, PlanError."""
    return home_parties(Plan.parse(JobBundle.parse(bundle).plan))
