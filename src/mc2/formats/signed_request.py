"""Signed requests to a coordinator: HTTP Message Signatures (RFC 9421), one profile of them.

Exactly one signature, Ed25519, over the method, the authority, the path, the query and the digest
of the body (RFC 9530), with a creation time and a nonce. Everything that RFC 9421 leaves open is
fixed here, so that a coordinator has one form to check and nothing to choose. Whether the time
and the nonce are fresh, and whose the key is, the coordinator decides (`mc2.coordinator.auth`).
Spec: docs/spec/coordinator-api.md, section "Signed requests".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    VerifyResult,
)

from mc2.crypto.digest import Digest, digest_bytes, parse_digest
from mc2.crypto.signatures import SIGNATURE_BYTES, Signer, VerifyKey
from mc2.errors import FormatError, Mc2Error, SignatureError
from mc2.formats.fields import from_base64, to_base64

COVERED: Final = ("@method", "@authority", "@path", "@query", "content-digest")
LABEL: Final = "mc2"
TAG: Final = "mc2-coordinator-v1"
_PARAMETERS: Final = ("created", "keyid", "alg", "nonce", "tag")
_NONCE: Final = re.compile(r"[0-9a-f]{32}\Z")
_SIGNATURE: Final = re.compile(rf"{LABEL}=:([A-Za-z0-9+/=]{{88}}):\Z")
_CONTENT_DIGEST: Final = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):\Z")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a valid signature says. Only `verify_request` makes one.

    `body` is the digest that the body must have; whoever reads the body compares.
    """

    key_id: Digest
    created: datetime
    nonce: str
    body: Digest


def sign_request(
    method: str, url: str, body: Digest, signer: Signer, *, created: datetime, nonce: str
) -> dict[str, str]:
    """The headers that sign a request: Content-Digest, Signature-Input and Signature.

    `url` is absolute and encoded as it goes over the wire; `nonce` is 32 random hex digits and
    used once. Raises: FormatError.
    """
    if not _NONCE.match(nonce):
        raise FormatError("the nonce of a request is 32 lower-case hex digits")
    message = _Message(method, url, {"Content-Digest": content_digest(body)})
    library = HTTPMessageSigner(signature_algorithm=_Ed25519, key_resolver=_Keys(signer=signer))
    try:
        library.sign(
            message,
            key_id=signer.public.key_id,
            created=created,
            nonce=nonce,
            label=LABEL,
            tag=TAG,
            covered_component_ids=COVERED,
            use_existing_digest=True,
        )
    except HTTPMessageSignaturesException as error:
        raise FormatError(f"the request cannot be signed: {error}") from None
    return message.headers


def verify_request(
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]],
    key_of: Callable[[Digest], VerifyKey],
) -> SignedRequest:
    """Check the one signature of a request; `key_of` gives a key by its name, or raises.

    Raises: SignatureError, and what `key_of` raises.
    """
    message = _Message(method, url, _relevant(headers))
    library = _Verifier(signature_algorithm=_Ed25519, key_resolver=_Keys(key_of=key_of))
    try:
        results = library.verify(message, max_age=None)
    except HTTPMessageSignaturesException as error:
        cause = error.args[0] if error.args else error
        if isinstance(cause, Mc2Error):  # from `key_of` or the key itself
            raise cause from None
        raise _refused(str(error)) from None
    if len(results) != 1:
        raise _refused("a request has exactly one signature")
    _check_spelling(results[0], message.headers)
    return _read(results[0], message.headers["content-digest"])


def content_digest(name: Digest) -> str:
    """A digest as the header Content-Digest has it."""
    return f"sha-256=:{to_base64(digest_bytes(name))}:"


def _check_spelling(result: VerifyResult, headers: Mapping[str, str]) -> None:
    """Refuse other spellings of a true signature, as everywhere: spaces, spare bits of base64."""
    parameters = result.covered_components['"@signature-params"']
    if headers["signature-input"] != f"{LABEL}={parameters}":
        raise _refused("Signature-Input is not in its one spelling")
    found = _SIGNATURE.match(headers["signature"])
    if found is None or len(from_base64(found[1], "Signature")) != SIGNATURE_BYTES:
        raise _refused("Signature is not in its one spelling")


def _read(result: VerifyResult, body: str) -> SignedRequest:
    """Check that the signature has our one form. The library checked that it is true."""
    if tuple(result.covered_components) != (*(f'"{c}"' for c in COVERED), '"@signature-params"'):
        raise _refused("the signature covers other parts of the request than it must")
    if result.label != LABEL or tuple(result.parameters) != _PARAMETERS:
        raise _refused("the signature has another label or other parameters than it must")
    created, nonce = result.parameters["created"], str(result.parameters["nonce"])
    if result.parameters["tag"] != TAG or not _NONCE.match(nonce):
        raise _refused("the tag or the nonce of the signature is malformed")
    if not isinstance(created, int) or not 0 <= created < 1 << 33:
        raise _refused("the time of the signature is out of range")
    return SignedRequest(
        parse_digest(str(result.parameters["keyid"]), "a key's name"),
        datetime.fromtimestamp(created, UTC),
        nonce,
        _read_content_digest(body),
    )


def _read_content_digest(text: str) -> Digest:
    found = _CONTENT_DIGEST.match(text)
    raw = from_base64(found[1], "Content-Digest") if found else b""
    if len(raw) != 32:
        raise _refused("Content-Digest is not one SHA-256 digest")
    return parse_digest("sha256:" + raw.hex())


def _refused(why: str) -> SignatureError:
    return SignatureError(
        f"the request is not signed as it must be: {why}",
        hint="requests are signed as docs/spec/coordinator-api.md says; `mc2` does it by itself",
    )


def _relevant(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Only what the signature is about, each once: a doubled header has two readings."""
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower not in ("content-digest", "signature-input", "signature"):
            continue
        if lower in found:
            raise _refused(f"the header {lower} stands twice")
        found[lower] = value
    missing = {"content-digest", "signature-input", "signature"} - set(found)
    if missing:
        raise _refused(f"the header {min(missing)} is missing")
    return found


@dataclass(slots=True)
class _Message:
    """A request as the library wants it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


class _Verifier(HTTPMessageVerifier):
    """Leaves time to the caller, who has a clock of its own and tells the two ways apart."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Check nothing: see `SignedRequest.created`."""


@dataclass(slots=True)
class _Keys(HTTPSignatureKeyResolver):
    """Our keys, for the library."""

    signer: Signer | None = None
    key_of: Callable[[Digest], VerifyKey] | None = None

    def resolve_public_key(self, key_id: str) -> VerifyKey | None:
        """The key of this name."""
        return None if self.key_of is None else self.key_of(parse_digest(key_id, "a key's name"))

    def resolve_private_key(self, key_id: str) -> Signer | None:
        """The signer, whatever it is: a key in this process, an agent, a token."""
        return self.signer if self.signer and self.signer.public.key_id == key_id else None


class _Ed25519(HTTPSignatureAlgorithm):
    """Ed25519 by `mc2.crypto`: the library never sees a private key."""

    algorithm_id = "ed25519"

    def __init__(
        self, public_key: VerifyKey | None = None, private_key: Signer | None = None
    ) -> None:
        self._public, self._signer = public_key, private_key

    def sign(self, message: bytes) -> bytes:
        """Sign the signature base."""
        if self._signer is None:
            raise HTTPMessageSignaturesException("there is no key to sign with")
        return self._signer.sign(message)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a signature over the signature base. Raises: SignatureError."""
        if self._public is None:
            raise HTTPMessageSignaturesException("there is no key to verify with")
        self._public.verify(signature, message)
