"""Reads requests: who sent it, how much of it, and whether it arrived whole.

In this order: the address's rate, the signature (over headers alone), the party's rate, and only
then the body, piece by piece under its ceiling. A stranger cannot make a coordinator read.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request

from mc2.coordinator.auth import Authenticated, Authenticator
from mc2.coordinator.rate import Buckets, Rate
from mc2.coordinator.refusals import BusyError, TooLargeError
from mc2.coordinator.service import PartyAccess, Service
from mc2.coordinator.waiting import Waiting
from mc2.crypto.digest import Digest
from mc2.errors import CoordinatorError, FormatError
from mc2.formats.limits import LIMITS

_PART_SECONDS: Final = 30.0  # between two parts of a body
_LARGE_BYTES: Final = 1 << 20
_MOST_LARGE: Final = 2
PART_BYTES: Final = 1 << 20  # of a body, handed on at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How fast requests may come: from an address, from a party, and to enrol."""

    address: Rate = field(default=Rate(per_second=400, burst=2000))
    party: Rate = field(default=Rate(per_second=200, burst=1000))
    enrolment: Rate = field(default=Rate(per_second=0.2, burst=20))


@dataclass(slots=True)
class Context:
    """What every request needs; `app.state.context`."""

    service: Service
    authenticator: Authenticator
    rates: Rates
    addresses: Buckets = field(init=False)
    parties: Buckets = field(init=False)
    enrolments: Buckets = field(init=False)
    waiting: Waiting = field(init=False)
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_LARGE))

    def __post_init__(self) -> None:
        self.addresses = Buckets(self.rates.address)
        self.parties = Buckets(self.rates.party)
        self.enrolments = Buckets(self.rates.enrolment)
        self.waiting = Waiting(self.service)


def context_of(request: Request) -> Context:
    """The application's context."""
    found: Context = request.app.state.context
    return found


def address_of(request: Request) -> str:
    """Where a request comes from, for rate limits and nothing else."""
    return request.client.host if request.client else "unknown"


def limit_address(request: Request) -> None:
    """Count a request to its address. Raises: BusyError."""
    context_of(request).addresses.take(address_of(request), time.monotonic())


async def authenticated(request: Request) -> Authenticated:
    """Find out who sent a request. Raises: SignatureError and others, see `Authenticator`."""
    limit_address(request)
    context = context_of(request)
    raw_headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw]
    url = _url(request)
    found = await asyncio.to_thread(
        context.authenticator.authenticate, request.method, url, raw_headers
    )
    try:
        context.parties.take(found.party, time.monotonic())
    except BusyError:
        await drain(request)
        raise
    return found


def _url(request: Request) -> str:
    """The URL as it came over the wire: what was signed, not what somebody normalised."""
    path = request.scope.get("raw_path") or request.scope["path"].encode("utf-8")
    query = request.scope["query_string"]
    target = path.partition(b"?")[0] + (b"?" + query if query else b"")
    return f"https://{request.headers.get('host', '')}{target.decode('latin-1')}"


async def read_parts(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body in parts of some size. Raises: TooLargeError, CoordinatorError."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > most:
        raise TooLargeError(f"the body is larger than {most} bytes, which this may have")
    size = 0
    held = bytearray()
    parts = request.stream()
    while True:
        try:
            part = await asyncio.wait_for(anext(parts, None), _PART_SECONDS)
        except TimeoutError:
            raise CoordinatorError("the rest of the body did not come", hint="send again") from None
        if part is None:
            break
        size += len(part)
        if size > most:
            raise TooLargeError(f"the body is larger than {most} bytes, which this may have")
        held += part
        if len(held) >= PART_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def drain(request: Request) -> None:
    """Read the body for nothing: closing before its end could destroy the answer on its way.

    Only parties are worth this.
    """
    if getattr(request.state, "whole", False):
        return
    with suppress(CoordinatorError):  # the first error is the one to tell
        async for _ in read_parts(request, LIMITS.chunk_bytes):
            pass
        request.state.whole = True


async def read_body(request: Request, most: int) -> bytes:
    """The whole body. Raises: TooLargeError, CoordinatorError."""
    raw = b"".join([part async for part in read_parts(request, most)])
    request.state.whole = True
    return raw


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request that arrived whole: what the party may do, and the body."""

    access: PartyAccess
    raw: bytes

    @property
    def party(self) -> str:
        """Who signed it."""
        return self.access.party


class SignedBody:
    """A dependency that gives the signed request with a body of at most `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most

    async def __call__(
        self, request: Request, caller: Annotated[Authenticated, Depends(authenticated)]
    ) -> AsyncIterator[Signed]:
        """Read the body and compare its digest with the signed one. Raises: FormatError."""
        raw = await read_body(request, self._most)
        check_digest(caller.body, hashlib.sha256(raw).hexdigest())
        context = context_of(request)
        # Reading a large object takes many times its size in memory: only a few at once.
        async with context.large if len(raw) > _LARGE_BYTES else nullcontext():
            yield Signed(context.service.for_party(caller.party), raw)


def check_digest(signed: Digest, found: str) -> None:
    """Compare the digest that was signed with the one that came. Raises: FormatError."""
    if signed != "sha256:" + found:
        raise FormatError(
            "the body is not the one that was signed",
            hint="send it again; if it happens again, something alters it on the way",
        )


def envelope_bytes(payload: int) -> int:
    """How large the envelope around a payload of some bytes may be."""
    return payload * 4 // 3 + 256 * LIMITS.members + 1024


Empty = Annotated[Signed, Depends(SignedBody(0))]
"""A signed request without a body."""
