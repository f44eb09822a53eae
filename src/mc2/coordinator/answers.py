"""What the coordinator answers: canonical JSON, and errors that keep their type.

The models describe answers in the OpenAPI document. What goes over the wire is written by the
formats themselves, so that there is one encoding of everything.
"""

from __future__ import annotations

import errno
import math
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from mc2.coordinator.refusals import (
    BusyError,
    ClockError,
    NotFoundError,
    QuotaError,
    ReplayError,
    StrangerError,
    TooLargeError,
)
from mc2.errors import (
    ApprovalError,
    ContractError,
    CoordinatorError,
    DatasetError,
    FormatError,
    GrantError,
    JobError,
    Mc2Error,
    SignatureError,
)
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.limits import LIMITS

_DIGEST: Final = "^sha256:[0-9a-f]{64}$"

# The first that fits. To a client the code in the body is what counts.
_STATUS: Final[tuple[tuple[type[Mc2Error], int], ...]] = (
    (NotFoundError, 404),
    (StrangerError, 403),
    (QuotaError, 507),
    (TooLargeError, 413),
    (BusyError, 429),
    (ClockError, 401),
    (ReplayError, 401),
    (SignatureError, 401),
    (FormatError, 400),
    (ContractError, 403),
    (ApprovalError, 409),
    (GrantError, 409),
    (DatasetError, 409),
    (JobError, 409),
)


class Failure(BaseModel):
    """Why a request was refused: `code` names the error type, `hint` the next step."""

    code: str
    message: str
    hint: str


class Health(BaseModel):
    """That the coordinator answers, and its clock."""

    status: str
    version: str
    time: str


class SignedObject(BaseModel):
    """A DSSE envelope: docs/spec/envelope.md."""

    payload: str
    payloadType: str  # noqa: N815  DSSE's own spelling
    signatures: list[dict[str, str]]


class Bundle(BaseModel):
    """A bundle of signed objects: docs/spec/bundle.md."""

    type: str
    model_config = {"extra": "allow"}


class Done(BaseModel):
    """It is done, and on disk."""


class Name(BaseModel):
    """The name of an object that is on disk now."""

    digest: str = Field(pattern=_DIGEST)


class Names(BaseModel):
    """The names of some blobs."""

    names: list[str]


class Cards(BaseModel):
    """The signed cards of all parties."""

    cards: list[SignedObject]


class Contracts(BaseModel):
    """The names of contracts."""

    contracts: list[str]


class Missing(BaseModel):
    """The names of blobs that are not here."""

    missing: list[str]


class Entry(BaseModel):
    """A dataset version."""

    dataset: str
    version: int
    manifest: str = Field(pattern=_DIGEST)


class Datasets(BaseModel):
    """Dataset versions."""

    datasets: list[Entry]


class ProposedJob(BaseModel):
    """A plan (docs/spec/plan.md) and its signed proposal."""

    plan: dict[str, Any]
    proposal: SignedObject


class JobId(BaseModel):
    """A job's id."""

    job_id: str = Field(pattern="^[0-9a-f]{32}$")


class StageMetrics(BaseModel):
    """A stage of a job: its tasks, the sealed chunks and blocks that they read and wrote."""

    operations: list[str]
    tasks: int
    done: int
    lost: int
    blocks_in: int
    bytes_in: int
    blocks_out: int
    bytes_out: int
    milliseconds: int


class TrainingMetrics(BaseModel):
    """A training of a job, by its node of the plan: rounds done, of so many at most."""

    node: int
    done: int
    of: int
    milliseconds: int


class WorkerMetrics(BaseModel):
    """A worker of a job, and the most memory that its process has held; 0 if nobody sees it."""

    name: str
    peak_bytes: int


class Metrics(BaseModel):
    """What a coordinator counts of an attempt: docs/spec/coordinator-api.md."""

    stages: list[StageMetrics]
    trainings: list[TrainingMetrics]
    workers: list[WorkerMetrics]


class Status(BaseModel):
    """Where a job stands: for people and scheduling, never for trust."""

    job_id: str
    contract: str
    plan: str
    proposer: str
    state: str
    attempt: int
    phase: str
    approvals: list[str]
    rejections: list[str]
    challenges: list[str]
    grants: list[str]
    missing: list[str]
    progress: str
    error_code: str
    error: str
    metrics: Metrics


class Jobs(BaseModel):
    """Where some jobs stand."""

    jobs: list[Status]


class Rejections(BaseModel):
    """Signed rejections."""

    rejections: list[SignedObject]


class Attempt(BaseModel):
    """The number of an attempt."""

    attempt: int


class EvidenceSoFar(BaseModel):
    """The signed evidence of an attempt, or null while there is none."""

    evidence: SignedObject | None


class Challenges(BaseModel):
    """Signed challenges by owner."""

    challenges: dict[str, SignedObject]


class Event(BaseModel):
    """The newest event; where the job stands that was named, or those that changed."""

    event: int
    status: Status | None
    jobs: list[Status]


def canonical(value: Json) -> Response:
    """A value as canonical JSON."""
    return raw_json(encode(value))


def raw_json(raw: bytes) -> Response:
    """What is canonical JSON already."""
    return Response(raw, media_type="application/json")


def nest(raw: bytes) -> Json:
    """A signed object as a part of a larger answer; it is canonical, so nothing changes."""
    return decode(raw, LIMITS.bundle_bytes, "an object of this coordinator")


def _failure(request: Request, status: int, error: Mc2Error) -> Response:
    body = {"code": error.code, "message": str(error), "hint": error.hint}
    headers: dict[str, str] = {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(math.ceil(max(1.0, error.seconds)))
    if not getattr(request.state, "whole", False):
        # What is left of the body must not be taken for the next request.
        headers["Connection"] = "close"
    return Response(encode(body), status, headers, media_type="application/json")


def answer_errors(app: FastAPI) -> None:
    """Make the application answer every error in our form."""
    app.add_exception_handler(Mc2Error, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, Mc2Error) else CoordinatorError(str(error))
    status = next((s for kind, s in _STATUS if isinstance(known, kind)), 400)
    return _failure(request, status, known)


async def _malformed(request: Request, error: Exception) -> Response:
    where = "parameters"
    if isinstance(error, RequestValidationError):
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
    return _failure(request, 400, FormatError(f"the request's {where} is not what it must be"))


async def _unknown(request: Request, error: Exception) -> Response:
    status, detail = 404, "not found"
    if isinstance(error, HTTPException):
        status, detail = error.status_code, str(error.detail)
    said = CoordinatorError(
        f"{request.method} {request.url.path}: {detail}",
        hint="client and coordinator may be of different versions",
    )
    return _failure(request, status, said)


async def _unexpected(request: Request, error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _failure(request, 507, CoordinatorError("the coordinator's disk is full"))
    return _failure(
        request,
        500,
        CoordinatorError("the coordinator met an unexpected error", hint="see its log"),
    )
