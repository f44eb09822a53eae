"""How the scheduler moves an attempt forward, and how an attempt ends.

An attempt's number is used once. Whatever a coordinator loses, by a crash or a dead worker, it
loses the attempt and begins the next: an owner grants at most once per attempt, so a second run
of the same one could get no keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

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
from mc2.errors import FormatError, JobError, Mc2Error, WorkerError
from mc2.formats.canonical import encode
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.home import evidence_digest
from mc2.formats.job_metrics import JobMetrics
from mc2.formats.limits import LIMITS
from mc2.formats.release import Challenge
from mc2.formats.result import Result
from mc2.formats.status import JobState

LAPSE_GRACE: Final = timedelta(seconds=60)  # between the clocks of an owner and a coordinator


class LateError(JobError):
    """People did not answer in time. The next attempt asks them again."""


class RefusedError(LateError):
    """An owner refused the evidence, so its grant will not come. The next attempt asks again."""


@dataclass(frozen=True, slots=True)
class RunRules:
    """The rules about attempts under way. All methods refuse, with JobError, if the job went on."""

    jobs: JobRules

    def recover(self) -> None:
        """After a start: whatever was under way with a worker is lost; its job goes on."""
        for at in self.jobs.table.open_attempts():
            if at.phase != "waiting":
                self.lost(at, WorkerError("the coordinator was restarted meanwhile"))

    def bundle(self, at: AttemptRecord) -> bytes:
        """The bundle that the enclave is to open. Raises: JobError if the job went on."""
        return self.jobs.bundle_of(self._running(at)).encode()

    def enter(self, at: AttemptRecord, phase: str) -> None:
        """Move an attempt to its next phase. Raises: JobError if the job went on."""
        with self.jobs.mailbox.store.database.transaction():
            self._running(at)
            self.jobs.table.set_phase(at.job_id, at.attempt, phase, self._now())
        self.jobs.mailbox.bell.ring()

    def say(self, at: AttemptRecord, text: str) -> None:
        """Publish where an attempt stands, in words."""
        self.jobs.table.set_progress(at.job_id, at.attempt, text)
        self.jobs.mailbox.bell.ring()

    def count(self, at: AttemptRecord, metrics: JobMetrics) -> None:
        """Keep an attempt's numbers, for whoever hears of its next event."""
        self.jobs.table.set_metrics(at.job_id, at.attempt, encode(metrics.json()))

    def collect_challenges(self, at: AttemptRecord) -> Mapping[str, bytes] | None:
        """All owners' challenges, closing the phase; None while one is missing or has lapsed.

        One that lapsed is dropped, so that its owner is asked again.
        Raises: JobError if the job went on.
        """
        table = self.jobs.table
        with self.jobs.mailbox.store.database.transaction():
            job = self._running(at)
            there = table.messages(at.job_id, at.attempt, CHALLENGE)
            parsed = {name: _challenge(raw) for name, raw in there.items()}
            # The enclave has no clock: for it, time is the latest that an owner states.
            now = max([self.jobs.mailbox.clock(), *(c.issued for c in parsed.values())])
            lapsed = [name for name, c in parsed.items() if now > c.not_after]
            for name in lapsed:
                table.drop_message(at, CHALLENGE, name)
            complete = not lapsed and set(job.owners) <= there.keys()
            if complete:
                table.set_phase(at.job_id, at.attempt, "attest", self._now())
        if complete or lapsed:
            self.jobs.mailbox.bell.ring()
        return there if complete else None

    def put_evidence(self, at: AttemptRecord, raw: bytes) -> None:
        """Publish the evidence and wait for grants.

        Raises: WorkerError if it is malformed; JobError if the job went on.
        """
        with _worker_fault():
            Envelope.parse(raw, PayloadType.EVIDENCE, LIMITS.evidence_bytes)
        with self.jobs.mailbox.store.database.transaction():
            self._running(at)
            self.jobs.table.put_message(at, EVIDENCE, EVIDENCE, raw)
            self.jobs.table.set_phase(at.job_id, at.attempt, "grant", self._now())
        self.jobs.mailbox.bell.ring()

    def collect_grants(self, at: AttemptRecord) -> Mapping[str, bytes] | None:
        """All owners' grants, closing the phase; None while one is missing.

        Raises: JobError if the job went on; RefusedError once an owner refused the evidence, and
        LateError once its challenge has lapsed, since that owner will not grant any more.
        """
        table = self.jobs.table
        with self.jobs.mailbox.store.database.transaction():
            job = self._running(at)
            there = table.messages(at.job_id, at.attempt, GRANT)
            missing = sorted(set(job.owners) - there.keys())
            if not missing:
                table.set_phase(at.job_id, at.attempt, "compute", self._now())
            challenges = table.messages(at.job_id, at.attempt, CHALLENGE)
            refusals = table.messages(at.job_id, at.attempt, REFUSAL)
        if not missing:
            self.jobs.mailbox.bell.ring()
            return there
        for name, code in refusals.items():
            raise RefusedError(
                f"{name} refused the enclave's evidence ({code.decode('ascii')})",
                hint=f"{name} sees which rules failed: mc2 log",
            )
        for name in missing:
            if self.jobs.mailbox.clock() > _challenge(challenges[name]).not_after + LAPSE_GRACE:
                raise LateError(
                    f"{name} did not grant before its challenge lapsed",
                    hint=f"{name} runs `mc2 agent`, or answers while the job waits",
                )
        return None

    def put_members(self, at: AttemptRecord, evidence: Iterable[bytes]) -> None:
        """Keep the evidence of enclaves that were admitted to a cluster: the proof needs it.

        Raises: WorkerError if it is malformed; JobError if the job went on.
        """
        with _worker_fault():
            named = {evidence_digest(raw): raw for raw in evidence}
        with self.jobs.mailbox.store.database.transaction():
            self._running(at)
            for name, raw in named.items():
                self.jobs.table.put_message(at, MEMBER, name, raw)

    def succeed(self, at: AttemptRecord, receipt: bytes, results: Mapping[str, bytes]) -> None:
        """Keep receipt and results; the job is done.

        Raises: WorkerError if they are malformed or not whole; JobError if the job went on.
        """
        with _worker_fault():
            Envelope.parse(receipt, PayloadType.RECEIPT, LIMITS.receipt_bytes)
            parsed = {name: Result.parse(raw) for name, raw in results.items()}
            chunks = {name: {c.digest for c in r.chunks} for name, r in parsed.items()}
        table = self.jobs.table
        with self.jobs.mailbox.store.database.transaction():
            job = self._running(at)
            for name, raw in results.items():
                holder = f"{at.job_id}/{at.attempt}/{name}"
                if chunks[name] != self.jobs.mailbox.store.hold(holder, chunks[name]).keys():
                    raise WorkerError(f"the enclave did not hand over all chunks of {name}")
                self.jobs.mailbox.store.charge(job.proposer, len(raw))
                table.put_message(at, RESULT, name, raw)
                if parsed[name].kept is not None:
                    table.keep(parsed[name], raw)
            table.put_message(at, RECEIPT, RECEIPT, receipt)
            table.end_attempt(at.job_id, at.attempt)
            table.set_state(job, JobState.SUCCEEDED)
        self.jobs.mailbox.bell.ring()

    def fail(self, at: AttemptRecord, code: str, error: str) -> None:
        """End the attempt and its job. A job that ended otherwise meanwhile stays as it is."""
        with self.jobs.mailbox.store.database.transaction():
            if self._has_ended(at):
                return
            self.jobs.table.end_attempt(at.job_id, at.attempt, code, error)
            job = self.jobs.table.find(at.job_id)
            if job is not None and job.state is JobState.RUNNING:
                self.jobs.table.set_state(job, JobState.FAILED, code, error)
        self.jobs.mailbox.bell.ring()

    def lost(self, at: AttemptRecord, why: Mc2Error) -> None:
        """End the attempt and begin the next, if contract and approvals allow one more."""
        database = self.jobs.mailbox.store.database
        with database.transaction():
            if self._has_ended(at):
                return
            job = self.jobs.table.find(at.job_id)
            if job is None or job.state is not JobState.RUNNING or job.attempt != at.attempt:
                self.jobs.table.end_attempt(at.job_id, at.attempt, why.code, str(why))
                return
            allowed = self._allowed_attempts(job)
            if at.attempt >= allowed:
                self.fail(at, why.code, f"{why} (attempt {at.attempt} of {allowed} allowed)")
                return
            self.jobs.table.end_attempt(at.job_id, at.attempt, why.code, str(why))
            said = f"attempt {at.attempt} was lost: {why}; the next one waits for a worker"
            self._begin(job, at.attempt + 1, said)
        self.jobs.mailbox.bell.ring()

    def _begin(self, job: JobRecord, attempt: int, progress: str) -> None:
        self.jobs.table.add_attempt(job.job_id, attempt, self._now(), progress)

    def _allowed_attempts(self, job: JobRecord) -> int:
        approvals = self.jobs.approvals(job).values()
        contract = self.jobs.contract_of(job)
        return min([contract.max_attempts, *(a.max_attempts for a in approvals)])

    def _has_ended(self, at: AttemptRecord) -> bool:
        now = self.jobs.table.find_attempt(at.job_id, at.attempt)
        return now is None or now.ended

    def _running(self, at: AttemptRecord) -> JobRecord:
        """The job, while this is its present attempt. Raises: JobError."""
        job = self.jobs.table.find(at.job_id)
        now = self.jobs.table.find_attempt(at.job_id, at.attempt)
        if job is None or now is None:
            raise JobError(f"there is no attempt {at.attempt} of the job {at.job_id}")
        if job.state is not JobState.RUNNING or job.attempt != at.attempt or now.ended:
            raise JobError(f"the job is {job.state.word}; attempt {at.attempt} has ended")
        return job

    def job_of(self, at: AttemptRecord) -> JobRecord | None:
        """The job, while this is its present attempt; otherwise None."""
        try:
            return self._running(at)
        except JobError:
            return None

    def _now(self) -> int:
        return int(self.jobs.mailbox.clock().timestamp())


def _challenge(raw: bytes) -> Challenge:
    return Challenge.parse(Envelope.parse(raw, PayloadType.CHALLENGE, Challenge.LIMIT).payload)


@contextmanager
def _worker_fault() -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise WorkerError(f"the enclave worker handed over something malformed: {error}") from None
