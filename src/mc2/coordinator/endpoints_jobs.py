"""HTTP: jobs, their attempts, and waiting for news."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from mc2.coordinator.answers import (
    Attempt,
    Bundle,
    Challenges,
    Done,
    Event,
    EvidenceSoFar,
    Failure,
    JobId,
    Jobs,
    Rejections,
    Status,
    canonical,
    nest,
    raw_json,
)
from mc2.coordinator.endpoints_mailbox import body_schema
from mc2.coordinator.requests import Empty, Signed, SignedBody, context_of, envelope_bytes
from mc2.coordinator.service import LONGEST_WAIT_SECONDS
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS

router = APIRouter(
    prefix="/v1",
    tags=["jobs"],
    responses={"4XX": {"model": Failure}, "5XX": {"model": Failure}},
)

_PROPOSAL_BYTES: Final = LIMITS.plan_bytes + envelope_bytes(LIMITS.message_bytes) + 64

Job = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The job's id.")]
Number = Annotated[int, Path(ge=1, le=LIMITS.attempts, description="The attempt's number.")]
Message = Annotated[Signed, Depends(SignedBody(envelope_bytes(LIMITS.message_bytes)))]


@router.post("/jobs", response_model=JobId, openapi_extra=body_schema("ProposedJob"))
def propose(signed: Annotated[Signed, Depends(SignedBody(_PROPOSAL_BYTES))]) -> Response:
    """Hand in a plan and its signed proposal. The same again is no error."""
    fields = Fields(decode(signed.raw, _PROPOSAL_BYTES, "a proposed job"), "a proposed job")
    plan, proposal = fields.value("plan"), fields.value("proposal")
    fields.done()
    return canonical({"job_id": signed.access.propose(encode(plan), encode(proposal))})


@router.get("/jobs", response_model=Jobs)
def jobs(signed: Empty) -> Response:
    """Where all jobs of the caller's contracts stand."""
    return canonical({"jobs": [status.json() for status in signed.access.jobs()]})


@router.get("/jobs/{job_id}", response_model=Status)
def job(job_id: Job, signed: Empty) -> Response:
    """Where a job stands."""
    return canonical(signed.access.job(job_id).json())


@router.get("/jobs/{job_id}/bundle", response_model=Bundle)
def bundle(job_id: Job, signed: Empty) -> Response:
    """The signed objects of a job as far as they are there."""
    return raw_json(signed.access.job_bundle(job_id))


@router.post(
    "/jobs/{job_id}/approvals", response_model=Done, openapi_extra=body_schema("SignedObject")
)
def approve(job_id: Job, signed: Message) -> Response:
    """Hand in the caller's signed approval."""
    signed.access.approve(job_id, signed.raw)
    return canonical({})


@router.post(
    "/jobs/{job_id}/rejections", response_model=Done, openapi_extra=body_schema("SignedObject")
)
def reject(job_id: Job, signed: Message) -> Response:
    """Hand in the caller's signed rejection, which ends the job."""
    signed.access.reject(job_id, signed.raw)
    return canonical({})


@router.get("/jobs/{job_id}/rejections", response_model=Rejections)
def rejections(job_id: Job, signed: Empty) -> Response:
    """The signed rejections of a job."""
    return canonical({"rejections": [nest(raw) for raw in signed.access.rejections(job_id)]})


@router.post("/jobs/{job_id}/cancel", response_model=Done)
def cancel(job_id: Job, signed: Empty) -> Response:
    """Take the caller's own job back."""
    signed.access.cancel(job_id)
    return canonical({})


@router.post("/jobs/{job_id}/attempts", response_model=Attempt)
def start(job_id: Job, signed: Empty) -> Response:
    """Start an approved job; the number of the attempt under way, if there is one."""
    return canonical({"attempt": signed.access.start(job_id)})


@router.put(
    "/jobs/{job_id}/attempts/{attempt}/challenge",
    response_model=Done,
    openapi_extra=body_schema("SignedObject"),
)
def put_challenge(job_id: Job, attempt: Number, signed: Message) -> Response:
    """Hand in the caller's challenge to the enclave."""
    signed.access.put_challenge(job_id, attempt, signed.raw)
    return canonical({})


@router.get("/jobs/{job_id}/attempts/{attempt}/challenges", response_model=Challenges)
def challenges(job_id: Job, attempt: Number, signed: Empty) -> Response:
    """The challenges that are there, by owner."""
    found = signed.access.challenges(job_id, attempt)
    return canonical({"challenges": {name: nest(raw) for name, raw in found.items()}})


@router.get("/jobs/{job_id}/attempts/{attempt}/evidence", response_model=EvidenceSoFar)
def evidence(job_id: Job, attempt: Number, signed: Empty) -> Response:
    """The enclave's signed evidence, or null while there is none."""
    raw = signed.access.evidence(job_id, attempt)
    return canonical({"evidence": None if raw is None else nest(raw)})


@router.put(
    "/jobs/{job_id}/attempts/{attempt}/grant",
    response_model=Done,
    openapi_extra=body_schema("SignedObject"),
)
def put_grant(
    job_id: Job,
    attempt: Number,
    signed: Annotated[Signed, Depends(SignedBody(envelope_bytes(LIMITS.grant_bytes)))],
) -> Response:
    """Hand in the caller's grant, one for each attempt."""
    signed.access.put_grant(job_id, attempt, signed.raw)
    return canonical({})


@router.put("/jobs/{job_id}/attempts/{attempt}/refusal", response_model=Done)
def refuse(
    job_id: Job,
    attempt: Number,
    signed: Empty,
    code: Annotated[str, Query(pattern="^[a-z][a-z-]{0,31}$", description="The error's code.")],
) -> Response:
    """Say that the caller refuses the evidence, so that nobody waits for its grant."""
    signed.access.refuse(job_id, attempt, code)
    return canonical({})


@router.get("/jobs/{job_id}/proof", response_model=Bundle)
def proof(job_id: Job, signed: Empty) -> Response:
    """The proof of a job that succeeded."""
    return raw_json(signed.access.proof(job_id))


@router.get("/events", tags=["coordinator"], response_model=Event)
async def wait(
    request: Request,
    signed: Empty,
    seen: Annotated[int, Query(ge=0, le=2**53 - 1)] = 0,
    seconds: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS, allow_inf_nan=False)] = 0,
    job_id: Annotated[str, Query(pattern="^([0-9a-f]{32})?$")] = "",
) -> Response:
    """Answer when anything changed since event `seen`, or after some seconds.

    For one job, with where it stands then; or without `job_id` for all of the caller's jobs and
    contracts, with where those jobs stand that changed, at most 64 at once.
    """
    waiting = context_of(request).waiting
    newest = await waiting.wait(signed.party, job_id or None, seen, seconds)
    # Looked up after the event: a change in between is told now, and its event once more.
    if job_id:
        status = await asyncio.to_thread(signed.access.job, job_id)
        return canonical({"event": newest, "status": status.json(), "jobs": []})
    changed = await asyncio.to_thread(signed.access.changed, seen, newest)
    jobs = [status.json() for status in changed.jobs]
    return canonical({"event": changed.event, "status": None, "jobs": jobs})
