"""Digests, the names of all objects: `sha256:` and 64 lower-case hex digits."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NewType

from mc2.errors import FormatError

Digest = NewType("Digest", str)

_FORM = re.compile(r"sha256:[0-9a-f]{64}\Z")


def digest(raw: bytes | bytearray | memoryview) -> Digest:
    """The SHA-256 digest of some bytes, as an object's name."""
    return Digest("sha256:" + hashlib.sha256(raw).hexdigest())


def parse_digest(text: str, what: str = "digest") -> Digest:
    """Read a digest strictly. Raises: FormatError."""
    if not _FORM.match(text):
        raise FormatError(f"{what} is not 'sha256:' and 64 lower-case hex digits")
    return Digest(text)


def digest_bytes(name: Digest) -> bytes:
    """The 32 bytes of a digest."""
    return bytes.fromhex(name.removeprefix("sha256:"))


def same_digest(a: Digest, b: Digest) -> bool:
    """Compare in constant time: some digests stand for secrets (key commitments)."""
    return hmac.compare_digest(a.encode("ascii"), b.encode("ascii"))
