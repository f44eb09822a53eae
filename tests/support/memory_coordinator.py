"""A coordinator in memory, for tests of one party's client. It believes everything it is told.

Its worker is a `FakeEnclave`: challenges in, evidence out; grants in, a proof out. Tests falsify
what it answers by replacing methods or fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mc2.client.coordinator import DatasetEntry
from mc2.crypto.digest import Digest, digest
from mc2.errors import CoordinatorError
from mc2.formats.bundle import JobBundle, Proof
from mc2.formats.card import verify_card
from mc2.formats.contract import Contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.job import Approval, Proposal, Rejection
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest
from mc2.formats.release import Challenge, Grant
from mc2.formats.statement import Statement
from mc2.formats.status import JobChanges, JobNews, JobState, JobStatus
from mc2.plan.plan import Plan
from tests.support.party_jobs import FakeEnclave, Pieces


def payload(raw: bytes, kind: type[Statement]) -> bytes:
    return Envelope.parse(raw, kind.PAYLOAD_TYPE, kind.LIMIT).payload


@dataclass
class StoredJob:
    plan: bytes
    proposal: bytes
    approvals: dict[str, bytes] = field(default_factory=dict)
    rejections: dict[str, bytes] = field(default_factory=dict)
    state: JobState = JobState.PROPOSED
    attempt: int = 0
    phase: str = "waiting"
    challenges: dict[str, bytes] = field(default_factory=dict)
    evidence: bytes | None = None
    grants: dict[str, bytes] = field(default_factory=dict)
    proof: bytes = b""
    error: str = ""


class MemoryCoordinator:
    """One instance is shared by the clients of all parties."""

    def __init__(self, enclave: Callable[[Pieces], FakeEnclave] = FakeEnclave) -> None:
        self.enclave = enclave
        self.parties: dict[str, bytes] = {}
        self.agreed: dict[Digest, bytes] = {}
        self.blobs: dict[Digest, bytes] = {}
        self.manifests: dict[Digest, bytes] = {}
        self.stored: dict[str, StoredJob] = {}
        self.workers: dict[str, FakeEnclave] = {}
        self.refusals: list[tuple[str, int, str]] = []

    # --- parties, contracts, data

    def register(self, card: bytes, token: str) -> None:
        if token != "welcome":
            raise CoordinatorError("a wrong token")
        self.parties[verify_card(card).card.name] = card

    def cards(self) -> list[bytes]:
        return list(self.parties.values())

    def put_contract(self, envelope: bytes) -> Digest:
        parsed = self._contract(envelope)
        name = parsed.payload_digest
        if name in self.agreed:
            parsed = self._contract(self.agreed[name]).merge([parsed])
        self.agreed[name] = parsed.encode()
        return name

    def _contract(self, raw: bytes) -> Envelope:
        return Envelope.parse(raw, PayloadType.CONTRACT, LIMITS.contract_bytes)

    def contract(self, name: Digest) -> bytes:
        if name not in self.agreed:
            raise CoordinatorError("no such contract")
        return self.agreed[name]

    def contracts(self) -> list[Digest]:
        return list(self.agreed)

    def missing(self, names: Sequence[Digest]) -> list[Digest]:
        return [n for n in names if n not in self.blobs]

    def put_blob(self, name: Digest, raw: bytes) -> None:
        self.blobs[name] = raw

    def get_blob(self, name: Digest) -> bytes:
        return self.blobs[name]

    def put_manifest(self, envelope: bytes) -> Digest:
        name = digest(payload(envelope, Manifest))
        self.manifests[name] = envelope
        return name

    def manifest(self, name: Digest) -> bytes:
        return self.manifests[name]

    def datasets(self) -> list[DatasetEntry]:
        found = [(n, Manifest.parse(payload(m, Manifest))) for n, m in self.manifests.items()]
        return [DatasetEntry(m.dataset, m.version, n) for n, m in found]

    # --- jobs

    def propose(self, plan: bytes, proposal: bytes) -> str:
        job_id = Proposal.parse(payload(proposal, Proposal)).job_id
        self.stored[job_id] = StoredJob(plan, proposal)
        return job_id

    def jobs(self) -> list[JobStatus]:
        return [self._status(job_id) for job_id in self.stored]

    def job(self, job_id: str) -> JobStatus:
        return self._status(job_id)

    def _status(self, job_id: str) -> JobStatus:
        job = self._job(job_id)
        plan = Plan.parse(job.plan)
        owners = {i.owner for i in plan.inputs}
        there = {"challenge": job.challenges, "grant": job.grants, "waiting": job.approvals}
        missing = owners - there.get(job.phase, dict.fromkeys(owners, b"")).keys()
        return JobStatus(
            job_id=job_id,
            contract=plan.contract,
            plan=digest(job.plan),
            proposer=Proposal.parse(payload(job.proposal, Proposal)).proposer,
            state=job.state,
            attempt=job.attempt,
            phase=job.phase,
            approvals=tuple(sorted(job.approvals)),
            rejections=tuple(sorted(job.rejections)),
            challenges=tuple(sorted(job.challenges)),
            grants=tuple(sorted(job.grants)),
            missing=tuple(sorted(missing)),
            progress="",
            error_code="worker" if job.error else "",
            error=job.error,
        )

    def _job(self, job_id: str) -> StoredJob:
        if job_id not in self.stored:
            raise CoordinatorError("no such job")
        return self.stored[job_id]

    def job_bundle(self, job_id: str) -> bytes:
        job = self._job(job_id)
        plan = Plan.parse(job.plan)
        return JobBundle(
            contract=self.agreed[plan.contract],
            plan=job.plan,
            proposal=job.proposal,
            approvals=job.approvals,
            manifests={i.dataset: self.manifests[i.manifest] for i in plan.inputs},
            attempt=max(1, job.attempt),
        ).encode()

    def approve(self, job_id: str, approval: bytes) -> None:
        job = self._job(job_id)
        job.approvals[Approval.parse(payload(approval, Approval)).approver] = approval
        if {i.owner for i in Plan.parse(job.plan).inputs} <= job.approvals.keys():
            job.state = JobState.APPROVED

    def reject(self, job_id: str, rejection: bytes) -> None:
        job = self._job(job_id)
        job.rejections[Rejection.parse(payload(rejection, Rejection)).member] = rejection
        job.state = JobState.REJECTED

    def rejections(self, job_id: str) -> list[bytes]:
        return list(self._job(job_id).rejections.values())

    def cancel(self, job_id: str) -> None:
        self._job(job_id).state = JobState.CANCELLED

    def start(self, job_id: str) -> int:
        job = self._job(job_id)
        if job.state is JobState.PROPOSED:
            raise CoordinatorError("not approved by all yet")
        if job.state is JobState.APPROVED:
            self.next_attempt(job_id)
        return job.attempt

    def next_attempt(self, job_id: str) -> None:
        """What a coordinator does when a worker was lost."""
        job = self._job(job_id)
        job.state, job.attempt, job.phase = JobState.RUNNING, job.attempt + 1, "challenge"
        job.challenges, job.evidence, job.grants = {}, None, {}
        bundle = JobBundle.parse(self.job_bundle(job_id))
        contract = Contract.parse(self._contract(bundle.contract).payload)
        manifests = {n: Manifest.parse(payload(m, Manifest)) for n, m in bundle.manifests.items()}
        pieces = Pieces(
            contract=contract,
            manifests=manifests,
            plan=Plan.parse(job.plan),
            job_id=job_id,
            attempt=job.attempt,
        )
        self.workers[job_id] = self.enclave(pieces)

    def put_challenge(self, job_id: str, attempt: int, challenge: bytes) -> None:
        job = self._job(job_id)
        assert (job.attempt, job.phase) == (attempt, "challenge")
        job.challenges[Challenge.parse(payload(challenge, Challenge)).owner] = challenge
        if {i.owner for i in Plan.parse(job.plan).inputs} == job.challenges.keys():
            job.evidence = self.workers[job_id].attest(job.challenges)
            job.phase = "grant"

    def evidence(self, job_id: str, attempt: int) -> bytes | None:
        return self._job(job_id).evidence

    def challenges(self, job_id: str, attempt: int) -> dict[str, bytes]:
        return dict(self._job(job_id).challenges)

    def put_grant(self, job_id: str, attempt: int, grant: bytes) -> None:
        job = self._job(job_id)
        assert (job.attempt, job.phase) == (attempt, "grant")
        job.grants[Grant.parse(payload(grant, Grant)).owner] = grant
        if {i.owner for i in Plan.parse(job.plan).inputs} == job.grants.keys():
            self._finish(job_id, job)

    def refuse(self, job_id: str, attempt: int, code: str) -> None:
        self.refusals.append((job_id, attempt, code))

    def _finish(self, job_id: str, job: StoredJob) -> None:
        enclave, bundle = self.workers[job_id], JobBundle.parse(self.job_bundle(job_id))
        results = enclave.results()
        job.proof = Proof(
            job=bundle,
            challenges=job.challenges,
            evidence=job.evidence,
            members={},
            grants=job.grants,
            receipt=enclave.receipt(bundle, job.evidence, job.grants, results),
            results={n: r.encode() for n, r in results.items()},
        ).encode()
        self.blobs |= enclave.blobs
        job.state, job.phase = JobState.SUCCEEDED, "done"

    def proof(self, job_id: str) -> bytes:
        return self._job(job_id).proof

    def news(self, job_id: str, seen: int, seconds: float) -> JobNews:
        return JobNews(seen + 1, self.job(job_id))

    def changes(self, seen: int, seconds: float) -> JobChanges:
        return JobChanges(seen + 1, tuple(self.jobs()))
