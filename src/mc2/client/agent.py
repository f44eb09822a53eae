"""The key agent: answers challenges for jobs that its party has approved, and for no others.

It takes the owner's steps of docs/spec/key-release.md without a person, because the person's
decision, the approval, came first. The coordinator's word is only ever a hint when to look; all
that a grant rests on is signed, and what was granted stands in the ledger. An agent may be killed
at any moment: what it had begun it takes up again, or the attempt is lost; no key is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from mc2.attestation.verifiers import Verifiers
from mc2.client.coordinator import Coordinator
from mc2.client.durable import locked
from mc2.client.home import Home, check_not_older
from mc2.client.identity import Identity
from mc2.client.kept_seen import check_newest
from mc2.client.ledger import Ledger
from mc2.client.ledger_events import Refused
from mc2.client.ledger_rules import JobRecord
from mc2.client.open_jobs import OpenJobs
from mc2.client.release import KeyRelease, same_grant
from mc2.errors import (
    ApprovalError,
    AttestationError,
    CoordinatorError,
    GrantError,
    JobError,
    LedgerError,
    Mc2Error,
)
from mc2.formats.bundle import JobBundle
from mc2.formats.contract import Contract
from mc2.formats.limits import LIMITS
from mc2.formats.status import JobState, JobStatus
from mc2.plan.signed_job import SignedJob, verify_signed_job

_RETRY: Final = (
    "the next attempt begins by itself when this one is given up (mc2 status); if none is left, "
    "propose the job again"
)


class Answer(Enum):
    """What one look at a job led to."""

    NOTHING = "nothing to do"
    CHALLENGED = "sent a challenge"
    GRANTED = "granted the keys"
    REFUSED = "refused this attempt before"
    OVER = "the job is over"


@dataclass(frozen=True, slots=True)
class AgentNews:
    """What an agent tells: an answer, or the error that kept it from one."""

    job_id: str
    answer: Answer | None
    error: Mc2Error | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAgent:
    """Answers for one party. `clock` is the party's own, in UTC: it judges freshness.

    `verifiers_for` gives the verifiers that the party trusts under a contract.
    """

    home: Home
    identity: Identity
    ledger: Ledger
    coordinator: Coordinator
    verifiers_for: Callable[[Contract], Verifiers]
    clock: Callable[[], datetime]

    def answer_job(self, job_id: str, status: JobStatus | None = None) -> Answer:
        """Look at a job once and do what is due: challenge, grant, or nothing.

        May be called at any time, again and again, and by several processes of the party. Whoever
        was just told where the job stands hands that over; otherwise the coordinator is asked.

        Raises: ApprovalError for a job that is not approved here; whatever speaks against a
        challenge or a grant.
        """
        with locked(self.home.path / "agent.lock"):
            with self.ledger.open() as book:
                known = book.state.jobs.get(job_id)
            if known is None or known.approved is None:
                raise ApprovalError(
                    f"job {job_id} was not approved here",
                    hint=f"look at it: mc2 review {job_id}",
                )
            status = self._status(job_id, known, status)
            if status.state.final or known.ended:
                return Answer.OVER
            if status.state is not JobState.RUNNING:
                return Answer.NOTHING
            if any(refused.attempt == status.attempt for refused in known.refusals):
                return Answer.REFUSED
            if status.phase == "challenge":
                return self._challenge(status, known)
            if status.phase == "grant" and self.identity.name not in status.grants:
                return self._grant(status, known)
            return Answer.NOTHING

    def approved_jobs(self) -> list[str]:
        """The jobs to look after: approved here, and nothing has ended them."""
        with self.ledger.open() as book:
            return book.state.approved_jobs()

    def serve(
        self,
        tell: Callable[[AgentNews], None],
        stopped: Callable[[], bool],
        *,
        poll_seconds: float = 20.0,
        pause: Callable[[float], None],
    ) -> None:
        """Look after all approved jobs until told to stop.

        `tell` hears each answer that did something, and each error once until it changes.

        Raises: LedgerError: without a sound ledger there is nothing that an agent may do.
        """
        jobs = OpenJobs(self.coordinator)
        told: dict[str, str] = {}
        while not stopped():
            try:
                jobs.wait(poll_seconds)
                for job_id, status in jobs.due(self.approved_jobs()):
                    if not self._look(job_id, status, tell, told):
                        jobs.look_again(job_id)
            except CoordinatorError as error:
                _tell_once(AgentNews("", None, error), tell, told)
                pause(poll_seconds)

    def _look(
        self,
        job_id: str,
        status: JobStatus | None,
        tell: Callable[[AgentNews], None],
        told: dict[str, str],
    ) -> bool:
        """Look at a job and tell what came of it; whether there was no error."""
        try:
            answer = self.answer_job(job_id, status)
        except Mc2Error as error:
            _tell_once(AgentNews(job_id, None, error), tell, told)
            return False
        if answer in {Answer.CHALLENGED, Answer.GRANTED}:
            tell(AgentNews(job_id, answer, None))
        return True

    # --- challenge

    def _challenge(self, status: JobStatus, known: JobRecord) -> Answer:
        if status.attempt in known.grants:
            return Answer.NOTHING
        job = self._signed_job(status)
        if self.identity.name not in job.owners:
            return Answer.NOTHING
        place = _place(status)
        release = self._release(job)
        kept = self.home.challenges.get(place)
        if kept is not None and self.identity.name in status.challenges:
            release.resume(kept)
            if not release.expired(self.clock()):
                return Answer.NOTHING
            release = self._release(job)
        with self.ledger.open() as book:
            raw = release.make_challenge(book.state, self.clock())
        # Kept before it is sent: an answer to a challenge that nobody remembers is worth nothing.
        self.home.challenges.put(place, raw)
        self.coordinator.put_challenge(status.job_id, status.attempt, raw)
        return Answer.CHALLENGED

    # --- grant

    def _grant(self, status: JobStatus, known: JobRecord) -> Answer:
        if status.attempt in known.grants:
            return self._grant_again(status, known)
        kept = self.home.challenges.get(_place(status))
        if kept is None:
            raise AttestationError(
                f"no challenge to attempt {status.attempt} of job {status.job_id} was kept here",
                hint=_RETRY,
            )
        evidence = self.coordinator.evidence(status.job_id, status.attempt)
        if evidence is None:
            return Answer.NOTHING
        release = self._release(self._signed_job(status))
        release.resume(kept)
        try:
            grant = self._decide(release, evidence)
        except LedgerError:
            raise
        except Mc2Error as error:
            self._record_refusal(status, error)
            self._tell_refusal(status, error)
            raise
        finally:
            # The nonce is used up, whatever came out.
            self.home.challenges.remove(_place(status))
        self.coordinator.put_grant(status.job_id, status.attempt, grant)
        return Answer.GRANTED

    def _decide(self, release: KeyRelease, evidence: bytes) -> bytes:
        """Decide and record under one hold of the ledger, so that no second agent slips between."""
        place = f"{release.context.job_id}-{release.context.attempt}"
        with self.ledger.open() as book:
            now = self.clock()
            decision = release.answer(evidence, book.state, book.next_index, now)
            return decision.release(book, now, lambda raw: self.home.grants.put(place, raw))

    def _grant_again(self, status: JobStatus, known: JobRecord) -> Answer:
        """Send the recorded grant once more: it was lost on the way, or this process died."""
        kept = self.home.grants.get(_place(status))
        if kept is None or not same_grant(kept, known.grants[status.attempt]):
            raise GrantError(
                f"attempt {status.attempt} of job {status.job_id} has had its grant, and the "
                "grant is lost",
                hint=_RETRY,
            )
        self.coordinator.put_grant(status.job_id, status.attempt, kept)
        return Answer.GRANTED

    def _record_refusal(self, status: JobStatus, error: Mc2Error) -> None:
        refused = Refused(
            job_id=status.job_id,
            attempt=status.attempt,
            code=error.code,
            rules=str(error)[: LIMITS.note_bytes],
        )
        self.ledger.record(refused, self.clock())

    def _tell_refusal(self, status: JobStatus, error: Mc2Error) -> None:
        """Spare the others the wait. Why it was refused is theirs to ask and ours to tell."""
        with suppress(CoordinatorError, JobError):
            self.coordinator.refuse(status.job_id, status.attempt, error.code)

    def _release(self, job: SignedJob) -> KeyRelease:
        return KeyRelease(job, self.identity, self.verifiers_for(job.members))

    # --- what the job is

    def _status(self, job_id: str, known: JobRecord, told: JobStatus | None) -> JobStatus:
        """Where a job stands: as told, unless it is not sure that this is still so."""
        status = self.coordinator.job(job_id) if told is None else told
        if status.job_id != job_id:
            raise CoordinatorError(
                f"asked for job {job_id}, the coordinator told of another",
                hint="ask its operator; nothing was released",
            )
        if told is not None and self._begun(told, known):
            # Another process of this party may have answered since this was told.
            return self._status(job_id, known, None)
        return status

    def _begun(self, status: JobStatus, known: JobRecord) -> bool:
        """Whether this party has challenged, or granted keys to, the attempt that waits for it."""
        waits = status.phase in {"challenge", "grant"}
        kept = self.home.challenges.get(_place(status)) is not None
        return waits and (kept or status.attempt in known.grants)

    def _signed_job(self, status: JobStatus) -> SignedJob:
        """The job as people signed it, checked here. Nothing in the status is believed."""
        bundle = JobBundle.parse(self.coordinator.job_bundle(status.job_id))
        job = verify_signed_job(bundle)
        found = (job.context.job_id, job.context.attempt)
        if found != (status.job_id, status.attempt):
            raise CoordinatorError(
                f"asked for attempt {status.attempt} of job {status.job_id}, the coordinator "
                "handed over another",
                hint="ask its operator; nothing was released",
            )
        known = self.home.versions()
        for manifest in job.manifests.values():
            check_not_older(known, manifest)
        check_newest(self.home, job)
        return job


def _place(status: JobStatus) -> str:
    return f"{status.job_id}-{status.attempt}"


def _tell_once(news: AgentNews, tell: Callable[[AgentNews], None], told: dict[str, str]) -> None:
    said = str(news.error)
    if told.get(news.job_id) != said:
        told[news.job_id] = said
        tell(news)
