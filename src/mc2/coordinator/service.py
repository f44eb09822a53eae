"""The coordinator as parties see it, without HTTP: one object for each authenticated party."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mc2.coordinator.attempts import AttemptRules
from mc2.coordinator.bell import Bell
from mc2.coordinator.homes import Homes
from mc2.coordinator.job_rules import JobRules
from mc2.coordinator.jobs import JobTable
from mc2.coordinator.mailbox import Mailbox
from mc2.coordinator.running import RunRules
from mc2.coordinator.store import Store
from mc2.crypto.digest import Digest
from mc2.formats.status import DatasetEntry, JobChanges, JobNews, JobStatus

LONGEST_WAIT_SECONDS: Final = 60.0


class Service:
    """All rules over one store. `clock` gives the time, `invitation` the present token."""

    def __init__(
        self, store: Store, *, clock: Callable[[], datetime], invitation: Callable[[], str]
    ) -> None:
        self.store = store
        self.bell = Bell()
        self.clock = clock
        self.mailbox = Mailbox(store, self.bell, clock, invitation)
        self.jobs = JobRules(self.mailbox, JobTable(store.database))
        self.attempts = AttemptRules(self.jobs)
        self.running = RunRules(self.jobs)
        self.homes = Homes()

    def for_party(self, name: str) -> PartyAccess:
        """What this party may do: an implementation of `mc2.client.coordinator.Coordinator`."""
        return PartyAccess(self, name)

    def newest_event(self, party: str, job_id: str | None) -> int:
        """The number of the last change of a job, or of all that a party sees."""
        if job_id is not None:
            return self.jobs.visible(party, job_id).event
        found = self.mailbox.party(party)
        return self.jobs.table.newest_event(found.name, found.card_digest)


@dataclass(frozen=True, slots=True)
class PartyAccess:
    """The coordinator for one party, whose name was authenticated before."""

    service: Service
    party: str

    def register(self, card: bytes, token: str) -> None:
        """Enrol a signed card with the operator's invitation token; again is no error."""
        self.service.mailbox.register(card, token)

    def cards(self) -> list[bytes]:
        """The signed cards of all enrolled parties."""
        return self.service.mailbox.cards(self.party)

    def put_contract(self, envelope: bytes) -> Digest:
        """Add a contract, or signatures to one that is there."""
        return self.service.mailbox.put_contract(self.party, envelope)

    def contract(self, name: Digest) -> bytes:
        """A contract with all signatures that have come in."""
        return self.service.mailbox.contract(self.party, name)

    def contracts(self) -> list[Digest]:
        """All contracts that the party is a member of."""
        return self.service.mailbox.contracts(self.party)

    def missing(self, names: Sequence[Digest]) -> list[Digest]:
        """Those of some blobs that the coordinator does not hold."""
        return self.service.mailbox.missing(self.party, names)

    def put_blob(self, name: Digest, raw: bytes) -> None:
        """Store a sealed chunk under its digest."""
        self.service.mailbox.put_blob(self.party, name, raw)

    def get_blob(self, name: Digest) -> bytes:
        """Fetch a sealed chunk."""
        return self.service.mailbox.get_blob(self.party, name)

    def put_manifest(self, envelope: bytes) -> Digest:
        """Publish a dataset version whose chunks have all been stored."""
        return self.service.mailbox.put_manifest(self.party, envelope)

    def manifest(self, name: Digest) -> bytes:
        """A signed manifest."""
        return self.service.mailbox.manifest(self.party, name)

    def datasets(self) -> list[DatasetEntry]:
        """The dataset versions of the party and of those it shares a contract with."""
        return self.service.mailbox.datasets(self.party)

    def propose(self, plan: bytes, proposal: bytes) -> str:
        """Hand in a plan and its signed proposal; the job's id."""
        return self.service.jobs.propose(self.party, plan, proposal)

    def jobs(self) -> list[JobStatus]:
        """All jobs of the party's contracts."""
        return self.service.jobs.statuses(self.party)

    def job(self, job_id: str) -> JobStatus:
        """One job."""
        return self.service.jobs.status(self.party, job_id)

    def job_bundle(self, job_id: str) -> bytes:
        """The job's signed objects as far as they are there, as a `JobBundle`."""
        return self.service.jobs.bundle(self.party, job_id)

    def approve(self, job_id: str, approval: bytes) -> None:
        """Hand in a signed approval."""
        self.service.jobs.approve(self.party, job_id, approval)

    def reject(self, job_id: str, rejection: bytes) -> None:
        """Hand in a signed rejection, which ends the job."""
        self.service.jobs.reject(self.party, job_id, rejection)

    def rejections(self, job_id: str) -> list[bytes]:
        """The signed rejections, with their reasons."""
        return self.service.jobs.rejections(self.party, job_id)

    def cancel(self, job_id: str) -> None:
        """The proposer takes the job back."""
        self.service.jobs.cancel(self.party, job_id)

    def start(self, job_id: str) -> int:
        """Start the next attempt, or give the number of the one under way."""
        return self.service.attempts.start(self.party, job_id)

    def put_challenge(self, job_id: str, attempt: int, challenge: bytes) -> None:
        """Hand in an owner's challenge."""
        self.service.attempts.put_challenge(self.party, job_id, attempt, challenge)

    def evidence(self, job_id: str, attempt: int) -> bytes | None:
        """The enclave's signed evidence, once it is there."""
        return self.service.attempts.evidence(self.party, job_id, attempt)

    def challenges(self, job_id: str, attempt: int) -> dict[str, bytes]:
        """The challenges handed in so far, by owner."""
        return self.service.attempts.challenges(self.party, job_id, attempt)

    def put_grant(self, job_id: str, attempt: int, grant: bytes) -> None:
        """Hand in an owner's grant."""
        self.service.attempts.put_grant(self.party, job_id, attempt, grant)

    def refuse(self, job_id: str, attempt: int, code: str) -> None:
        """Say that no grant will come on this evidence."""
        self.service.attempts.refuse(self.party, job_id, attempt, code)

    def proof(self, job_id: str) -> bytes:
        """The proof of a job that has succeeded."""
        return self.service.attempts.proof(self.party, job_id)

    def wait(self, job_id: str | None, seen: int, seconds: float) -> int:
        """Return when anything changed since event `seen`, or after some seconds."""
        deadline = time.monotonic() + min(seconds, LONGEST_WAIT_SECONDS)
        while True:
            rung = self.service.bell.rung
            newest = self.service.newest_event(self.party, job_id)
            left = deadline - time.monotonic()
            if newest > seen or left <= 0:
                return newest
            self.service.bell.wait(rung, left)

    def news(self, job_id: str, seen: int, seconds: float) -> JobNews:
        """As `wait` for one job, and where it stands then."""
        newest = self.wait(job_id, seen, seconds)
        return JobNews(newest, self.job(job_id))

    def changes(self, seen: int, seconds: float) -> JobChanges:
        """As `wait` for all jobs, and where those stand that changed."""
        return self.changed(seen, self.wait(None, seen, seconds))

    def changed(self, seen: int, newest: int) -> JobChanges:
        """Where the jobs stand that changed since event `seen`, of which `newest` is known of."""
        return self.service.jobs.changed(self.party, seen, newest)
