"""Results that stay sealed in a collaboration: which there are, and whether they are proved.

A kept result is believed only out of a proof that this party verified itself.
"""

from __future__ import annotations

from mc2.client.desk import Desk
from mc2.client.downloads import fetch_proof
from mc2.client.kept_seen import check_newest, seen_kept
from mc2.crypto.digest import Digest, same_digest
from mc2.errors import DatasetError
from mc2.formats.bundle import JobBundle, Proof
from mc2.formats.result import Result
from mc2.formats.status import JobState
from mc2.plan.plan import Plan
from mc2.plan.signed_job import SignedJob


def kept_results(desk: Desk, contract: Digest) -> dict[str, Result]:
    """The newest kept result of each name under a contract, proved here, by the name it is read by.

    Raises: ReceiptError, CoordinatorError.
    """
    _look_for_new(desk, contract)
    return {
        name: _proved(desk, seen.job_id, seen.result)
        for (of, name), seen in sorted(seen_kept(desk.home).items())
        if of == contract
    }


def check_kept(desk: Desk, job: SignedJob) -> None:
    """Whether all kept results that a job reads are proved, and the newest; may fetch proofs.

    Raises: DatasetError, ReceiptError, CoordinatorError.
    """
    if not job.kept:
        return
    _look_for_new(desk, job.context.contract)
    check_newest(desk.home, job)
    for result in job.kept.values():
        _proved(desk, result.context.job_id, result.digest)


def _look_for_new(desk: Desk, contract: Digest) -> None:
    """Verify the proofs of jobs that keep something, where there are new ones."""
    known = {seen.job_id for seen in seen_kept(desk.home).values()}
    for status in desk.coordinator.jobs():
        done = status.state is JobState.SUCCEEDED and status.contract == contract
        if not done or status.job_id in known or desk.home.proofs.get(status.job_id) is not None:
            continue
        bundle = desk.home.jobs.get(status.job_id) or desk.coordinator.job_bundle(status.job_id)
        plan = Plan.parse(JobBundle.parse(bundle).plan)
        if any(output.keep for output in plan.outputs):
            fetch_proof(desk, status.job_id)


def _proved(desk: Desk, job_id: str, name: Digest) -> Result:
    raw = desk.home.proofs.get(job_id)
    if raw is None:
        fetch_proof(desk, job_id)
        raw = desk.home.proofs.get(job_id) or b""
    for found in Proof.parse(raw).results.values():
        result = Result.parse(found)
        if result.kept is not None and same_digest(result.digest, name):
            return result
    raise DatasetError(
        f"the proof of job {job_id} does not have the kept result that is asked for",
        hint="propose the job again over what is kept now",
    )
