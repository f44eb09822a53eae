"""Asks vendors' services over HTTPS: one question at a time, bounded, without redirects.

What comes back is not believed here, only read: every answer is signed by the vendor and checked
afterwards. `mc2 endorsements fetch` is the only thing that makes a `VendorLine`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from mc2.errors import AttestationError, UsageError
from mc2.version import VERSION

ANSWER_BYTES: Final = 1024 * 1024
TIMEOUT_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 120.0
_CONNECT_SECONDS: Final = 10.0
_FIRST_PAUSE_SECONDS: Final = 2.0
_COME_AGAIN: Final = frozenset({429, 502, 503, 504})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

JSON_TYPES: Final = frozenset({"application/json"})
SIGNED_TYPES: Final = frozenset(
    {
        "application/octet-stream",
        "application/pem-certificate-chain",
        "application/pkix-cert",
        "application/pkix-crl",
        "application/x-pem-file",
        "application/x-x509-ca-cert",
        "application/x-x509-crl",
        "binary/octet-stream",
        "text/plain",
    }
)
"""How servers call certificates and lists. What matters is that pages for people are refused:
a network's login page is the usual wrong answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request: where to, what the vendor learns from it, and what may come back.

    `chain` is the header of the answer that has the signer's certificates, or empty.
    """

    vendor: str
    url: str
    tells: str
    types: frozenset[str]
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vendor's service answered. `chain` is the header's text, still percent-encoded."""

    body: bytes
    chain: str


def check_base_url(url: str, what: str) -> str:
    """A service's address without a path at its end. Raises: UsageError."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or plain) or not parts.hostname or parts.query:
        raise UsageError(
            f"{what} is not the address of a service",
            hint="write https://host; without encryption only on this machine itself",
        )
    return url.rstrip("/")


class VendorLine:
    """Asks questions, waiting where a vendor says so, for `patience` seconds at most each."""

    def __init__(
        self,
        *,
        timeout: float = TIMEOUT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = timeout
        self._patience = patience
        self._sleep = sleep
        self._now = now
        self._client = httpx.Client(
            # Proxies and certificates from the environment have no say in whom we ask.
            trust_env=False,
            follow_redirects=False,
            # A connection that the service closed meanwhile would look like a broken answer.
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
            headers={"User-Agent": f"mc2/{VERSION}", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, question: Question) -> Answer:
        """Ask until there is an answer or patience is over. Raises: AttestationError."""
        waited, pause = 0.0, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._try(question)
            except _ComeAgainError as busy:
                wait = max(busy.seconds, pause)
                if waited + wait > self._patience:
                    raise _failed(
                        question,
                        f"answers with status {busy.status}: it has no time for us",
                        hint=f"try again in {int(wait)} s or later",
                    ) from None
            self._sleep(wait)
            waited, pause = waited + wait, 2 * pause

    def _try(self, question: Question) -> Answer:
        until = self._now() + self._timeout
        try:
            with self._send(question.url) as answer:
                _check_status(answer, question)
                body = self._read(answer, question, until)
                chain = answer.headers.get(question.chain, "") if question.chain else ""
                return Answer(body, chain)
        except httpx.TransportError as error:
            raise _failed(
                question,
                f"does not answer in full: {type(error).__name__}",
                hint="check the network; or fetch elsewhere and bring it: mc2 endorsements import",
            ) from None

    @contextmanager
    def _send(self, url: str) -> Iterator[httpx.Response]:
        answer = self._client.send(self._client.build_request("GET", url), stream=True)
        try:
            yield answer
        finally:
            answer.close()

    def _read(self, answer: httpx.Response, question: Question, until: float) -> bytes:
        body = bytearray()
        for part in answer.iter_raw():
            body += part
            if len(body) > ANSWER_BYTES:
                raise _failed(question, f"answers with more than {ANSWER_BYTES} bytes")
            # The client's own timeout is between bytes: a drip would never end.
            if self._now() > until:
                raise _failed(question, f"does not finish its answer in {self._timeout:g} s")
        return bytes(body)


class _ComeAgainError(Exception):
    """The service is busy."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(str(status))
        after = headers.get("Retry-After", "")
        self.status = status
        self.seconds = float(after) if after.isascii() and after.isdigit() else 0.0


def _check_status(answer: httpx.Response, question: Question) -> None:
    status = answer.status_code
    if status in _COME_AGAIN:
        raise _ComeAgainError(status, answer.headers)
    if 300 <= status < 400:
        raise _failed(question, "sends us elsewhere, and redirects are not followed")
    if status in {401, 403}:
        raise _failed(
            question,
            f"refuses with status {status}",
            hint="some endorsements go to cloud providers only: let the host send them along",
        )
    if status != httpx.codes.OK:
        raise _failed(
            question,
            f"answers with status {status}",
            hint="is what was asked for right: product line, chip, TCB, FMSPC?",
        )
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    encoding = answer.headers.get("Content-Encoding", "identity")
    if kind not in question.types or encoding != "identity":
        wanted = "JSON" if question.types is JSON_TYPES else "a certificate or list"
        raise _failed(
            question,
            f"answers with {_plain(kind) or 'something'}, not with {wanted}",
            hint="does this network show a login page first?",
        )


def _failed(question: Question, what: str, hint: str = "") -> AttestationError:
    host = urlsplit(question.url).hostname
    return AttestationError(f"{question.vendor}'s service at {host} {what}", hint=hint)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:80])
