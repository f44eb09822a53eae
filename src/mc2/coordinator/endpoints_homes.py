"""HTTP: enclaves on parties' premises fetch their orders."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from mc2.coordinator.answers import Done, Failure, canonical
from mc2.coordinator.requests import Empty, Signed, SignedBody, context_of
from mc2.formats.home_line import TURN_BYTES, HomeTurn

router = APIRouter(
    prefix="/v1",
    tags=["homes"],
    responses={"4XX": {"model": Failure}, "5XX": {"model": Failure}},
)

_LONGEST_SECONDS: Final = 30.0
_BINARY: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
Session = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The process at home.")]


@router.post(
    "/home",
    response_class=Response,
    responses={200: {"content": _BINARY, "description": "The next order, if there is one."}},
    openapi_extra={"requestBody": {"required": True, "content": _BINARY}},
)
async def exchange(
    request: Request,
    signed: Annotated[Signed, Depends(SignedBody(TURN_BYTES))],
    seconds: Annotated[float, Query(ge=0, le=_LONGEST_SECONDS, allow_inf_nan=False)] = 0,
) -> Response:
    """Hand in the answer to an order, if there is one, and wait for the next: docs/spec/home.md."""
    homes = context_of(request).service.homes
    found = await homes.exchange(signed.party, HomeTurn.parse(signed.raw), seconds)
    return Response(found.encode(), media_type="application/octet-stream")


@router.delete("/home/{session}", response_model=Done)
def leave(session: Session, request: Request, signed: Empty) -> Response:
    """Say that a process at home ends: what it was asked, nobody answers any more."""
    context_of(request).service.homes.leave(signed.party, session)
    return canonical({})
