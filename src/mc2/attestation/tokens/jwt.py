"""JSON Web Tokens (RFC 7519) in compact form, signed by RS256: bytes to a frozen value.

One token has one spelling: base64url without padding and without stray bits, no key twice, no
white space around it. The signature covers header and payload as they were sent.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mc2.attestation.vendor_json import read_json
from mc2.errors import EvidenceError, FormatError
from mc2.formats.canonical import Json, encode

TOKEN_BYTES: Final = 64 * 1024  # a real one with three certificates has 11 KiB
_ALGORITHM: Final = "RS256"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was read; its signature is not verified."""

    header: Mapping[str, Json]
    claims: Mapping[str, Json]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_token(raw: bytes) -> Token:
    """Read a token strictly. Raises: EvidenceError."""
    if len(raw) > TOKEN_BYTES:
        raise EvidenceError(f"the token is larger than {TOKEN_BYTES} bytes")
    parts = raw.split(b".")
    if len(parts) != 3:
        raise EvidenceError("the token is not header.payload.signature")
    header, claims, signature = (_decode(part) for part in parts)
    token = Token(
        header=_object(header, "the header of the token"),
        claims=_object(claims, "the payload of the token"),
        signed=b".".join(parts[:2]),
        signature=signature,
    )
    # The algorithm is not the sender's to choose: what else stands here is refused unread.
    if token.header.get("alg") != _ALGORITHM or token.header.get("typ") != "JWT":
        raise EvidenceError(f"the token is not a JWT signed by {_ALGORITHM}")
    return token


def _decode(part: bytes) -> bytes:
    try:
        raw = base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise EvidenceError("a part of the token is not base64url") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part:
        raise EvidenceError("a part of the token is not in its one base64url spelling")
    return raw


def _object(raw: bytes, what: str) -> Mapping[str, Json]:
    value = read_json(raw, what)
    try:
        encode(value)  # what cannot stand in claims (huge integers, deep nesting) ends here
    except FormatError:
        raise EvidenceError(f"{what} is not the JSON that such tokens have") from None
    if not isinstance(value, Mapping):
        raise EvidenceError(f"{what} is not an object")
    return value
