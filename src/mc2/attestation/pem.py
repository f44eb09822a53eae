"""Certificates in PEM (RFC 7468), in the one spelling that everybody writes.

Evidence carries certificate chains as text that no signature covers as text. A lenient reader
would let anybody change spaces, line lengths or unused base64 bits and so give one piece of
evidence many spellings; this one takes 64 columns, LF, no headers, no comments.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from mc2.errors import EvidenceError

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----\n"
_END: Final = b"\n-----END CERTIFICATE-----\n"
_COLUMNS: Final = 64
_LARGEST: Final = 64 * 1024  # of one certificate in DER; genuine ones stay below 3 KiB

_BLOCK: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\n"
    rb"((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{1,64}={0,2})"
    rb"\n-----END CERTIFICATE-----\n?"
)


def split_pem(raw: bytes, what: str, *, most: int) -> tuple[bytes, ...]:
    """The DER certificates of a PEM chain, in its order: one to `most` of them.

    Only line feeds may follow the last one. Raises: EvidenceError.
    """
    found: list[bytes] = []
    at = 0
    while match := _BLOCK.match(raw, at):
        found.append(_decode(match[1], what))
        at = match.end()
        if len(found) > most:
            raise EvidenceError(f"{what} has more than {most} certificates")
    if not found or raw[at:].strip(b"\n"):
        raise EvidenceError(
            f"{what} is not a chain of certificates in plain PEM",
            hint="64 columns, LF line ends and nothing between the certificates",
        )
    if b"".join(map(_encode, found)).rstrip(b"\n") != raw.rstrip(b"\n"):
        raise EvidenceError(f"{what} is not in the one PEM spelling of its certificates")
    return tuple(found)


def join_pem(certificates: Iterable[bytes]) -> bytes:
    """A PEM chain of DER certificates, as `split_pem` takes it back."""
    return b"".join(map(_encode, certificates))


def _decode(text: bytes, what: str) -> bytes:
    try:
        der = base64.b64decode(text.replace(b"\n", b""), validate=True)
    except binascii.Error:
        raise EvidenceError(f"a certificate of {what} is not base64") from None
    if len(der) > _LARGEST:
        raise EvidenceError(f"a certificate of {what} is larger than {_LARGEST} bytes")
    return der


def _encode(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = (text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS))
    return _BEGIN + b"\n".join(lines) + _END
