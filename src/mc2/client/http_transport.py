"""Sends signed requests to a coordinator over HTTPS, again and again if need be.

One pinned certificate, bounded answers, broken downloads continued. Knows nothing of what the
requests are about: that is `mc2.client.http`.
"""

from __future__ import annotations

import random
import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import httpx

from mc2.client.http_errors import certificate_refused, refusal, unreachable
from mc2.crypto.digest import Digest, digest
from mc2.crypto.signatures import Signer
from mc2.errors import CoordinatorError, FormatError, Mc2Error, UsageError
from mc2.formats.signed_request import sign_request
from mc2.version import VERSION

ANSWER_BYTES: Final = 1 << 20
READ_SECONDS: Final = 60.0
_CONNECT_SECONDS: Final = 10.0
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 3.0
_COME_AGAIN: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Call:
    """One request, to be sent as often as it takes; `most` bounds the answer in bytes.

    `token` takes the place of a signature: only enrolment has one. With `resume`, a broken
    download continues where it broke off; only for what never changes under its name.
    """

    method: str
    path: str
    body: bytes = b""
    most: int = ANSWER_BYTES
    query: str = ""
    token: str = ""
    resume: bool = False
    read_seconds: float = READ_SECONDS


class Transport:
    """A coordinator at a URL. Thread-safe.

    `certificate` is the PEM text of the only one to accept, or empty for those that the system
    trusts. `patience_seconds` is how long a call that fails is tried again.
    """

    def __init__(
        self,
        url: str,
        signer: Signer,
        *,
        certificate: str,
        patience_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self.url = _check_url(url)
        self._signer = signer
        self._patience = patience_seconds
        self._clock = clock
        self._client = httpx.Client(
            verify=_tls(certificate),
            # Proxies, certificates and passwords from the environment have no say here.
            trust_env=False,
            follow_redirects=False,
            headers={"User-Agent": f"mc2/{VERSION}", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def send(self, call: Call) -> bytes:
        """Send until there is an answer.

        Raises: CoordinatorError when patience is over, or the error that the answer names.
        """
        until, got = 0.0, -1
        pause = _FIRST_PAUSE_SECONDS
        body = digest(call.body)
        held = bytearray()
        while True:
            try:
                return self._try(call, body, held)
            except (httpx.TransportError, _ComeAgainError) as error:
                if len(held) > got:  # the first failure, or it got further than at the last one
                    until, got = time.monotonic() + self._patience, len(held)
                if not call.resume:
                    held.clear()
                wait = max(pause, getattr(error, "seconds", 0.0))
                if certificate_refused(error) or time.monotonic() + wait > until:
                    raise self._give_up(error) from None
            # Not in step with others who were cut off at the same moment.
            time.sleep(wait * random.uniform(1.0, 1.3))  # noqa: S311  no secret
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _give_up(self, error: Exception) -> Mc2Error:
        return error.refused if isinstance(error, _ComeAgainError) else unreachable(self.url, error)

    def _try(self, call: Call, body: Digest, held: bytearray) -> bytes:
        with self._answer(call, body, resume_at=len(held)) as answer:
            if answer.is_success:
                _read_into(held, answer, call.most)
                return bytes(held)
            reason = bytearray()
            _read_into(reason, answer, ANSWER_BYTES)
        refused = refusal(answer.status_code, bytes(reason))
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            held.clear()  # it was complete, or something else: begin again
        elif answer.status_code not in _COME_AGAIN:
            raise refused
        raise _ComeAgainError(refused, answer.headers.get("Retry-After", ""))

    @contextmanager
    def _answer(self, call: Call, body: Digest, *, resume_at: int) -> Iterator[httpx.Response]:
        request = self._client.build_request(
            call.method,
            self.url + call.path + (f"?{call.query}" if call.query else ""),
            content=call.body or None,
            timeout=httpx.Timeout(call.read_seconds, connect=_CONNECT_SECONDS),
        )
        if resume_at:
            request.headers["Range"] = f"bytes={resume_at}-"
        if call.token:
            request.headers["Authorization"] = f"Bearer {call.token}"
        else:
            request.headers.update(self._sign(request, body))
        answer = self._client.send(request, stream=True)
        try:
            yield answer
        finally:
            answer.close()

    def _sign(self, request: httpx.Request, body: Digest) -> dict[str, str]:
        """Sign the request as it goes over the wire, each time anew."""
        url = f"https://{request.headers['Host']}{request.url.raw_path.decode('ascii')}"
        return sign_request(
            request.method,
            url,
            body,
            self._signer,
            created=self._clock(),
            nonce=secrets.token_hex(16),
        )


def _read_into(held: bytearray, answer: httpx.Response, most: int) -> None:
    """Append a part of an answer that was asked for, or begin with a whole one."""
    if answer.status_code != httpx.codes.PARTIAL_CONTENT:
        held.clear()
    elif not answer.headers.get("Content-Range", "").startswith(f"bytes {len(held)}-"):
        raise CoordinatorError("the coordinator sent another range than was asked for")
    for part in answer.iter_raw():
        held += part
        if len(held) > most:
            raise CoordinatorError(f"the answer is larger than {most} bytes")


class _ComeAgainError(Exception):
    """The coordinator is busy, or just starting."""

    def __init__(self, refused: Mc2Error, seconds: str) -> None:
        super().__init__(str(refused))
        self.refused = refused
        self.seconds = min(float(seconds), 60.0) if seconds.isdecimal() else 0.0


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise UsageError(
            "a coordinator's URL is https://host:port, without a path",
            hint="take it from the coordinator.json that the operator gave you",
        )
    return url.rstrip("/")


def _tls(certificate: str) -> ssl.SSLContext:
    if not certificate:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the host name, trusts nobody yet
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=certificate)
    except (ssl.SSLError, ValueError):
        raise FormatError("the coordinator's certificate is not in PEM form") from None
    return context
