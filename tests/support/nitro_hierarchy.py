"""A synthetic AWS: a root, its authorities, a security module, and its documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from mc2.attestation.cbor import decode_cbor, encode_cbor
from mc2.attestation.claims import RawEvidence
from mc2.attestation.nitro import KIND
from mc2.attestation.roots import PinnedRoot
from tests.support.certificates import NOW, Link, build_path, p384_key, pin

LEAF = Link(
    name="i-0123456789abcdef0-enc0123456789abcdef.test.aws",
    ca=False,
    window=(NOW - timedelta(minutes=5), NOW + timedelta(hours=3)),
)
PATH = (
    LEAF,
    Link(name="instance", length=0),
    Link(name="zone", length=1),
    Link(name="region", length=2),
    Link(name="aws.nitro-enclaves"),
)
MODULE = "i-0123456789abcdef0-enc0123456789abcdef"
PROTECTED = bytes.fromhex("a1013822")


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@dataclass(frozen=True, kw_only=True)
class Nitro:
    """A document; each field can be made wrong."""

    path: tuple[Link, ...] = PATH
    pcrs: Mapping[int, bytes] = field(
        default_factory=lambda: {n: bytes([n + 1]) * 48 if n < 3 else bytes(48) for n in range(16)}
    )
    fields: Mapping[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    protected: bytes = PROTECTED
    unprotected: Mapping[Any, Any] = field(default_factory=dict)
    signer: str = LEAF.name
    tagged: bool = False
    timestamp: datetime = NOW - timedelta(seconds=2)

    def but(self, **changes: Any) -> Nitro:
        return replace(self, **changes)

    def fields_but(self, **changes: Any) -> Nitro:
        return replace(self, fields={**self.fields, **changes})

    def payload(self) -> bytes:
        leaf, *authorities = build_path(self.path)
        found = {
            "module_id": MODULE,
            "digest": "SHA384",
            "timestamp": milliseconds(self.timestamp),
            "pcrs": dict(self.pcrs),
            "certificate": leaf,
            "cabundle": list(reversed(authorities)),
            "public_key": None,
            "user_data": b"u" * 64,
            "nonce": b"n" * 32,
            **self.fields,
        }
        return encode_cbor({k: v for k, v in found.items() if k not in self.dropped})

    def document(self, payload: bytes | None = None) -> bytes:
        payload = self.payload() if payload is None else payload
        message = encode_cbor(["Signature1", self.protected, b"", payload])
        r, s = decode_dss_signature(p384_key(self.signer).sign(message, ec.ECDSA(hashes.SHA384())))
        signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
        shell = encode_cbor([self.protected, dict(self.unprotected), payload, signature])
        return b"\xd2" + shell if self.tagged else shell

    def evidence(self) -> tuple[RawEvidence, tuple[PinnedRoot, ...]]:
        """The document, and the root that stands in it (signatures are random)."""
        payload = self.payload()
        found = decode_cbor(payload, "the payload")
        root = found["cabundle"][0] if "cabundle" not in self.dropped else b""
        return RawEvidence(KIND, self.document(payload)), pin(root)
