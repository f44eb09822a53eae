"""What a party asks of a coordinator, whatever carries it.

Implemented over HTTPS by `mc2.client.http`, and in tests by a hostile world. Everything that
comes back may be a lie: callers verify it, and `JobStatus` is never more than a hint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mc2.crypto.digest import Digest
from mc2.formats.status import DatasetEntry, JobChanges, JobNews, JobStatus

__all__ = ["Coordinator", "DatasetEntry"]


class Coordinator(Protocol):
    """A mailbox for signed objects and sealed blobs. Raises: CoordinatorError."""

    def register(self, card: bytes, token: str) -> None:
        """Enrol a signed card with the operator's invitation token; again is no error."""
        ...

    def cards(self) -> list[bytes]:
        """The signed cards of all enrolled parties."""
        ...

    def put_contract(self, envelope: bytes) -> Digest:
        """Add a contract, or signatures to one that is there."""
        ...

    def contract(self, name: Digest) -> bytes:
        """A contract with all signatures that have come in."""
        ...

    def contracts(self) -> list[Digest]:
        """All contracts."""
        ...

    def missing(self, names: Sequence[Digest]) -> list[Digest]:
        """Those of some blobs that the coordinator does not hold: what an upload still owes."""
        ...

    def put_blob(self, name: Digest, raw: bytes) -> None:
        """Store a sealed chunk under its digest."""
        ...

    def get_blob(self, name: Digest) -> bytes:
        """Fetch a sealed chunk; the implementation checks its digest."""
        ...

    def put_manifest(self, envelope: bytes) -> Digest:
        """Publish a dataset version whose chunks have all been stored."""
        ...

    def manifest(self, name: Digest) -> bytes:
        """A signed manifest."""
        ...

    def datasets(self) -> list[DatasetEntry]:
        """All dataset versions."""
        ...

    def propose(self, plan: bytes, proposal: bytes) -> str:
        """Hand in a plan and its signed proposal; the job's id."""
        ...

    def jobs(self) -> list[JobStatus]:
        """All jobs."""
        ...

    def job(self, job_id: str) -> JobStatus:
        """One job."""
        ...

    def job_bundle(self, job_id: str) -> bytes:
        """The job's signed objects as far as they are there, as a `JobBundle`."""
        ...

    def approve(self, job_id: str, approval: bytes) -> None:
        """Hand in a signed approval."""
        ...

    def reject(self, job_id: str, rejection: bytes) -> None:
        """Hand in a signed rejection, which ends the job."""
        ...

    def rejections(self, job_id: str) -> list[bytes]:
        """The signed rejections, with their reasons."""
        ...

    def cancel(self, job_id: str) -> None:
        """The proposer takes the job back."""
        ...

    def start(self, job_id: str) -> int:
        """Start the next attempt, or give the number of the one under way."""
        ...

    def put_challenge(self, job_id: str, attempt: int, challenge: bytes) -> None:
        """Hand in an owner's challenge."""
        ...

    def evidence(self, job_id: str, attempt: int) -> bytes | None:
        """The enclave's signed evidence, once it is there."""
        ...

    def challenges(self, job_id: str, attempt: int) -> dict[str, bytes]:
        """The challenges handed in so far, by owner."""
        ...

    def put_grant(self, job_id: str, attempt: int, grant: bytes) -> None:
        """Hand in an owner's grant."""
        ...

    def refuse(self, job_id: str, attempt: int, code: str) -> None:
        """Say that no grant will come on this evidence; `code` is the error's."""
        ...

    def proof(self, job_id: str) -> bytes:
        """The proof of a job that has succeeded."""
        ...

    def news(self, job_id: str, seen: int, seconds: float) -> JobNews:
        """Return when a job changed since event `seen`, or after some seconds; where it stands."""
        ...

    def changes(self, seen: int, seconds: float) -> JobChanges:
        """As `news` for all jobs: where those stand that changed.

        Since event 0, these are the jobs that are not over.
        """
        ...
