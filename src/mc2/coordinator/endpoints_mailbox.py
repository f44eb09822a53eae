"""HTTP: health, enrolment, contracts, sealed chunks and manifests."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from starlette.responses import FileResponse

from mc2.coordinator.answers import (
    Cards,
    Contracts,
    Datasets,
    Done,
    Failure,
    Health,
    Missing,
    Name,
    SignedObject,
    canonical,
    nest,
    raw_json,
)
from mc2.coordinator.auth import Authenticated
from mc2.coordinator.mailbox import MOST_NAMES
from mc2.coordinator.requests import (
    PART_BYTES,
    Empty,
    Signed,
    SignedBody,
    address_of,
    authenticated,
    context_of,
    drain,
    envelope_bytes,
    limit_address,
    read_body,
    read_parts,
)
from mc2.crypto.digest import Digest, parse_digest
from mc2.errors import FormatError, Mc2Error
from mc2.formats.canonical import decode
from mc2.formats.fields import Fields, text_item, to_time
from mc2.formats.limits import LIMITS
from mc2.version import VERSION

router = APIRouter(
    prefix="/v1",
    responses={"4XX": {"model": Failure}, "5XX": {"model": Failure}},
)

_NAMES_BYTES: Final = MOST_NAMES * 80


def body_schema(model: str) -> dict[str, Any]:
    """How the OpenAPI document describes a body of canonical JSON."""
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.get("/health", tags=["coordinator"], response_model=Health)
def health(request: Request) -> Response:
    """That the coordinator answers, and what time it is there. Open to everybody."""
    limit_address(request)
    now = to_time(context_of(request).service.clock())
    return canonical({"status": "ok", "version": VERSION, "time": now})


@router.post(
    "/parties",
    tags=["parties"],
    response_model=Done,
    openapi_extra=body_schema("SignedObject"),
)
async def enrol(request: Request, authorization: Annotated[str, Header()] = "") -> Response:
    """Enrol a signed card. Not signed as other requests are, but with the invitation token:
    `Authorization: Bearer …`. The same card again is no error.
    """  # noqa: D205  the description of the endpoint, for people who read the OpenAPI document
    limit_address(request)
    context = context_of(request)
    context.enrolments.take(address_of(request), time.monotonic())
    kind, _, token = authorization.partition(" ")
    raw = await read_body(request, envelope_bytes(LIMITS.card_bytes))
    await asyncio.to_thread(
        context.service.mailbox.register, raw, token if kind == "Bearer" else ""
    )
    return canonical({})


@router.get("/parties", tags=["parties"], response_model=Cards)
def cards(signed: Empty) -> Response:
    """The signed cards of all parties."""
    return canonical({"cards": [nest(raw) for raw in signed.access.cards()]})


@router.post(
    "/contracts",
    tags=["contracts"],
    response_model=Name,
    openapi_extra=body_schema("SignedObject"),
)
def put_contract(
    signed: Annotated[Signed, Depends(SignedBody(envelope_bytes(LIMITS.contract_bytes)))],
) -> Response:
    """Add a contract, or signatures to it."""
    return canonical({"digest": signed.access.put_contract(signed.raw)})


@router.get("/contracts", tags=["contracts"], response_model=Contracts)
def contracts(signed: Empty) -> Response:
    """All contracts that the caller is a member of."""
    return canonical({"contracts": list(signed.access.contracts())})


@router.get("/contracts/{name}", tags=["contracts"], response_model=SignedObject)
def contract(name: str, signed: Empty) -> Response:
    """A contract with the signatures that have come in."""
    return raw_json(signed.access.contract(parse_digest(name)))


@router.post(
    "/blobs/missing",
    tags=["blobs"],
    response_model=Missing,
    openapi_extra=body_schema("Names"),
)
def missing(signed: Annotated[Signed, Depends(SignedBody(_NAMES_BYTES))]) -> Response:
    """Which of at most 10,000 blobs are not here: what an upload that broke off still owes."""
    fields = Fields(decode(signed.raw, _NAMES_BYTES, "a list of names"), "a list of names")
    names = fields.items("names", MOST_NAMES, text_item("a name", parse_digest))
    fields.done()
    return canonical({"missing": list(signed.access.missing(names))})


@router.put(
    "/blobs/{name}",
    tags=["blobs"],
    response_model=Done,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def put_blob(
    name: str, request: Request, caller: Annotated[Authenticated, Depends(authenticated)]
) -> Response:
    """Store a sealed chunk under its digest. It is streamed to disk; the same again is no error."""
    try:
        await _receive(parse_digest(name), request, caller)
    except Mc2Error:
        await drain(request)
        raise
    return canonical({})


async def _receive(name: Digest, request: Request, caller: Authenticated) -> None:
    if caller.body != name:
        raise FormatError("the body that was signed is not the blob of this name")
    service = context_of(request).service
    size = int(request.headers.get("content-length", "0")[:20] or 0)
    await asyncio.to_thread(service.store.check_room, caller.party, size)
    receiving = service.store.receive(caller.party, name, service.clock())
    async with contextmanager_in_threadpool(receiving) as writer:
        async for part in read_parts(request, LIMITS.chunk_bytes):
            await asyncio.to_thread(writer.write, part)
        request.state.whole = True
    # That the bytes have the name, and so the signed digest, was checked as they became a blob.


@router.get(
    "/blobs/{name}",
    tags=["blobs"],
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The sealed chunk."},
        206: {"content": {"application/octet-stream": {}}, "description": "The range asked for."},
    },
)
def get_blob(name: str, signed: Empty) -> Response:
    """Fetch a sealed chunk, or with `Range` the rest of one that stands in this folder."""
    digest = parse_digest(name)
    store, headers = signed.access.service.store, {"ETag": f'"{digest}"'}
    if (raw := store.elsewhere(digest)) is not None:
        return Response(raw, headers=headers, media_type="application/octet-stream")
    path = store.blob_path(digest)
    return _Blob(
        path,
        headers=headers,
        media_type="application/octet-stream",
        stat_result=path.stat(),
    )


class _Blob(FileResponse):
    chunk_size = PART_BYTES
    max_ranges = 1


@router.post(
    "/manifests",
    tags=["datasets"],
    response_model=Name,
    openapi_extra=body_schema("SignedObject"),
)
def put_manifest(
    signed: Annotated[Signed, Depends(SignedBody(envelope_bytes(LIMITS.manifest_bytes)))],
) -> Response:
    """Publish a dataset version, after all of its chunks."""
    return canonical({"digest": signed.access.put_manifest(signed.raw)})


@router.get("/manifests/{name}", tags=["datasets"], response_model=SignedObject)
def manifest(name: str, signed: Empty) -> Response:
    """A signed manifest."""
    return raw_json(signed.access.manifest(parse_digest(name)))


@router.get("/datasets", tags=["datasets"], response_model=Datasets)
def datasets(signed: Empty) -> Response:
    """The dataset versions of the caller and of those it shares a contract with."""
    return canonical({"datasets": [entry.json() for entry in signed.access.datasets()]})
